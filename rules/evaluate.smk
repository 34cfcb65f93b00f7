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


def posterior_slice(w):
    lm, asked = STUDY.lms[w.lm], STUDY.posterior[w.lm]
    return json_of(
        lm=w.lm, dtype=lm.dtype, batch_tokens=lm.batch_tokens, device_map=lm.device_map, **asked.model_dump(mode="json")
    )


def twin_of(lm):
    """Manifest of the first untrained twin of a language model, as a list; empty if the config has none."""
    twins = [name for name, one in STUDY.lms.items() if one.kind == UNTRAINED and one.params.of == lm]
    return [paths.LM.format(lm=name) for name in twins[:1]]


rule evaluate_posterior:
    input:
        lm_manifest=paths.LM,
        corpus_manifest=lambda w: paths.CORPUS.format(corpus=corpus_of(w)),
        twin=lambda w: twin_of(w.lm),
        words=lambda w: words_of(STUDY.corpora[corpus_of(w)]),
        modules=lambda w: modules_of(
            "evaluate_posterior.py", kinds.module_of("corpora", STUDY.corpora[corpus_of(w)].kind)
        ),
    output:
        part=paths.POSTERIOR,
    log:
        log_of("evaluate_posterior", "{lm}"),
    benchmark:
        benchmark_of("evaluate_posterior", "{lm}")
    wildcard_constraints:
        lm=one_of(STUDY.posterior),
    threads: 1
    resources:
        mem_mb=3000,
    params:
        slice=posterior_slice,
        twin=lambda w, input: ["--twin", *input.twin] if input.twin else [],
    message:
        "representations of {wildcards.lm} against the exact log-posterior"
    shell:
        "{PYTHON} {input.modules[0]} --lm-manifest {input.lm_manifest} --corpus-manifest {input.corpus_manifest}"
        " {params.twin:q} --part {output.part} --params {params.slice:q} --modules {input.modules}"
        " --threads {threads} --log {log}"


def causal_slice(w):
    lm, asked = STUDY.lms[w.lm], STUDY.causal[w.lm].model_dump(mode="json")
    chosen = dict(
        datasets=STUDY.causal_on(w.lm),
        variants=STUDY.causal_variants(w.lm),
        recommended_on=STUDY.recommended_in_causal(w.lm),
    )
    return json_of(lm=w.lm, dtype=lm.dtype, batch_tokens=lm.batch_tokens, device_map=lm.device_map, **asked | chosen)


def causal_data(pattern):
    """A file of every dataset whose vectors steer, and then of those in which they should change nothing else."""
    return lambda w: expand(
        pattern, lm=w.lm, dataset=list(dict.fromkeys(STUDY.causal_on(w.lm) + STUDY.causal[w.lm].others))
    )


def causal_models(pattern):
    """Models of every variant on these datasets at their main code size, and autoencoders of the language model's stores."""

    def files(w):
        wanted = STUDY.causal_variants(w.lm)
        places = [*((w.lm, dataset) for dataset in STUDY.causal_on(w.lm)), *STUDY.causal_stores(w.lm)]
        return [
            file
            for place in places
            for file in main_models(*place, [name for name in STUDY.vectors_of(*place) if name in wanted], pattern)
        ]

    return files


def causal_grammar(w):
    """The corpus of a language model that learned from a grammar, as a list; empty for any other."""
    return [paths.CORPUS.format(corpus=corpus_of(w))] if STUDY.lms[w.lm].kind == TRAINED else []


def causal_code(w):
    """The classes of all variants that steer, and of the grammar."""
    named = classes_of(STUDY.causal_variants(w.lm))
    grammar = [kinds.module_of("corpora", STUDY.corpora[corpus_of(w)].kind)] if causal_grammar(w) else []
    return [*named, *grammar]


rule evaluate_causal:
    input:
        lm_manifest=paths.LM,
        corpus_manifest=causal_grammar,
        words=lambda w: words_of(STUDY.corpora[corpus_of(w)]) if causal_grammar(w) else [],
        embeddings=ancient(causal_data(paths.EMBEDDINGS)),
        manifests=causal_data(paths.EMBEDDINGS_MANIFEST),
        pairs=ancient(causal_data(paths.PAIRS)),
        weights=ancient(causal_models(paths.MODELS)),
        sidecars=causal_models(paths.MODELS_SIDECAR),
        modules=lambda w: modules_of("evaluate_causal.py", *causal_code(w)),
    output:
        part=paths.CAUSAL,
        samples=paths.SAMPLES,
    log:
        log_of("evaluate_causal", "{lm}"),
    benchmark:
        benchmark_of("evaluate_causal", "{lm}")
    wildcard_constraints:
        lm=one_of(STUDY.causal),
    threads: 1
    resources:
        mem_mb=lambda w, input: 3 * int(input.size_mb)
        + steering_mb(Path(input.lm_manifest), STUDY.lms[w.lm].dtype, STUDY.causal[w.lm].pairs),
    params:
        slice=causal_slice,
        grammar=lambda w, input: ["--corpus-manifest", *input.corpus_manifest] if input.corpus_manifest else [],
    message:
        "{wildcards.lm}, steered by every variant"
    shell:
        "{PYTHON} {input.modules[0]} --lm-manifest {input.lm_manifest} {params.grammar:q}"
        " --embeddings {input.embeddings} --manifests {input.manifests} --pairs {input.pairs}"
        " --weights {input.weights} --sidecars {input.sidecars} --part {output.part} --samples {output.samples}"
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
