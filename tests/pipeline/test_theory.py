"""From a grammar to the log-posterior test and to steered texts in the report; only what is asked anew runs again."""

from pathlib import Path

import pytest
from helpers.clone import Project, new_project
from helpers.sharing import copy_of

from shiftscope.files import read_json, read_parquet

CONFIG = """\
seeds: ["0"]
corpora: {grammar: {documents: 3000}}
lms:
  tiny: &tiny
    {source: train, corpus: grammar, d_model: 16, n_layers: 1, n_heads: 2, window: 24, steps: 120, lr: 0.01, warmup: 5, checkpoints: [0, 20],
     gate: -100, pairs: [words], posterior: {contexts: 500}, causal: {pairs: 8, written: 4, samples: 1, others: [words]}}
  twin: {source: untrained, of: tiny, seed: 0, pairs: [words], variants: [pca]}
pairs: {words: {kind: lang_1_1, template: "{text}"}}
synthetic: {}
simulations: {}
activations: {text: {corpus: grammar, lms: [tiny], window: 24, tokens: 2400, held_out: 480, codes: [32]}}
variants:
  pca: {}
  mean_difference: {trained_with: pca}
  topk: {steps: 10, batch_size: 64, warmup: 2, k: 4}
tables: [table_posterior, table_causal]
figures: [figure_posterior, figure_causal]
"""


@pytest.fixture(scope="session")
def made(clone, once) -> Path:
    """A folder with a project (`first`) that has run to its end."""

    def make(folder: Path) -> None:
        folder.mkdir()
        project = new_project(clone, folder)
        (project.folder / "config.yaml").write_text(CONFIG)
        project.run("snakemake", "report", "--cores", "2")

    return once("theory", make)


@pytest.mark.workflow
def test_a_grammar_becomes_posteriors_and_steered_texts_and_a_changed_dose_steers_again(made, tmp_path):
    (first,) = copy_of(made, tmp_path / "made", "first")
    first: Project
    results = first.folder / "results"
    posterior = read_parquet(results / "parts/tiny/_posterior.parquet").to_pandas()
    assert {"gender", "tense", "bullet (NULL)"} <= set(posterior["concept"])
    assert {"untrained_lm", "bag_of_tokens", "permuted_labels"} <= set(posterior["control"])
    assert set(posterior["step"].dropna()) == {20}
    causal = read_parquet(results / "parts/tiny/_causal.parquet").to_pandas()
    assert {"pca", "mean_difference", "topk"} <= set(causal["variant"]) and set(causal["concept"]) == {"french"}
    assert {"kl_removed", "steered_success", "steered_broken"} <= set(causal["metric"])
    samples = read_json(results / "samples/tiny.json")["samples"]
    assert {one["variant"] for one in samples} == {"pca", "mean_difference", "topk"}
    page = (results / "report/index.html").read_text()
    assert "Written under steering" in page and samples[0]["text"] in page
    warned = (results / "logs/evaluate_posterior/tiny.log").read_text()
    assert "bullet is not tested: its log-posterior is the same wherever it is uncertain" in warned

    assert "Nothing to be done" in first.run("snakemake", "report", "--cores", "2")
    config = first.folder / "config.yaml"
    config.write_text(CONFIG.replace("causal: {pairs: 8", "causal: {doses: [1, 3], pairs: 8"))
    said = first.run("snakemake", "report", "--cores", "2")
    assert "tiny, steered by every variant" in said and "train" not in said and "log-posterior" not in said
    causal = read_parquet(results / "parts/tiny/_causal.parquet").to_pandas()
    assert set(causal["dose"].dropna()) == {1.0, 3.0}
