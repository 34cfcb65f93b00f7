# A language model as an ordinary folder. Large: its manifest, with every file's sha256, carries staleness.


def lm_slice(w):
    entry = STUDY.lms[w.lm]
    return json_of(lm=w.lm, source={"kind": entry.kind} | entry.dump)


def made_of(w):
    """Manifest of the language model from which a twin takes its architecture, and a checkpoint its weights, too."""
    entry = STUDY.lms[w.lm]
    return [paths.LM.format(lm=entry.params.of)] if entry.kind in (UNTRAINED, CHECKPOINT) else []


rule fetch_lm:
    input:
        of=made_of,
        modules=lambda w: modules_of("fetch_lm.py", kinds.module_of("lms", STUDY.lms[w.lm].kind)),
    output:
        manifest=paths.LM,
    log:
        log_of("fetch_lm", "{lm}"),
    benchmark:
        benchmark_of("fetch_lm", "{lm}")
    wildcard_constraints:
        lm=one_of(lm for lm in READ if STUDY.lms[lm].kind != TRAINED),
    priority: 20  # every embedding waits for it
    threads: 1
    resources:
        mem_mb=4000,
    params:
        slice=lm_slice,
        downloads=str(DOWNLOADS),
    message:
        "language model {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --manifest {output.manifest} --downloads {params.downloads} --of {input.of}"
        " --params {params.slice:q} --modules {input.modules} --log {log}"


def corpus_of(w):
    return STUDY.lms[w.lm].params.corpus


rule train_lm:
    input:
        documents=ancient(lambda w: paths.DOCUMENTS.format(corpus=corpus_of(w))),
        corpus=lambda w: paths.CORPUS.format(corpus=corpus_of(w)),
        words=lambda w: words_of(STUDY.corpora[corpus_of(w)]),
        modules=lambda w: modules_of("train_lm.py", kinds.module_of("corpora", STUDY.corpora[corpus_of(w)].kind)),
    output:
        manifest=paths.LM,
    log:
        log_of("train_lm", "{lm}"),
    benchmark:
        benchmark_of("train_lm", "{lm}")
    wildcard_constraints:
        lm=one_of(name for name, entry in STUDY.lms.items() if entry.kind == TRAINED),
    priority: 30
    threads: 1
    resources:
        mem_mb=3000,
    params:
        slice=lm_slice,
    message:
        "train language model {wildcards.lm}"
    shell:
        "{PYTHON} {input.modules[0]} --documents {input.documents} --corpus-manifest {input.corpus}"
        " --words {input.words:q} --manifest {output.manifest} --params {params.slice:q} --modules {input.modules}"
        " --threads {threads} --log {log}"
