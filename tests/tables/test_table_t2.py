"""T-2: more concepts than dimensions."""

import pytest
from helpers.fake_metrics import truth_rows
from helpers.tables import built, verdict_on

from shiftscope.tables import table_t2

CHANCE = [
    one
    for control in ("permuted_labels", "random_dictionary")
    for one in truth_rows({"": 0.3}, "crowded", control=control)
]


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        ({"ssae": 0.99, "affine": 0.6, "l1_tied": 0.5}, "holds"),
        ({"ssae": 0.99, "affine": 0.6, "l1_tied": 0.97}, "does not hold"),
        ({"ssae": 0.9, "affine": 0.6, "l1_tied": 0.5}, "does not hold"),
        ({"affine": 0.6, "l1_tied": 0.5}, "not tested"),
    ],
)
def test_t2(tmp_path, levels, status):
    table = built("table_t2", truth_rows(levels, "crowded") + CHANCE, tmp_path)
    assert verdict_on("table_t2", table).status == status
    assert bool(table_t2.finding(table)) == ("ssae" in levels)


def test_t2_takes_the_autoencoder_of_embeddings_at_its_best_size(tmp_path):
    rows = truth_rows({"ssae": 0.99, "affine": 0.6}, "crowded") + truth_rows({"l1_tied": 0.5}, "crowded", 64)
    rows += truth_rows({"l1_tied": 0.96}, "crowded", 128)
    found = verdict_on("table_t2", built("table_t2", rows + CHANCE, tmp_path))
    assert found.status == "does not hold"
    assert "l1_tied, at its best code size, .96" in found.sentence


def test_t2_with_a_control_that_does_as_well(tmp_path):
    rows = truth_rows({"ssae": 0.99, "affine": 0.6, "l1_tied": 0.5}, "crowded")
    rows += truth_rows({"ssae": 0.98}, "crowded", control="permuted_labels")
    assert verdict_on("table_t2", built("table_t2", rows, tmp_path)).status == "only without its control"
