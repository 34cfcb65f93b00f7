# Tables and figures, each of the parts that it names; and all parts in one file, for people.


def parts_for(name):
    return parts_of(catalogue.entry(name).PARTS)


def code_of_entry(name):
    """An entry's own module, and the classes of the variants in its parts, by which it decides, not by their names."""
    parts = catalogue.entry(name).PARTS
    shown = {variant for place in places_of(parts) for variant in every_variant(*place)}
    if parts == "causal":  # latents of autoencoders steer, too
        shown.update(variant for lm in STUDY.causal for variant in STUDY.causal_variants(lm))
    return [kinds.module_of("tables", name), *classes_of(shown - set(STUDY.hidden_from(name)))]


def entry_slice(name):
    """An entry, and the variants that it leaves out, if any: those that name the tables and figures that show them."""
    return json_of(entry=name, hidden=STUDY.hidden_from(name))


rule make_table:
    input:
        parts=lambda w: parts_for(w.table),
        modules=lambda w: modules_of("make_table.py", *code_of_entry(w.table)),
    output:
        table=paths.TABLE + ".parquet",
        csv=paths.TABLE + ".csv",
        markdown=paths.TABLE + ".md",
    log:
        log_of("make_table", "{table}"),
    benchmark:
        benchmark_of("make_table", "{table}")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=lambda w: entry_slice(w.table),
    message:
        "{wildcards.table}"
    shell:
        "{PYTHON} {input.modules[0]} --parts {input.parts} --table {output.table} --csv {output.csv}"
        " --markdown {output.markdown} --params {params.slice:q} --modules {input.modules} --log {log}"


rule make_figure:
    input:
        parts=lambda w: parts_for(w.figure),
        modules=lambda w: modules_of("make_figure.py", *code_of_entry(w.figure)),
    output:
        figure=paths.FIGURE + ".svg",
        table=paths.FIGURE + ".parquet",
        csv=paths.FIGURE + ".csv",
        markdown=paths.FIGURE + ".md",
    log:
        log_of("make_figure", "{figure}"),
    benchmark:
        benchmark_of("make_figure", "{figure}")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=lambda w: entry_slice(w.figure),
    message:
        "{wildcards.figure}"
    shell:
        "{PYTHON} {input.modules[0]} --parts {input.parts} --figure {output.figure} --table {output.table}"
        " --csv {output.csv} --markdown {output.markdown} --params {params.slice:q} --modules {input.modules} --log {log}"


# one target per row of the catalogue: `snakemake --cores all table_a6`
for name in STUDY.tables + STUDY.figures:

    rule:
        name:
            name
        input:
            markdown=entry_file(name, "md"),


rule collect_metrics:
    input:
        parts=lambda w: list(dict.fromkeys(part for kind in catalogue.NEEDS for part in parts_of(kind))),
        modules=modules_of("collect_metrics.py"),
    output:
        metrics=paths.METRICS,
        means=paths.MEANS,
    log:
        log_of("collect_metrics", "all"),
    benchmark:
        benchmark_of("collect_metrics", "all")
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "all metrics in one file, and their means"
    shell:
        "{PYTHON} {input.modules[0]} --parts {input.parts} --metrics {output.metrics}"
        " --means {output.means} --modules {input.modules} --log {log}"
