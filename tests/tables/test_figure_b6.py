"""B-F6: errors over steps, and every outcome of its verdict."""

import pytest
from helpers.fake_saes import GOOD, UNTRAINED_FVU, sae_rows, systems  # noqa: F401
from helpers.tables import built, verdict_on, written

from shiftscope.tables import figure_b6

pytestmark = pytest.mark.usefixtures("systems")
ERRORS = {"structured": 0.1, "p_annealing": 0.15, "topk": 0.3, "batch_topk": 0.35}
"""of held-out tokens at the chosen setting"""


def rows_of(levels=GOOD, errors=ERRORS, **other):
    """`mse_words` is 1 - PCC."""
    return [row for system, level in levels.items() for row in sae_rows({system: level}, fvu=errors[system], **other)]


def statuses(rows, folder):
    table = built("figure_b6", rows, folder)
    return [verdict_on("figure_b6", table, recipe).status for recipe in ("paper", "ours")]


def test_errors_by_step_from_the_untrained_to_the_end(tmp_path):
    table = built("figure_b6", rows_of(steps=(50, 100)), tmp_path)
    found = table[(table["variant"] == "my_topk") & (table["metric"] == "mse_words")]
    assert found["step"].tolist() == [0, 50, 100, 20_000]
    assert found["mean"].tolist() == pytest.approx([0.7, 0.8, 0.8, 0.6])  # the chosen setting's alone
    equal = table[table["metric"] == "fvu_at_l0"]
    assert equal["step"].value_counts().to_dict() == {0: 4, 20_000: 4}
    assert set(equal.loc[equal["step"] == 0, "mean"].round(6)) == {UNTRAINED_FVU}


@pytest.mark.parametrize(
    ("levels", "errors", "expected"),
    [
        (GOOD, ERRORS, ["reproduced", "holds"]),
        (GOOD | {"p_annealing": 0.68}, ERRORS, ["not reproduced", "holds"]),
        (GOOD | {"batch_topk": 0.61}, ERRORS, ["not reproduced", "holds"]),
        (GOOD, ERRORS | {"topk": 0.15}, ["reproduced", "does not hold"]),  # at equal L0 there is no difference
        (GOOD, ERRORS | {"structured": 0.95}, ["not reproduced", "does not hold"]),
    ],
)
def test_the_ranking_of_errors(tmp_path, levels, errors, expected):
    assert statuses(rows_of(levels, errors), tmp_path) == expected


def test_an_untrained_one_without_a_larger_error(tmp_path):
    rows = rows_of()
    for found in rows:
        if found["control"] == "untrained_sae" and found["metric"] in ("mse_words", "fvu"):
            found["value"] = {"mse_words": 0.3, "fvu": 0.07}[found["metric"]]
    assert statuses(rows, tmp_path) == ["only without its control"] * 2


def test_without_the_untrained_one_or_one_of_the_four(tmp_path):
    rows = [row for row in rows_of() if row["control"] != "untrained_sae"]
    assert statuses(rows, tmp_path) == ["only without its control"] * 2
    assert (
        "Control not run: untrained codes."
        in verdict_on("figure_b6", built("figure_b6", rows, tmp_path), "paper").sentence
    )
    rows = [row for row in rows_of() if row["variant"] != "my_batch_topk"]
    assert statuses(rows, tmp_path) == ["not tested"] * 2


def test_the_figure_names_variants_and_panels(tmp_path):
    text, drawn = written("figure_b6", built("figure_b6", rows_of(steps=(50,)), tmp_path), tmp_path)
    assert {"my_structured", "my_topk", "MSE", "step"} <= set(drawn)
    assert "| docs, words | 512 | my_topk | 50 |" in text
    assert figure_b6.finding(built("figure_b6", rows_of(), tmp_path)) == ""
