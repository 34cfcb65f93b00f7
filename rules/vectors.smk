# Steering vectors of one dataset on one language model: a file per variant, all written by one job.


def vectors_of(lm, dataset, pattern):
    return expand(pattern, lm=lm, dataset=dataset, variant=STUDY.exports_of(lm, dataset))


def vectors_slice(w, output):
    return json_of(variants=[paths.parsed(paths.VECTORS, file)["variant"] for file in output.vectors])


# a rule for each, for they differ in their variants, and so in the files that they write
for lm, dataset in STUDY.needed_by("layers"):

    rule:
        name:
            rule_name("export_vectors", lm, dataset)
        input:
            embeddings=ancient(paths.EMBEDDINGS.format(lm=lm, dataset=dataset)),
            manifest=paths.EMBEDDINGS_MANIFEST.format(lm=lm, dataset=dataset),
            weights=ancient(main_models(lm, dataset, STUDY.vectors_of(lm, dataset), paths.MODELS)),
            sidecars=main_models(lm, dataset, STUDY.vectors_of(lm, dataset), paths.MODELS_SIDECAR),
            modules=modules_of("export_vectors.py", *classes_of(STUDY.vectors_of(lm, dataset))),
        output:
            vectors=vectors_of(lm, dataset, paths.VECTORS),
            others=vectors_of(lm, dataset, paths.OTHER_VECTORS),
            about=vectors_of(lm, dataset, paths.VECTORS_ABOUT),
        log:
            log_of("export_vectors", f"{lm}/{dataset}"),
        benchmark:
            benchmark_of("export_vectors", f"{lm}/{dataset}")
        threads: 1
        resources:
            mem_mb=memory_for,
        params:
            slice=vectors_slice,
        message:
            f"steering vectors of {dataset} on {lm}"
        shell:
            "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest}"
            " --weights {input.weights} --sidecars {input.sidecars}"
            " --vectors {output.vectors} --others {output.others} --about {output.about}"
            " --params {params.slice:q} --modules {input.modules} --log {log}"


NEUTRAL = "data/texts/neutral.txt"
CARD_PAIRS = 32  # texts whose next-token laws are in memory


rule diagnose_pairs:
    input:
        embeddings=ancient(paths.EMBEDDINGS),
        manifest=paths.EMBEDDINGS_MANIFEST,
        pairs=ancient(paths.PAIRS),
        pairs_manifest=paths.PAIRS_MANIFEST,
        lm_manifest=lambda w: paths.LM.format(lm=lm_of(w.lm)),
        modules=modules_of("diagnose_pairs.py"),
    output:
        diagnosis=paths.DIAGNOSIS,
    log:
        log_of("diagnose_pairs", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("diagnose_pairs", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.pairs),
    priority: 20  # what is wrong with pairs is said before hours are spent on them
    threads: 1
    resources:
        mem_mb=memory_for,
    params:
        slice=lambda w: json_of(lm=w.lm, codes=STUDY.codes(w.lm, w.dataset)),
    message:
        "diagnosis of {wildcards.dataset} on {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest} --pairs {input.pairs}"
        " --pairs-manifest {input.pairs_manifest} --lm-manifest {input.lm_manifest} --diagnosis {output.diagnosis}"
        " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"


def card_slice(w):
    lm = STUDY.lm(w.lm)
    return json_of(lm=w.lm, dtype=lm.dtype, batch_tokens=lm.batch_tokens, device_map=lm.device_map)


rule describe_vectors:
    input:
        embeddings=ancient(paths.EMBEDDINGS),
        manifest=paths.EMBEDDINGS_MANIFEST,
        pairs=ancient(paths.PAIRS),
        pairs_manifest=paths.PAIRS_MANIFEST,
        lm_manifest=lambda w: paths.LM.format(lm=lm_of(w.lm)),
        vectors=ancient(paths.VECTORS.replace("{variant}", RECOMMENDED)),
        others=ancient(paths.OTHER_VECTORS.replace("{variant}", RECOMMENDED)),
        about=paths.VECTORS_ABOUT.replace("{variant}", RECOMMENDED),
        neutral=NEUTRAL,
        modules=modules_of("describe_vectors.py"),
    output:
        card=paths.VECTORS_CARD,
    log:
        log_of("describe_vectors", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("describe_vectors", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.pairs),
    threads: 1
    resources:
        mem_mb=lambda w, input: max(4000, steering_mb(Path(input.lm_manifest), STUDY.lm(w.lm).dtype, CARD_PAIRS)),
    params:
        slice=card_slice,
    message:
        "what vectors of {wildcards.dataset} do on {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest} --pairs {input.pairs}"
        " --pairs-manifest {input.pairs_manifest} --lm-manifest {input.lm_manifest} --vectors {input.vectors}"
        " --others {input.others} --about {input.about} --neutral {input.neutral} --card {output.card}"
        " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"


rule write_readme:
    input:
        card=paths.VECTORS_CARD,
        diagnosis=paths.DIAGNOSIS,
        vectors=ancient(paths.VECTORS.replace("{variant}", RECOMMENDED)),
        modules=modules_of("write_readme.py"),
    output:
        readme=paths.VECTORS_README,
    log:
        log_of("write_readme", "{lm}/{dataset}"),
    benchmark:
        benchmark_of("write_readme", "{lm}/{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.pairs),
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "card of the vectors of {wildcards.dataset} on {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --card {input.card} --diagnosis {input.diagnosis} --vectors {input.vectors}"
        " --readme {output.readme} --modules {input.modules} --log {log}"
