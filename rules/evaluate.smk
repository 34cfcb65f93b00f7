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
    wildcard_constraints:
        dataset=one_of([*STUDY.pairs, *STUDY.synthetic]),
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


def words_of_lm(pattern):
    """Embeddings of all datasets of words that a language model reads at a layer."""
    return lambda w: [pattern.format(lm=lm, dataset=dataset) for lm, dataset in STUDY.words_on() if lm == w.lm]


def sae_slice(w):
    lm = STUDY.lm(w.lm)
    return json_of(
        lm=lm_of(w.lm),
        layer=STUDY.layers_of(lm_of(w.lm))[w.lm],
        dataset=w.dataset,
        dtype=lm.dtype,
        batch_tokens=lm.batch_tokens,
        device_map=lm.device_map,
    )


rule evaluate_saes:
    input:
        shards=ancient(lambda w: [file for split in ("train", "test") for file in shards_of(w.lm, w.dataset, split)]),
        manifest=paths.STORE,
        windows=ancient(lambda w: paths.WINDOWS.format(lm=lm_of(w.lm), dataset=w.dataset)),
        windows_manifest=lambda w: paths.WINDOWS_MANIFEST.format(lm=lm_of(w.lm), dataset=w.dataset),
        documents=ancient(lambda w: paths.DOCUMENTS.format(corpus=STUDY.activations[w.dataset].corpus)),
        lm_manifest=lambda w: paths.LM.format(lm=lm_of(w.lm)),
        weights=ancient(lambda w: trained_on(w.lm, w.dataset, paths.MODELS)),
        sidecars=lambda w: trained_on(w.lm, w.dataset, paths.MODELS_SIDECAR),
        embeddings=ancient(words_of_lm(paths.EMBEDDINGS)),
        embeddings_manifests=words_of_lm(paths.EMBEDDINGS_MANIFEST),
        modules=lambda w: modules_of("evaluate_saes.py", *classes_of(every_variant(w.lm, w.dataset))),
    output:
        part=paths.PART,
    log:
        log_of("evaluate_saes", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("evaluate_saes", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.activations),
    threads: 1
    resources:
        mem_mb=lambda w, input: 4000
        + lm_mb(Path(input.lm_manifest), STUDY.lm(w.lm).dtype)
        + sum(Path(file).stat().st_size for file in input.weights if Path(file).exists()) // 10**6,
    params:
        slice=sae_slice,
    message:
        "metrics of autoencoders of {wildcards.dataset} by {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --manifest {input.manifest} --windows {input.windows}"
        " --windows-manifest {input.windows_manifest} --documents {input.documents} --lm-manifest {input.lm_manifest}"
        " --weights {input.weights} --sidecars {input.sidecars} --embeddings {input.embeddings}"
        " --embeddings-manifests {input.embeddings_manifests} --part {output.part} --params {params.slice:q}"
        " --modules {input.modules} --threads {threads} --log {log}"


def described_models(pattern):
    """Models of the autoencoders whose latents have cards: at the main code size, not those that are there for some tables."""
    return lambda w: main_models(w.lm, w.dataset, STUDY.vectors_of(w.lm, w.dataset), pattern)


rule describe_latents:
    input:
        shards=ancient(lambda w: [file for split in ("train", "test") for file in shards_of(w.lm, w.dataset, split)]),
        manifest=paths.STORE,
        windows=ancient(lambda w: paths.WINDOWS.format(lm=lm_of(w.lm), dataset=w.dataset)),
        windows_manifest=lambda w: paths.WINDOWS_MANIFEST.format(lm=lm_of(w.lm), dataset=w.dataset),
        documents=ancient(lambda w: paths.DOCUMENTS.format(corpus=STUDY.activations[w.dataset].corpus)),
        lm_manifest=lambda w: paths.LM.format(lm=lm_of(w.lm)),
        weights=ancient(described_models(paths.MODELS)),
        sidecars=described_models(paths.MODELS_SIDECAR),
        embeddings=ancient(words_of_lm(paths.EMBEDDINGS)),
        embeddings_manifests=words_of_lm(paths.EMBEDDINGS_MANIFEST),
        modules=lambda w: modules_of("describe_latents.py", *classes_of(STUDY.vectors_of(w.lm, w.dataset))),
    output:
        cards=paths.CARDS,
    log:
        log_of("describe_latents", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("describe_latents", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.activations),
    threads: 1
    resources:
        mem_mb=lambda w, input: 4000
        + lm_mb(Path(input.lm_manifest), STUDY.lm(w.lm).dtype)
        + sum(Path(file).stat().st_size for file in input.weights if Path(file).exists()) // 10**6,
    params:
        slice=sae_slice,
    message:
        "cards of latents of {wildcards.dataset} by {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --manifest {input.manifest} --windows {input.windows}"
        " --windows-manifest {input.windows_manifest} --documents {input.documents} --lm-manifest {input.lm_manifest}"
        " --weights {input.weights} --sidecars {input.sidecars} --embeddings {input.embeddings}"
        " --embeddings-manifests {input.embeddings_manifests} --cards {output.cards} --params {params.slice:q}"
        " --modules {input.modules} --threads {threads} --log {log}"


rule evaluate_simulation:
    input:
        worlds=ancient(paths.WORLDS),
        manifest=paths.WORLDS_MANIFEST,
        weights=ancient(lambda w: trained_on(w.lm, w.dataset, paths.MODELS)),
        sidecars=lambda w: trained_on(w.lm, w.dataset, paths.MODELS_SIDECAR),
        modules=lambda w: modules_of("evaluate_simulation.py", *classes_of(every_variant(w.lm, w.dataset))),
    output:
        part=paths.PART,
    log:
        log_of("evaluate_simulation", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("evaluate_simulation", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.simulations),
    threads: 1
    resources:
        mem_mb=2000,
    message:
        "metrics of {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --worlds {input.worlds} --manifest {input.manifest} --weights {input.weights}"
        " --sidecars {input.sidecars} --part {output.part} --modules {input.modules} --threads {threads} --log {log}"


def identity_slice(w):
    lm = STUDY.lm(w.lm)
    return json_of(**(dict(of=lm.params.of, step=lm.params.step) if lm.kind == CHECKPOINT else {}))


rule evaluate_identity:
    input:
        embeddings=ancient(paths.EMBEDDINGS),
        manifest=paths.EMBEDDINGS_MANIFEST,
        modules=modules_of("evaluate_identity.py"),
    output:
        part=paths.IDENTITY,
    log:
        log_of("evaluate_identity", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("evaluate_identity", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(dataset for _, dataset in STUDY.words_on()),
    threads: 1
    resources:
        mem_mb=memory_for,
    params:
        slice=identity_slice,
    message:
        "differences against probes of {wildcards.dataset} by {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest} --part {output.part}"
        " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"


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
