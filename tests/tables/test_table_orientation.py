"""O-1: pairs as they stand against pairs turned at random."""

import pytest
from helpers.fake_metrics import truth_rows
from helpers.tables import built, verdict_on

from shiftscope.tables import table_orientation


def both_ways(given, random, dataset="binary_2_2", kind="shift_mixture", chance=0.2):
    """Rows of a kind under two names that say nothing of which is which, and its controls."""
    rows = []
    for name, value, way in (("one", given, "given"), ("other", random, "random")):
        found = truth_rows({name: value}, dataset, 2, kind=kind)
        rows += [row | {"params": f'{{"orientation": "{way}"}}'} for row in found]
    rows += truth_rows({"one": chance}, dataset, 2, kind=kind, control="permuted_labels")
    return rows + truth_rows({"": chance}, dataset, 2, control="random_dictionary")


@pytest.mark.parametrize(
    ("given", "random", "chance", "status"),
    [
        (0.83, 0.45, 0.2, "holds"),
        (0.83, 0.83, 0.2, "does not hold"),
        (0.45, 0.83, 0.2, "does not hold"),
        (0.83, 0.45, 0.82, "only without its control"),
    ],
)
def test_o1_through_its_outcomes(tmp_path, given, random, chance, status):
    table = built("table_orientation", both_ways(given, random, chance=chance), tmp_path)
    assert verdict_on("table_orientation", table).status == status


def test_o1_one_dataset_that_loses_by_seeing_the_order_decides(tmp_path):
    rows = both_ways(0.9, 0.5) + both_ways(0.9, 0.5, "corr_2_1") + both_ways(0.6, 0.9, "gender_1_1")
    found = verdict_on("table_orientation", built("table_orientation", rows, tmp_path))
    assert found.status == "does not hold"
    assert "lower on 2 of 3 rows" in found.sentence


def test_o1_shows_only_kinds_that_were_run_both_ways(tmp_path):
    alone = [
        row | {"params": '{"orientation": "given"}'} for row in truth_rows({"pca": 0.9}, "binary_2_2", 2, kind="pca")
    ]
    table = built("table_orientation", both_ways(0.9, 0.5) + alone, tmp_path)
    assert set(table["variant"]) == {"one", "other"}
    assert set(table.set_index("variant")["orientation"].items()) == {("one", "given"), ("other", "random")}
    empty = built("table_orientation", alone, tmp_path)
    assert empty.empty and table_orientation.verdict(empty) == [] and table_orientation.finding(empty) == ""
