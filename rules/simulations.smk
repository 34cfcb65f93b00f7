# Simulated worlds whose law is known: paper B's simulations. What is trained in them has the language model's name `synthetic`.


def simulation_slice(w):
    entry = STUDY.simulations[w.dataset]
    return json_of(dataset=w.dataset, kind=entry.kind, params=entry.dump)


rule make_simulation:
    input:
        modules=lambda w: modules_of(
            "make_simulation.py", kinds.module_of("simulations", STUDY.simulations[w.dataset].kind)
        ),
    output:
        worlds=paths.WORLDS,
        manifest=paths.WORLDS_MANIFEST,
    log:
        log_of("make_simulation", "{dataset}"),
    benchmark:
        benchmark_of("make_simulation", "{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.simulations),
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=simulation_slice,
    message:
        "simulated worlds {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --worlds {output.worlds} --manifest {output.manifest}"
        " --params {params.slice:q} --modules {input.modules} --log {log}"
