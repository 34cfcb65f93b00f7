# The activation of every token of a corpus: packed into windows, read part by part, each a job, and listed by one manifest.
# Large: the manifests, with every file's sha256, carry staleness.


def windows_slice(w):
    entry = STUDY.activations[w.dataset]
    return json_of(
        lm=w.lm, dataset=w.dataset, window=entry.window, separator=entry.separator, seed=entry.seed, **entry.windows
    )


rule pack_windows:
    input:
        documents=ancient(lambda w: paths.DOCUMENTS.format(corpus=STUDY.activations[w.dataset].corpus)),
        corpus=lambda w: paths.CORPUS.format(corpus=STUDY.activations[w.dataset].corpus),
        lm_manifest=paths.LM,
        modules=modules_of("pack_windows.py"),
    output:
        windows=paths.WINDOWS,
        manifest=paths.WINDOWS_MANIFEST,
    log:
        log_of("pack_windows", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("pack_windows", "{lm}/{dataset}")
    wildcard_constraints:
        lm=one_of(READ),
        dataset=one_of(STUDY.activations),
    priority: 20
    threads: 1
    resources:
        mem_mb=lambda w: 2000
        + 16 * sum(STUDY.activations[w.dataset].windows.values()) * STUDY.activations[w.dataset].window // 10**6,
    params:
        slice=windows_slice,
    message:
        "windows of {wildcards.dataset} for {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --documents {input.documents} --corpus-manifest {input.corpus}"
        " --lm-manifest {input.lm_manifest} --windows {output.windows} --manifest {output.manifest}"
        " --params {params.slice:q} --modules {input.modules} --log {log}"


def shards_in(lm, dataset, part, count):
    """The shards of a part."""
    return [paths.SHARD.format(lm=lm, dataset=dataset, part=part, shard=f"{number:04}") for number in range(count)]


def shards_of(lm, dataset, split):
    """All shards of a split of a store."""
    parts = (part for part in STUDY.activations[dataset].parts if part.split == split)
    return [file for part in parts for file in shards_in(lm, dataset, part.name, part.shards)]


def cache_slice(name, dataset):
    """What a part depends on; the layers stand in its files' names."""
    entry, lm = STUDY.activations[dataset], STUDY.lms[name]

    def slice(w):
        (part,) = (one for one in entry.parts if one.name == w.part)
        return json_of(
            lm=name,
            dataset=dataset,
            split=part.split,
            first=part.first,
            last=part.last,
            stored=entry.stored,
            seed=entry.seed,
            dtype=lm.dtype,
            batch_tokens=lm.batch_tokens,
            device_map=lm.device_map,
        )

    return slice


def memory_of_caching(lm, dataset, layers):
    """What a part takes, known when the language model is there."""
    entry, read = STUDY.lms[lm], STUDY.activations[dataset]
    return lambda w, input: caching_mb(
        Path(input.lm_manifest), entry.dtype, entry.batch_tokens, layers, read.tokens_per_shard
    )


def reads_of_text():
    """What one rule caches: `(rule, lm, its names at the layers of a pass, dataset, parts)`; as `passes` in embeddings.smk."""
    for dataset, entry in STUDY.activations.items():
        for lm, names in ((lm, names) for lm in entry.lms for names in passes_of(lm, [dataset], paths.STORE)):
            for split in entry.windows:
                parts = [part for part in entry.parts if part.split == split]
                yield rule_name("cache_activations", lm, dataset, split, *some_of(lm, names)), lm, names, dataset, parts


for name, lm, names, dataset, parts in reads_of_text():

    rule:
        name:
            name
        input:
            windows=ancient(paths.WINDOWS.format(lm=lm, dataset=dataset)),
            windows_manifest=paths.WINDOWS_MANIFEST.format(lm=lm, dataset=dataset),
            lm_manifest=paths.LM.format(lm=lm),
            modules=modules_of("cache_activations.py"),
        output:
            shards=[file for at in names for file in shards_in(at, dataset, "{part}", parts[0].shards)],
            manifests=[paths.PART_MANIFEST.format(lm=at, dataset=dataset, part="{part}") for at in names],
        log:
            log_of("cache_activations", f"{names[0]}/{dataset}/{{part}}"),
        benchmark:
            benchmark_of("cache_activations", f"{names[0]}/{dataset}/{{part}}")
        wildcard_constraints:
            part=one_of([part.name for part in parts]),
        priority: 15
        threads: 1
        resources:
            mem_mb=memory_of_caching(lm, dataset, len(names)),
        params:
            slice=cache_slice(lm, dataset),
            layers=[STUDY.layers_of(lm)[at] for at in names],
        message:
            f"activations of {dataset} by {names[0]}, {{wildcards.part}}"
        shell:
            "{PYTHON} {input.modules[0]} --windows {input.windows} --windows-manifest {input.windows_manifest}"
            " --lm-manifest {input.lm_manifest} --layers {params.layers} --shards {output.shards}"
            " --manifests {output.manifests} --params {params.slice:q} --modules {input.modules} --threads {threads}"
            " --log {log}"


def part_manifests(w):
    """Of all parts, in the order of their windows."""
    return [
        paths.PART_MANIFEST.format(lm=w.lm, dataset=w.dataset, part=part.name)
        for part in STUDY.activations[w.dataset].parts
    ]


rule gather_activations:
    input:
        windows_manifest=lambda w: paths.WINDOWS_MANIFEST.format(lm=lm_of(w.lm), dataset=w.dataset),
        parts=part_manifests,
        lm_manifest=lambda w: paths.LM.format(lm=lm_of(w.lm)),
        modules=modules_of("gather_activations.py"),
    output:
        manifest=paths.STORE,
    log:
        log_of("gather_activations", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("gather_activations", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.activations),
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=lambda w: json_of(lm=lm_of(w.lm), layer=STUDY.layers_of(lm_of(w.lm))[w.lm], dataset=w.dataset),
    message:
        "activations of {wildcards.dataset} by {wildcards.lm} are there"
    shell:
        "{PYTHON} {input.modules[0]} --windows-manifest {input.windows_manifest} --parts {input.parts}"
        " --lm-manifest {input.lm_manifest} --manifest {output.manifest} --params {params.slice:q}"
        " --modules {input.modules} --log {log}"
