# What steering does to a language model's answers: one part of the long-form table beside the evaluation's.


def vectors_used(pattern):
    """Files of the vectors that steer."""
    return lambda w: expand(pattern, lm=w.lm, dataset=w.dataset, variant=STUDY.steered(w.lm, w.dataset))


def behaviour_slice(w):
    lm, asked = STUDY.lms[w.lm], STUDY.behaviour[w.dataset]
    return json_of(
        **definition_of(w.dataset),
        lm=w.lm,
        dtype=lm.dtype,
        batch_tokens=lm.batch_tokens,
        behaviour=asked.model_dump(mode="json", exclude={"variants", "neutral"}),
    )


rule measure_behaviour:
    input:
        embeddings=ancient(paths.EMBEDDINGS),
        manifest=paths.EMBEDDINGS_MANIFEST,
        lm_manifest=paths.LM,
        vectors=ancient(vectors_used(paths.VECTORS)),
        others=ancient(vectors_used(paths.OTHER_VECTORS)),
        about=vectors_used(paths.VECTORS_ABOUT),
        neutral=lambda w: str(STUDY.behaviour[w.dataset].neutral),
        modules=lambda w: modules_of("measure_behaviour.py", kinds.module_of("pairs", STUDY.pairs[w.dataset].kind)),
    output:
        part=paths.BEHAVIOUR,
    log:
        log_of("measure_behaviour", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("measure_behaviour", "{lm}/{dataset}")
    wildcard_constraints:
        lm=one_of(STUDY.lms),
        dataset=one_of(STUDY.behaviour),
    threads: 1
    resources:
        mem_mb=4000,
    params:
        slice=behaviour_slice,
        files=own_files,
    message:
        "behaviour of {wildcards.lm} on {wildcards.dataset}, unsteered and steered"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest}"
        " --lm-manifest {input.lm_manifest} --vectors {input.vectors} --others {input.others} --about {input.about}"
        " {params.files:q} --neutral {input.neutral:q} --part {output.part} --params {params.slice:q} --modules {input.modules}"
        " --threads {threads} --log {log}"
