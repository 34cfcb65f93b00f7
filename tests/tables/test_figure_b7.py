"""B-F7: the structured autoencoder over γ, and every outcome of its verdict."""

import json

import pytest
from helpers.fake_saes import sae_rows, systems  # noqa: F401
from helpers.tables import built, verdict_on, written

from shiftscope.tables import figure_b7

pytestmark = pytest.mark.usefixtures("systems")
MODERATE = {0.0: 0.5, 0.1: 0.65, 1.0: 0.4}


def rows_of(levels, errors=None, steps=20_000, **other):
    """Settings of γ with a mean PCC each; `mse_words` is 1 - PCC unless `errors` say otherwise."""
    rows = []
    for gamma, level in levels.items():
        params = json.dumps({"cost": 16, "gamma": gamma, "steps": steps, "batch_size": 10_000})
        some = sae_rows({"structured": level}, costs=(16,), steps=(100,), params=params, **other)
        for row in some:
            row |= {"selected": gamma == min(levels)}
            if errors and row["metric"] == "mse_words":
                row["value"] = errors[gamma]
        rows += some
    return rows


@pytest.mark.parametrize(
    ("levels", "errors", "status"),
    [
        (MODERATE, None, "reproduced"),
        ({0.0: 0.5, 0.1: 0.65, 1.0: 0.7}, None, "not reproduced"),  # more is better
        ({0.0: 0.66, 0.1: 0.65, 1.0: 0.4}, None, "not reproduced"),  # none is best
        (MODERATE, {0.0: 0.2, 0.1: 0.4, 1.0: 0.5}, "not reproduced"),  # another has the lowest error
        ({0.0: 0.64, 0.1: 0.65, 1.0: 0.4}, {0.0: 0.5, 0.1: 0.4, 1.0: 0.5}, "reproduced"),  # loses in error alone
        ({0.0: 0.64, 0.1: 0.65, 1.0: 0.4}, {0.0: 0.4, 0.1: 0.4, 1.0: 0.5}, "not reproduced"),
        ({0.0: 0.5, 0.1: 0.65}, None, "not tested"),
    ],
)
def test_a_moderate_gamma(tmp_path, levels, errors, status):
    found = verdict_on("figure_b7", built("figure_b7", rows_of(levels, errors), tmp_path), "paper")
    assert found.status == status
    if status == "reproduced":
        assert ".650 at 0.1" in found.sentence


def test_differences_within_the_spread_over_seeds(tmp_path):
    rows = rows_of(MODERATE)
    for row in rows:
        if row["metric"] == "pcc":
            row["value"] += 0.3 * (row["seed"] - 1)
    assert verdict_on("figure_b7", built("figure_b7", rows, tmp_path), "paper").status == "only without its control"


def test_one_seed_tells_no_spread(tmp_path):
    rows = [row for row in rows_of(MODERATE) if row["seed"] == 0]
    found = verdict_on("figure_b7", built("figure_b7", rows, tmp_path), "paper")
    assert (found.status, found.sentence.endswith("Control not run: spread over seeds.")) == (
        "only without its control", True,
    )  # fmt: skip


def test_only_settings_that_differ_in_gamma_alone_are_shown(tmp_path):
    rows = rows_of(MODERATE)
    rows += [
        row | {"params": json.dumps({"cost": 64, "gamma": 0.1, "steps": 20_000, "batch_size": 10_000})}
        for row in rows_of({0.1: 0.9})
    ]
    rows += [row | {"selected": False} for row in rows if '"cost": 64' in row["params"]]
    rows = [row for row in rows if not ('"cost": 64' in row["params"] and row["selected"])]
    rows += sae_rows({"topk": 0.3})
    table = built("figure_b7", rows, tmp_path)
    assert sorted(set(table["variant"])) == ["my_structured: γ 0", "my_structured: γ 0.1", "my_structured: γ 1"]
    assert table["gamma"].unique().tolist() == [0.0, 0.1, 1.0]
    assert set(table["step"]) == {0, 100, 20_000}


def test_the_figure_has_a_curve_per_gamma(tmp_path):
    _, drawn = written("figure_b7", built("figure_b7", rows_of(MODERATE), tmp_path), tmp_path)
    assert {"my_structured: γ 0.1", "coverage@0.5", "PCC"} <= set(drawn)
    assert figure_b7.EMPTY not in drawn


def test_shorter_training_tests_nothing(tmp_path):
    found = verdict_on("figure_b7", built("figure_b7", rows_of(MODERATE, steps=200), tmp_path), "paper")
    assert (found.status, found.sentence[:8]) == ("not tested", "Not with")


def test_a_gamma_whose_sparse_path_has_died_reproduces_nothing_and_paths_are_no_variants(tmp_path):
    rows = rows_of(MODERATE)
    rows += [one | {"variant": "my_structured (sparse path)", "value": 0.0} for one in rows]
    dead = [
        one | {"metric": "collapsed", "value": float("0.1" in one["params"] and one["seed"] == 1)}
        for one in rows if one["metric"] == "fvu" and one["variant"] == "my_structured"
    ]  # fmt: skip
    table = built("figure_b7", rows + dead, tmp_path)
    assert not table["variant"].str.contains("path").any()
    found = verdict_on("figure_b7", table, "paper")
    assert found.status == "not reproduced" and "has died at γ 0.1, which loses" in found.sentence


def test_a_gamma_at_an_end_whose_sparse_path_has_died_loses_whatever_its_numbers(tmp_path):
    rows = rows_of({0.1: 0.9, 1.0: 0.6, 10.0: 0.65, 100.0: 0.4})
    dead = [
        one | {"metric": "collapsed", "value": float('"gamma": 0.1,' in one["params"])}
        for one in rows if one["metric"] == "fvu"
    ]  # fmt: skip
    assert verdict_on("figure_b7", built("figure_b7", rows, tmp_path), "paper").status == "not reproduced"
    assert verdict_on("figure_b7", built("figure_b7", rows + dead, tmp_path), "paper").status == "reproduced"
