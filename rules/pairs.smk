# Text pairs, of word lists or of a user's own file.


def pairs_slice(w):
    """Of the user's file, if one is read, its digest: where it lies is no reason to read it again."""
    entry = STUDY.pairs[w.dataset]
    params = {key: value for key, value in entry.dump.items() if key != "path"}
    return json_of(dataset=w.dataset, kind=entry.kind, params=params, file_sha256=DIGESTS.get(w.dataset))


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
        slice=pairs_slice,
        file=own_file,
    message:
        "pairs of {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --pairs {output.pairs} --rejected {output.rejected} --manifest {output.manifest}"
        " {params.file:q} --words {input.words:q} --params {params.slice:q} --modules {input.modules} --log {log}"
