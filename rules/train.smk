# Every variant on every dataset: one node trains a block of seeds, all settings of the grid, as one batch of replicas.


def train_slice(w):
    variant = STUDY.variants[w.variant]
    return json_of(
        lm=lm_of(w.lm),
        dataset=w.dataset,
        codes=int(w.codes),
        variant=w.variant,
        kind=variant.kind,
        settings=variant.dumps,
        seeds=seeds_of(w.block),
    )


def train_modules(w):
    """The code of a variant is its class and its way of training: another variant's loop is none of its business."""
    variant = STUDY.variants[w.variant]
    way = kinds.module_of("training", variant.params.training)
    return modules_of("train.py", kinds.module_of("variants", variant.kind), way)


rule train:
    input:
        embeddings=ancient(paths.EMBEDDINGS),
        manifest=paths.EMBEDDINGS_MANIFEST,
        modules=train_modules,
    output:
        weights=paths.MODELS,
        sidecar=paths.MODELS_SIDECAR,
    log:
        log_of("train", "{lm}/{dataset}/codes_{codes}/{variant}/seeds_{block}"),
    benchmark:
        benchmark_of("train", "{lm}/{dataset}/codes_{codes}/{variant}/seeds_{block}")
    threads: 1  # results are equal to the bit, whatever else is in the block, on one thread
    resources:
        mem_mb=2000,
    params:
        slice=train_slice,
    message:
        "train {wildcards.variant} on {wildcards.dataset} of {wildcards.lm}, {wildcards.codes} codes, seeds {wildcards.block}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest}"
        " --weights {output.weights} --sidecar {output.sidecar}"
        " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"
