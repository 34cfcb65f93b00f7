# The report: a self-contained page, and one of latents beside it, if there are any.

SHOWN = STUDY.tables + STUDY.figures


rule make_report:
    input:
        tables=[entry_file(name, "parquet") for name in SHOWN],
        figures=[entry_file(name, "svg") for name in STUDY.figures],
        vectors=vectors_wanted(paths.VECTORS_ABOUT),
        samples=[paths.SAMPLES.format(lm=lm) for lm in STUDY.causal],
        modules=modules_of("make_report.py", *dict.fromkeys(code for name in SHOWN for code in code_of_entry(name))),
        templates=[str(file.relative_to(ROOT)) for file in TEMPLATES],
    output:
        report=paths.REPORT,
        run=paths.RUN,
    log:
        log_of("make_report", "all"),
    benchmark:
        benchmark_of("make_report", "all")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=lambda w: json_of(
            config=STUDY.resolved, latents=bool(STUDY.described()), vectors=bool(STUDY.for_vectors())
        ),
        benchmarks=str(paths.BENCHMARKS),
        logs=str(paths.LOGS),
    message:
        "report"
    shell:
        "{PYTHON} {input.modules[0]} --tables {input.tables} --figures {input.figures} --vectors {input.vectors} --samples {input.samples}"
        " --params {params.slice:q} --report {output.report} --run {output.run} --benchmarks {params.benchmarks} --logs {params.logs}"
        " --modules {input.modules} --log {log}"


rule show_latents:
    input:
        cards=[paths.CARDS.format(lm=lm, dataset=dataset) for lm, dataset in STUDY.described()],
        modules=modules_of("show_latents.py"),
        templates=[str(file.relative_to(ROOT)) for file in LATENT_TEMPLATES],
    output:
        page=paths.LATENTS,
    log:
        log_of("show_latents", "all"),
    benchmark:
        benchmark_of("show_latents", "all")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        report=paths.REPORT,
    message:
        "page of latents"
    shell:
        "{PYTHON} {input.modules[0]} --cards {input.cards} --page {output.page} --report {params.report} --modules {input.modules} --log {log}"


FIGURE_OF_CODES = [entry_file("figure_codes", "svg")] if "figure_codes" in STUDY.figures else []


rule show_vectors:
    input:
        cards=cards_of_vectors(paths.VECTORS_CARD),
        diagnoses=cards_of_vectors(paths.DIAGNOSIS),
        vectors=ancient(cards_of_vectors(paths.VECTORS.replace("{variant}", RECOMMENDED))),
        figure=FIGURE_OF_CODES,
        modules=modules_of("show_vectors.py"),
        templates=[str(file.relative_to(ROOT)) for file in VECTOR_TEMPLATES],
    output:
        page=paths.VECTORS_PAGE,
    log:
        log_of("show_vectors", "all"),
    benchmark:
        benchmark_of("show_vectors", "all")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        report=paths.REPORT,
    message:
        "page of steering vectors"
    shell:
        "{PYTHON} {input.modules[0]} --cards {input.cards} --diagnoses {input.diagnoses} --vectors {input.vectors} --figure {input.figure} --page {output.page}"
        " --report {params.report} --modules {input.modules} --log {log}"
