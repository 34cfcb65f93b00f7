# Corpora: text sampled from a grammar, or read. Large: the manifest, with its sha256, carries staleness.


def corpus_slice(w):
    """What defines a corpus. Of the user's files, if it reads some, the digest: where they lie is no reason to read them again."""
    entry = STUDY.corpora[w.corpus]
    params = {key: value for key, value in entry.dump.items() if key != "path"}
    return json_of(corpus=w.corpus, kind=entry.kind, params=params, **ORIGINS[w.corpus])


def text_of(w, output):
    """Where the user's text lies. It has `output` as an argument, so that it is no reason to rerun."""
    path = STUDY.corpora[w.corpus].params.user_path
    return ["--path", str(path)] if path else []


rule make_corpus:
    input:
        words=lambda w: words_of(STUDY.corpora[w.corpus]),
        modules=lambda w: modules_of("make_corpus.py", kinds.module_of("corpora", STUDY.corpora[w.corpus].kind)),
    output:
        documents=paths.DOCUMENTS,
        rejected=paths.REJECTED_DOCUMENTS,
        manifest=paths.CORPUS,
    log:
        log_of("make_corpus", "{corpus}"),
    benchmark:
        benchmark_of("make_corpus", "{corpus}")
    wildcard_constraints:
        corpus=one_of(STUDY.corpora),
    priority: 30  # a language model waits for it
    threads: 1
    resources:
        mem_mb=2000,
    params:
        slice=corpus_slice,
        path=text_of,
    message:
        "corpus {wildcards.corpus}"
    shell:
        "{PYTHON} {input.modules[0]} --documents {output.documents} --rejected {output.rejected}"
        " --manifest {output.manifest} {params.path:q} --words {input.words:q} --params {params.slice:q}"
        " --modules {input.modules} --log {log}"
