# The embeddings of text pairs by every language model, and mapped ones.


def embed_slice(names, datasets):
    """What a job depends on; `layer` is that of the folder with the LM's plain name, a further one stands in its folder's."""

    def slice(w):
        name = lm_of(filled(names, w)[0])
        lm = STUDY.lms[name]
        return json_of(
            lm=name,
            trained_on={dataset: STUDY.is_trained_on(dataset) for dataset in filled(datasets, w)},
            layer=lm.layer,
            token="last",
            dtype=lm.dtype,
            batch_tokens=lm.batch_tokens,
            device_map=lm.device_map,
        )

    return slice


def layers_in(w, output):
    """The layers of a job's folders. Derived from its output, so that they are no reason to rerun."""
    names = dict.fromkeys(paths.parsed(paths.EMBEDDINGS_MANIFEST, file)["lm"] for file in output.manifests)
    return [STUDY.layers_of(lm_of(name))[name] for name in names]


def passes_of(lm, datasets, manifest):
    """The names that a language model has at the layers of each pass through it, by the pattern of what a layer is known by.

    Of several layers, a pass reads all that an earlier run recorded of all its datasets, or all others. So everything is
    read at once, and a layer that is added later is read alone: read with the others, it would make all that follows from
    those run again.
    """
    names = list(STUDY.layers_of(lm))
    if len(names) == 1:
        return [names]
    known = [name for name in names if all(manifest.format(lm=name, dataset=one) in RECORDED for one in datasets)]
    return [some for some in (known, [name for name in names if name not in known]) if some]


RECORDED = provenance.read_ledger() if any(len(STUDY.layers_of(lm)) > 1 for lm in READ) else {}


def some_of(lm, names):
    """The layers of a pass that reads some of a language model's, by which its rule is told from the others'."""
    layers = STUDY.layers_of(lm)
    return [layers[name] for name in names] if len(names) < len(layers) else []


def passes():
    """What one job embeds: `(rule, lms, names of the lm at its layers, its datasets, allowed for the wildcard among these)`."""
    shared = {lm: STUDY.embedded_together(lm) for lm in READ}
    single = [lm for lm in READ if len(STUDY.layers_of(lm)) == 1]
    yield "embed_pairs", single, ["{lm}"], ["{dataset}"], list(STUDY.pairs)
    for job in dict.fromkeys(job for lm in single for job in shared[lm]):
        name = sharing("embed_pairs", rule_name("embed_pairs", *job))
        yield name, [lm for lm in single if job in shared[lm]], ["{lm}"], job, []
    for lm in (lm for lm in READ if lm not in single):
        alone = [(dataset,) for dataset in STUDY.pairs if not any(dataset in job for job in shared[lm])]
        read = {}
        for job in [*alone, *shared[lm]]:
            for names in passes_of(lm, job, paths.EMBEDDINGS_MANIFEST):
                read.setdefault(tuple(names), []).append(job)
        for names, jobs in read.items():
            one = rule_name("embed_pairs", lm, *some_of(lm, names))
            yield one, [lm], names, ["{dataset}"], [job[0] for job in jobs if len(job) == 1]
            for job in (job for job in jobs if len(job) > 1):
                yield rule_name("embed_pairs", lm, *some_of(lm, names), *job), [lm], names, job, []


def of_all(pattern, datasets, names=("{lm}",)):
    """Files of some datasets, each for all names that a language model has at several layers."""
    return [pattern.replace("{dataset}", dataset).replace("{lm}", name) for dataset in datasets for name in names]


for name, lms, names, datasets, allowed in passes():

    rule:
        name:
            name
        input:
            pairs=ancient(of_all(paths.PAIRS, datasets)),
            pairs_manifests=of_all(paths.PAIRS_MANIFEST, datasets),
            lm_manifest=paths.LM.replace("{lm}", lm_of(names[0])),
            modules=modules_of("embed_pairs.py"),
        output:
            embeddings=of_all(paths.EMBEDDINGS, datasets, names),
            manifests=of_all(paths.EMBEDDINGS_MANIFEST, datasets, names),
        log:
            log_of("embed_pairs", f"{names[0]}/{datasets[0]}"),
        benchmark:
            benchmark_of("embed_pairs", f"{names[0]}/{datasets[0]}")
        wildcard_constraints:
            lm=one_of(lms),
            dataset=one_of(allowed),
        priority: 10  # everything else of a language model waits for these
        threads: 1
        resources:
            mem_mb=4000,
        params:
            slice=embed_slice(names, datasets),
            layers=layers_in,
        message:
            f"embeddings of {', '.join(datasets).replace('{dataset}', '{wildcards.dataset}')} by {names[0].replace('{lm}', '{wildcards.lm}')}, {{params.layers}}"
        shell:
            "{PYTHON} {input.modules[0]} --pairs {input.pairs} --pairs-manifests {input.pairs_manifests}"
            " --lm-manifest {input.lm_manifest} --layers {params.layers} --embeddings {output.embeddings}"
            " --manifests {output.manifests} --params {params.slice:q} --modules {input.modules} --threads {threads}"
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
