# Text whose concepts are known, sampled from a grammar. Large: its manifest, with its sha256, carries staleness.


def corpus_slice(w):
    entry = STUDY.corpora[w.corpus]
    return json_of(corpus=w.corpus, kind=entry.kind, params=entry.dump)


rule make_corpus:
    input:
        words=lambda w: words_of(STUDY.corpora[w.corpus]),
        modules=lambda w: modules_of("make_corpus.py", kinds.module_of("corpora", STUDY.corpora[w.corpus].kind)),
    output:
        documents=paths.DOCUMENTS,
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
    message:
        "corpus {wildcards.corpus}"
    shell:
        "{PYTHON} {input.modules[0]} --documents {output.documents} --manifest {output.manifest}"
        " --words {input.words:q} --params {params.slice:q} --modules {input.modules} --log {log}"
