# Text pairs, of word lists or of a user's own file.


def own_file(w):
    """The user's file that a dataset reads, if it reads one. Large: its digest is a parameter instead."""
    path = STUDY.pairs[w.dataset].params.user_file
    return [ancient(str(path))] if path else []


def pairs_slice(w):
    entry = STUDY.pairs[w.dataset]
    return json_of(dataset=w.dataset, kind=entry.kind, params=entry.dump, file_sha256=DIGESTS.get(w.dataset))


rule make_pairs:
    input:
        own=own_file,
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
    message:
        "pairs of {wildcards.dataset}"
    shell:
        "{PYTHON} {input.modules[0]} --pairs {output.pairs} --rejected {output.rejected} --manifest {output.manifest}"
        " --words {input.words:q} --params {params.slice:q} --modules {input.modules} --log {log}"
