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
