# Text pairs, of word lists or of a user's own file.


def definition_of(dataset):
    """What defines a dataset. Of the user's files, if it reads any, the digest: where they lie is no reason to read them again."""
    entry = STUDY.pairs[dataset]
    params = {key: value for key, value in entry.dump.items() if key != "path"}
    return dict(dataset=dataset, kind=entry.kind, params=params, files_sha256=DIGESTS.get(dataset))


def own_files(w, output):
    """Where the user's files lie. It has `output` as an argument, so that they are no reason to rerun."""
    paths_ = STUDY.pairs[w.dataset].params.user_files
    return ["--files", *map(str, paths_)] if paths_ else []


rule make_pairs:
    input:
        words=lambda w: words_of(STUDY.pairs[w.dataset]),
        modules=lambda w: modules_of("make_pairs.py", kinds.module_of("pairs", STUDY.pairs[w.dataset].kind)),
    output:
        pairs=paths.PAIRS,
        rejected=paths.REJECTED,
        manifest=paths.PAIRS_MANIFEST,
    log:
        log_of("make_pairs", "{dataset}"),
    benchmark:
        benchmark_of("make_pairs", "{dataset}")
    wildcard_constraints:
        dataset=one_of(STUDY.pairs),
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=lambda w: json_of(**definition_of(w.dataset)),
        files=own_files,
        refused=lambda w, output: paths.REFUSED.format(dataset=w.dataset),
    message:
        "pairs of {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --pairs {output.pairs} --rejected {output.rejected} --manifest {output.manifest}"
        " {params.files:q} --refused {params.refused} --words {input.words:q} --params {params.slice:q} --modules {input.modules} --log {log}"
