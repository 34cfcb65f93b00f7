"""TruthfulQA: the table of cosines and answers."""

import pytest
from helpers.answers import BASE, part_rows
from helpers.tables import built, verdict_on, write

from shiftscope.tables.base import entry
from shiftscope.tables.verdicts import DOES_NOT_HOLD, HOLDS, NOT_TESTED, WITHOUT_CONTROL


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ({}, HOLDS),
        ({"heldout": 0.47}, WITHOUT_CONTROL),
        ({"cosine": 0.5}, DOES_NOT_HOLD),
    ],
)
def test_the_table_judges_cosines_and_says_what_answers_do(tmp_path, case, status):
    module = entry("table_truthfulqa")
    table = built("table_truthfulqa", part_rows(**case), tmp_path)
    found = verdict_on("table_truthfulqa", table, lm="tiny")
    assert found.status == status
    assert "mc2 .50 against .40 unsteered (more than two standard errors" in found.sentence
    assert ".40 with random" in found.sentence
    assert verdict_on("table_truthfulqa", table, "paper", "tiny").status == NOT_TESTED
    assert ("does not steer" in module.finding(table)) == (status == DOES_NOT_HOLD)
    row = table[(table["metric"] == "mc2_chosen") & (table["variant"] == "ssae")].iloc[0]
    assert (row["n"], row["no_steering"]) == (2, pytest.approx(0.4))
    published = table[table["metric"] == "cosine_published"].set_index("variant")["published"].to_dict()
    assert published == {"ssae": 0.73, "affine": 0.6, "mean_difference": 0.18, "pca": 0.03}


@pytest.mark.parametrize("name", ["table_truthfulqa", "figure_truthfulqa"])
def test_without_behaviour_the_entries_are_empty_and_not_tested(tmp_path, name):
    row = BASE | {
        "variant": "ssae",
        "kind": "ssae",
        "codes": 1,
        "params": "{}",
        "control": "",
        "metric": "l0",
        "value": 1.0,
    }
    module, table = entry(name), built(name, [row], tmp_path)
    assert (len(table), module.verdict(table), module.finding(table)) == (0, [], "")
    write(name, table, tmp_path)
