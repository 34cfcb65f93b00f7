# The embeddings of text pairs by every language model, and mapped ones.


def embed_slice(w, output):
    """`layer` is that of the folder with the LM's plain name; a further layer stands in its folder's name."""
    name = lm_of(paths.parsed(paths.EMBEDDINGS_MANIFEST, output.manifest[0])["lm"])
    lm = STUDY.lms[name]
    return json_of(
        lm=name,
        dataset=w.dataset,
        layer=lm.layer,
        token="last",
        trained_on=STUDY.is_trained_on(w.dataset),
        dtype=lm.dtype,
        batch_tokens=lm.batch_tokens,
        device_map=lm.device_map,
    )


def layers_in(w, output):
    """The layers of a job's folders. Derived from its output, so that it is no reason to rerun."""
    names = [paths.parsed(paths.EMBEDDINGS_MANIFEST, file)["lm"] for file in output.manifest]
    return [STUDY.layers_of(lm_of(name))[name] for name in names]


def passes_of(lm, dataset, manifest):
    """The names that a language model has at the layers of each pass through it, by the pattern of what a layer is known by.

    Of several layers, a pass reads all that an earlier run recorded, or all others. So everything is read at once, and a
    layer that is added later is read alone: read with the others, it would make all that follows from those run again.
    """
    names = list(STUDY.layers_of(lm))
    if len(names) == 1:
        return [names]
    known = [name for name in names if manifest.format(lm=name, dataset=dataset) in RECORDED]
    return [some for some in (known, [name for name in names if name not in known]) if some]


RECORDED = provenance.read_ledger() if any(len(STUDY.layers_of(lm)) > 1 for lm in READ) else {}


def some_of(lm, names):
    """The layers of a pass that reads some of a language model's, by which its rule is told from the others'."""
    layers = STUDY.layers_of(lm)
    return [layers[name] for name in names] if len(names) < len(layers) else []


def passes():
    """What one pass through a language model reads: `(rule, lms, names of the lm at its layers, datasets)`."""
    single = [lm for lm in READ if len(STUDY.layers_of(lm)) == 1]
    several = {}
    for lm, dataset in ((lm, dataset) for lm in READ if lm not in single for dataset in STUDY.pairs):
        for names in passes_of(lm, dataset, paths.EMBEDDINGS_MANIFEST):
            several.setdefault((lm, *names), []).append(dataset)
    yield "embed_pairs", single, ["{lm}"], list(STUDY.pairs)
    for (lm, *names), datasets in several.items():
        yield rule_name("embed_pairs", lm, *some_of(lm, names)), [lm], names, datasets


def at_layers(pattern, names):
    """A pattern of embeddings for the names that a language model has at several layers."""
    return [pattern.replace("{lm}", name) for name in names]


for name, lms, names, datasets in passes():

    rule:
        name:
            name
        input:
            pairs=ancient(paths.PAIRS),
            pairs_manifest=paths.PAIRS_MANIFEST,
            lm_manifest=paths.LM.replace("{lm}", lm_of(names[0])),
            modules=modules_of("embed_pairs.py"),
        output:
            embeddings=at_layers(paths.EMBEDDINGS, names),
            manifest=at_layers(paths.EMBEDDINGS_MANIFEST, names),
        log:
            log_of("embed_pairs", f"{names[0]}/{{dataset}}"),
        benchmark:
            benchmark_of("embed_pairs", f"{names[0]}/{{dataset}}")
        wildcard_constraints:
            lm=one_of(lms),
            dataset=one_of(datasets),
        priority: 10  # everything else of a language model waits for these
        threads: 1
        resources:
            mem_mb=4000,
        params:
            slice=embed_slice,
            layers=layers_in,
        message:
            f"embeddings of {{wildcards.dataset}} by {names[0].replace('{lm}', '{wildcards.lm}')}, {{params.layers}}"
        shell:
            "{PYTHON} {input.modules[0]} --pairs {input.pairs} --pairs-manifest {input.pairs_manifest}"
            " --lm-manifest {input.lm_manifest} --layers {params.layers} --embeddings {output.embeddings}"
            " --manifest {output.manifest} --params {params.slice:q} --modules {input.modules} --threads {threads}"
            " --log {log}"


def mapped_from(pattern):
    """The embeddings that are mapped, by the pattern of their file or manifest."""
    return lambda w: pattern.format(lm=STUDY.lms[w.lm].params.of, dataset=w.dataset)


rule map_embeddings:
    input:
        embeddings=ancient(mapped_from(paths.EMBEDDINGS)),
        manifest=mapped_from(paths.EMBEDDINGS_MANIFEST),
        modules=modules_of("map_embeddings.py"),
    output:
        embeddings=paths.EMBEDDINGS,
        manifest=paths.EMBEDDINGS_MANIFEST,
    log:
        log_of("map_embeddings", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("map_embeddings", "{lm}/{dataset}")
    wildcard_constraints:
        lm=one_of(lm for lm in STUDY.lms if lm not in READ),
        dataset=one_of(STUDY.pairs),
    threads: 1
    resources:
        mem_mb=2000,
    params:
        slice=lambda w: json_of(lm=w.lm, dataset=w.dataset, map=STUDY.lms[w.lm].dump),
    message:
        "embeddings of {wildcards.dataset}, mapped: {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --source {input.embeddings} --source-manifest {input.manifest}"
        " --embeddings {output.embeddings} --manifest {output.manifest}"
        " --params {params.slice:q} --modules {input.modules} --log {log}"
