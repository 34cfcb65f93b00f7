"""Curves over layers."""

import re

import pytest
from helpers.fake_metrics import layer_rows, row
from helpers.tables import built, verdict_on

from shiftscope.tables import figure_layers, verdicts
from shiftscope.tables.drawing import write_figure
from shiftscope.tables.wide import write_table


def test_layers_stand_in_the_order_of_depth_and_the_final_norm_is_last(tmp_path):
    table = built("figure_layers", layer_rows(), tmp_path)
    cat = table[(table["dataset"] == "cat_135_3") & (table["metric"] == "mcc_truth") & (table["variant"] == "ssae")]
    assert list(cat["layer"]) == ["resid_post.2", "resid_post.10", "resid_post.26", "final_norm"]
    assert cat["mean"].is_monotonic_increasing is False and cat["mean"].idxmax() == cat.index[1]
    assert cat[["untrained_lm", "ceiling"]].notna().all(axis=None)
    assert figure_layers.positions(list(cat["layer"])) == {
        "resid_post.2": 2, "resid_post.10": 10, "resid_post.26": 26, "final_norm": 42,
    }  # fmt: skip
    assert figure_layers.positions(["resid_post.29", "final_norm"]) == {"resid_post.29": 29, "final_norm": 30}


def test_what_was_read_at_one_layer_alone_is_no_curve(tmp_path):
    alone = row("own", "ssae", "mcc_truth", 0.5, 4, seed=0), row("cat_135_3", "pca", "mcc_truth", 0.5, 27, seed=0)
    rows = [*layer_rows(), *alone]
    table = built("figure_layers", rows, tmp_path)
    assert set(table["dataset"]) == {"lang_1_1", "cat_135_3"} and set(table["variant"]) == {"ssae", "affine"}


def curve(untrained, **scores):
    """`mcc_truth` by layer of two seeds, and of the untrained network at every layer."""
    values = [(layer, control, value) for layer, value in scores.items() for control, value in
              (("", value), ("untrained_lm", untrained))]  # fmt: skip
    names = {"last": "final_norm", "early": "resid_post.0"}
    return [
        row("cat_135_3", "ssae", "mcc_truth", value - 0.001 * seed, 27, seed=seed, control=control, layer=names[layer])
        for layer, control, value in values
        for seed in range(2)
    ]


@pytest.mark.parametrize(
    ("rows", "status", "found"),
    [
        (curve(0.3, last=0.9, early=0.5), verdicts.HOLDS, "finds the concepts at the last layer as well as at any"),
        (curve(0.9, last=0.9, early=0.5), verdicts.WITHOUT_CONTROL, "only without its control"),
        (curve(0.3, last=0.5, early=0.9), verdicts.DOES_NOT_HOLD, "at another layer better than at the last"),
    ],
)  # fmt: skip
def test_the_verdict_compares_the_last_layer_with_the_best(tmp_path, rows, status, found):
    table = built("figure_layers", rows, tmp_path)
    found_here = verdict_on("figure_layers", table)
    assert found_here.status == status
    assert ("cat_135_3 has .90 at resid_post.0 against .50" in found_here.sentence) == (
        status == verdicts.DOES_NOT_HOLD
    )
    assert re.search(found, figure_layers.finding(table))


def test_one_layer_alone_is_not_judged(tmp_path):
    table = built("figure_layers", curve(0.3, last=0.9), tmp_path)
    assert (figure_layers.verdict(table), figure_layers.finding(table)) == ([], "")


def test_the_figure_has_a_panel_per_dataset_and_score(tmp_path):
    for name, rows in (("first", layer_rows()), ("again", layer_rows()[::-1])):
        table = built("figure_layers", rows, tmp_path)
        write_figure(figure_layers, table, tmp_path / name / "figure_layers.svg")
        write_table(table, figure_layers, *(tmp_path / name / f"f.{suffix}" for suffix in ("parquet", "csv", "md")))
    for file in ("figure_layers.svg", "f.parquet", "f.csv", "f.md"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    text = (tmp_path / "first/figure_layers.svg").read_text()
    for said in (
        "cat_135_3, MCC, truth",
        "lang_1_1, cosine, held out",
        "not measured",
        "ssae, untrained network",
        "norm",
    ):
        assert f">{said}<" in text
