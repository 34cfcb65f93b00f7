# The settings that UDR chooses and all metrics of one dataset on one language model, as one part of the long-form table.


rule evaluate:
    input:
        embeddings=ancient(paths.EMBEDDINGS),
        manifest=paths.EMBEDDINGS_MANIFEST,
        weights=ancient(lambda w: trained_on(w.lm, w.dataset, paths.MODELS)),
        sidecars=lambda w: trained_on(w.lm, w.dataset, paths.MODELS_SIDECAR),
        modules=lambda w: modules_of("evaluate.py", *classes_of(every_variant(w.lm, w.dataset))),
    output:
        part=paths.PART,
        selection=paths.SELECTION,
    log:
        log_of("evaluate", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("evaluate", "{lm}/{dataset}")
    threads: 1
    resources:
        mem_mb=memory_for,
    message:
        "settings and metrics of {wildcards.dataset} on {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest}"
        " --weights {input.weights} --sidecars {input.sidecars} --part {output.part} --selection {output.selection}"
        " --modules {input.modules} --threads {threads} --log {log}"


def every_variant(lm, dataset):
    return [name for codes in STUDY.codes(lm, dataset) for name in STUDY.variants_on(lm, dataset, codes)]


def transfer_datasets(w):
    return sorted({name for both in STUDY.transfers(w.lm) for name in both})


def of_transfers(pattern):
    """A dataset's file, for every dataset of a transfer."""
    return lambda w: expand(pattern, lm=w.lm, dataset=transfer_datasets(w))


def models_of_transfers(pattern):
    """Models of every dataset of a transfer at its main code size."""
    return lambda w: [
        file
        for dataset in transfer_datasets(w)
        for file in main_models(w.lm, dataset, STUDY.variants_on(w.lm, dataset), pattern)
    ]


rule evaluate_transfer:
    input:
        embeddings=ancient(of_transfers(paths.EMBEDDINGS)),
        manifests=of_transfers(paths.EMBEDDINGS_MANIFEST),
        pairs=ancient(of_transfers(paths.PAIRS)),
        weights=ancient(models_of_transfers(paths.MODELS)),
        sidecars=models_of_transfers(paths.MODELS_SIDECAR),
        modules=lambda w: modules_of(
            "evaluate_transfer.py",
            *classes_of(name for dataset in transfer_datasets(w) for name in STUDY.variants_on(w.lm, dataset)),
        ),
    output:
        part=paths.TRANSFER,
    log:
        log_of("evaluate_transfer", "{lm}"),
    benchmark:
        benchmark_of("evaluate_transfer", "{lm}")
    threads: 1
    resources:
        mem_mb=memory_for,
    params:
        slice=lambda w: json_of(transfers=STUDY.transfers(w.lm)),
    message:
        "steering between datasets on {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifests {input.manifests} --pairs {input.pairs}"
        " --weights {input.weights} --sidecars {input.sidecars} --part {output.part}"
        " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"
