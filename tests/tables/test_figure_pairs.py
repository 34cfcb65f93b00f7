"""Curves over the number of training pairs."""

import pytest
from helpers.fake_metrics import row
from helpers.tables import built, rows_where, verdict_on, written

from shiftscope.tables import verdicts


def pair_rows(levels, variant="ssae_pairs", dataset="cat_135_3"):
    """MCC with the truth of three seeds by number of pairs, and a ceiling."""
    params = {number: f'{{"n_pairs":{number},"shrinkage":0.1}}' for number in levels}
    rows = [
        row(dataset, variant, metric, level - 0.001 * seed, 27, seed=seed, params=params[number], selected=number == 50)
        for number, level in levels.items()
        for seed in range(3)
        for metric in ("mcc_truth", "reconstruction")
    ]
    return [*rows, row(dataset, "", "mcc_truth", 0.97, 27, control="ceiling")]


def test_every_number_of_pairs_is_a_point_and_whole_variants_are_none(tmp_path):
    rows = pair_rows({50: 0.4, 200: 0.8, 1000: 0.95}) + pair_rows({50: 0.3, 1000: 0.5}, "affine_pairs")
    rows += [row("cat_135_3", "ssae", "mcc_truth", 0.96, 27, seed=0, params='{"n_pairs":null,"shrinkage":0.1}')]
    table = built("figure_pairs", rows, tmp_path)
    curve = rows_where(table, metric="mcc_truth", grid="ssae_pairs")
    assert curve["n_pairs"].tolist() == [50, 200, 1000]
    assert curve["mean"].tolist() == pytest.approx([0.399, 0.799, 0.949])
    assert (curve["ceiling"] == 0.97).all() and set(table["grid"]) == {"ssae_pairs", "affine_pairs"}
    text, said = written("figure_pairs", table, tmp_path)
    assert "ssae_pairs: pairs 200" in text
    assert {"cat_135_3, MCC, truth", "not measured", "ssae_pairs", "1000", "training pairs"} <= set(said)


@pytest.mark.parametrize(
    ("levels", "status", "said"),
    [
        (
            {50: 0.4, 200: 0.94, 1000: 0.95},
            verdicts.HOLDS,
            "cat_135_3, MCC, truth: .40 from 50 pairs, .95 from 1000",
        ),
        ({50: 0.4, 200: 0.8, 1000: 0.95}, verdicts.DOES_NOT_HOLD, ".95 from 1000 pairs"),
        ({}, verdicts.NOT_TESTED, "Nothing of our recipe was run for this."),
    ],
)
def test_the_last_step_up_in_pairs_decides(tmp_path, levels, status, said):
    rows = [*pair_rows(levels), *pair_rows({50: 0.5, 1000: 0.5}, "affine_pairs")]
    found = verdict_on("figure_pairs", built("figure_pairs", rows, tmp_path))
    assert found.status == status and said in found.sentence


def test_without_a_truth_the_agreement_of_seeds_decides(tmp_path):
    rows = [
        row("own", "ssae_pairs", "mcc_seeds_decoder", level, 4, seed=0, seed_2=1, params=f'{{"n_pairs":{number}}}')
        for number, level in ((10, 0.5), (30, 0.9))
    ]
    found = verdict_on("figure_pairs", built("figure_pairs", rows, tmp_path))
    assert found.status == verdicts.DOES_NOT_HOLD and "own, MCC, seeds: .50 from 10 pairs" in found.sentence
