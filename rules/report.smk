# The report: one self-contained page.

RUN = CONFIG.tables + CONFIG.figures


def numbers_of(name):
    return f"results/{name.split('_')[0]}s/{name}.parquet"


rule report:
    input:
        tables=[numbers_of(name) for name in RUN],
        figures=[f"results/figures/{name}.svg" for name in CONFIG.figures],
        vectors=vectors_wanted("json"),
        code=code("report.py", *(f"shiftscope.tables.{name}" for name in RUN)),
        templates=[str(file.relative_to(ROOT)) for file in TEMPLATES],
    output:
        report="results/report/index.html",
        run="results/run.json",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    resources:
        mem_mb=1000,
    params:
        slice=lambda w: CONFIG.resolved,
    message:
        "report"
    shell:
        "{PYTHON} {input.code[0]} --tables {input.tables} --figures {input.figures} --vectors {input.vectors}"
        " --config {params.slice:q} --report {output.report} --run {output.run} --benchmarks results/benchmarks"
        " --code {input.code} --log {log}"
