"""ShiftScope: pairs of texts and a language model in, identifiable steering vectors and a report out.

`snakemake --cores all` builds everything that config.yaml asks for; `snakemake --cores all table_a6` one table.
"""


include: "rules/common.smk"
include: "rules/corpora.smk"
include: "rules/lms.smk"
include: "rules/pairs.smk"
include: "rules/embeddings.smk"
include: "rules/activations.smk"
include: "rules/synthetic.smk"
include: "rules/simulations.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/vectors.smk"
include: "rules/behaviour.smk"
include: "rules/tables.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        report=[paths.REPORT, *latents_page(), *vectors_page()],
        readmes=cards_of_vectors(paths.VECTORS_README),
        metrics=[paths.METRICS, paths.MEANS],
        vectors=vectors_wanted(paths.VECTORS),
        tables=[entry_file(name, ending) for name in SHOWN for ending in ("md", "csv")],
    message:
        f"done: open {paths.REPORT}"


rule embeddings:
    input:
        manifests=[
            paths.EMBEDDINGS_MANIFEST.format(lm=lm, dataset=dataset)
            for lm, dataset in dict.fromkeys(STUDY.trained_on() + STUDY.words_on())
        ],
    message:
        "all embeddings are there"


rule activations:
    input:
        manifests=[paths.STORE.format(lm=lm, dataset=dataset) for lm, dataset in STUDY.stores()],
    message:
        "all activations are there"


rule models:
    input:
        sidecars=[trained_on(*place, paths.MODELS_SIDECAR) for place in STUDY.trained_on() + STUDY.simulated_on()],
    message:
        "all models are there"


rule vectors:
    input:
        vectors=vectors_wanted(paths.VECTORS),
        readmes=cards_of_vectors(paths.VECTORS_README),
        report=[paths.REPORT, *vectors_page()],
    message:
        f"done: open {(vectors_page() or [paths.REPORT])[0]}"


rule report:
    input:
        report=[paths.REPORT, *latents_page(), *vectors_page()],
    message:
        f"{paths.REPORT} is there"
