"""TruthfulQA: the table of cosines and answers."""

import pytest
from helpers.answers import BASE, part_rows
from helpers.tables import built, write

from shiftscope.tables.base import entry
from shiftscope.tables.verdicts import NOT_REPRODUCED, NOT_TESTED, REPRODUCED, WITHOUT_CONTROL


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ({}, REPRODUCED),
        ({"heldout": 0.47}, WITHOUT_CONTROL),
        ({"cosine": 0.5}, NOT_REPRODUCED),
    ],
)
def test_the_table_judges_cosines_and_says_what_answers_do(tmp_path, case, status):
    module = entry("table_truthfulqa")
    table = built("table_truthfulqa", part_rows(**case), tmp_path)
    found, sentence = module.verdict(table)
    assert found == status
    assert "mc2 .50 against .40 unsteered (more than two standard errors" in sentence
    assert ".40 with random" in sentence
    assert "from .40 to .50 (random directions .40)" in module.finding(table)
    row = table[(table["metric"] == "mc2_chosen") & (table["variant"] == "ssae")].iloc[0]
    assert (row["n"], row["no_steering"]) == (2, pytest.approx(0.4))
    published = table[table["metric"] == "cosine_published"].set_index("variant")["published"].to_dict()
    assert published == {"ssae": 0.73, "affine": 0.6, "mean_difference": 0.18, "pca": 0.03}


@pytest.mark.parametrize("name", ["table_truthfulqa", "figure_truthfulqa"])
def test_without_behaviour_the_entries_are_empty_and_not_tested(tmp_path, name):
    row = BASE | {"variant": "ssae", "codes": 1, "params": "{}", "control": "", "metric": "l0", "value": 1.0}
    module, table = entry(name), built(name, [row], tmp_path)
    assert (len(table), module.verdict(table)[0], module.finding(table)) == (0, NOT_TESTED, "")
    write(name, table, tmp_path)
