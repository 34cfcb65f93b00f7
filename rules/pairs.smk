# Text pairs, of word lists or of a user's own file.


def definition_of(dataset):
    """What defines a dataset. Of the user's file, if it reads one, the digest: where it lies is no reason to read it again."""
    entry = STUDY.pairs[dataset]
    params = {key: value for key, value in entry.dump.items() if key != "path"}
    return dict(dataset=dataset, kind=entry.kind, params=params, file_sha256=DIGESTS.get(dataset))


def own_file(w, output):
    """Where the user's file lies. It has `output` as an argument, so that it is no reason to rerun."""
    path = STUDY.pairs[w.dataset].params.user_file
    return ["--file", str(path)] if path else []


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
        file=own_file,
    message:
        "pairs of {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --pairs {output.pairs} --rejected {output.rejected} --manifest {output.manifest}"
        " {params.file:q} --words {input.words:q} --params {params.slice:q} --modules {input.modules} --log {log}"
