# Synthetic pairs with known concepts, in the format of embeddings, under the language model's name `synthetic`.


def synthetic_slice(w):
    entry = STUDY.synthetic[w.dataset]
    return json_of(dataset=w.dataset, kind=entry.kind, params=entry.dump)


rule make_synthetic:
    input:
        modules=lambda w: modules_of("make_synthetic.py", kinds.module_of("synthetic", STUDY.synthetic[w.dataset].kind)),
    output:
        embeddings=paths.EMBEDDINGS.replace("{lm}", SYNTHETIC),
        manifest=paths.EMBEDDINGS_MANIFEST.replace("{lm}", SYNTHETIC),
    log:
        log_of("make_synthetic", "{dataset}"),
    benchmark:
        benchmark_of("make_synthetic", "{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.synthetic),
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=synthetic_slice,
    message:
        "synthetic pairs {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {output.embeddings} --manifest {output.manifest}"
        " --params {params.slice:q} --modules {input.modules} --log {log}"
