"""A-F2: steering in distribution."""

import pandas as pd
import pytest
from helpers.fake_metrics import language_rows, row
from helpers.tables import built, one, verdict_on

from shiftscope.tables import verdicts
from shiftscope.tables.base import entry


def test_figure_a2_keeps_the_spread_over_pairs_and_what_was_not_run(tmp_path):
    table = built("figure_a2", language_rows(), tmp_path)
    lang = table[table["dataset"] == "lang_1_1"]
    found = one(lang, variant="ssae", metric="cosine_heldout")
    assert found["sd_pairs"] == pytest.approx(0.08)
    assert found["no_steering"] == pytest.approx(0.47)
    assert found["n"] == 4
    alone = one(lang, variant="mean_difference", metric="cosine_published")
    assert pd.isna(alone["low"])
    assert pd.isna(alone["sd"])
    foreign = one(lang, variant="pretrained_sae")
    assert (foreign["published"], foreign["n"]) == (0.49, 0)
    assert pd.isna(foreign["mean"])


def steering_case(published, heldout, random_heldout):
    """Published and held-out scores of ssae, beside affine at .6, PCA at .5 and no steering at .4."""
    rows = []
    for variant, scores in (("ssae", (published, heldout)), ("affine", (0.6, 0.6)), ("pca", (0.5, 0.5))):
        for seed in range(2):
            here = {"seed": seed, "split": "single", "concept": "c"}
            for metric, value in zip(("cosine_published", "cosine_heldout"), scores, strict=True):
                rows.append(row("lang_1_1", variant, metric, value, 1, **here))
    here = {"split": "single", "concept": "c"}
    rows.append(row("lang_1_1", "", "cosine_heldout", 0.4, 1, **here, control="no_steering"))
    rows.append(row("lang_1_1", "", "cosine_heldout", random_heldout, 1, **here, control="random_dictionary"))
    return rows


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ((0.7, 0.7, 0.5), verdicts.HOLDS),
        ((0.7, 0.5, 0.4), verdicts.WITHOUT_CONTROL),
        ((0.7, 0.7, 0.8), verdicts.WITHOUT_CONTROL),
        ((0.55, 0.7, 0.5), verdicts.DOES_NOT_HOLD),
    ],
)
def test_verdict_on_steering_asks_the_held_out_score(tmp_path, scores, status):
    table = built("figure_a2", steering_case(*scores), tmp_path)
    assert verdict_on("figure_a2", table).status == status
    assert "(" not in entry("figure_a2").finding(table)


def test_the_source_is_not_judged_under_another_procedure(tmp_path):
    table = built("figure_a2", language_rows(), tmp_path)
    found = verdict_on("figure_a2", table, "paper")
    assert (found.status, "encoded shift of the test pair itself" in found.sentence) == (verdicts.NOT_TESTED, True)
    assert "encoded shift of the test pair itself" in entry("figure_a2").SOURCE


def test_without_pca_the_claim_is_not_tested(tmp_path):
    rows = [one for one in steering_case(0.7, 0.7, 0.5) if one["variant"] != "pca"]
    assert verdict_on("figure_a2", built("figure_a2", rows, tmp_path)).status == verdicts.NOT_TESTED


def test_findings_are_empty_without_a_sparse_variant(tmp_path):
    rows = [row("lang_1_1", "pca", metric, 0.5, 1, seed=0) for metric in ("cosine_heldout", "cosine_published")]
    module = entry("figure_a2")
    table = built("figure_a2", rows, tmp_path)
    assert module.finding(table) == ""
    assert verdict_on("figure_a2", table).status == verdicts.NOT_TESTED
