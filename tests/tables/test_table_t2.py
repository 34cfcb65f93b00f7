"""T-2: more concepts than dimensions."""

import pytest
from helpers.fake_metrics import truth_rows
from helpers.tables import built

from shiftscope.tables import table_t2


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        ({"ssae": 0.99, "affine": 0.6, "l1_tied": 0.5}, "reproduced"),
        ({"ssae": 0.99, "affine": 0.6, "l1_tied": 0.97}, "not reproduced"),
        ({"ssae": 0.9, "affine": 0.6, "l1_tied": 0.5}, "not reproduced"),
        ({"affine": 0.6, "l1_tied": 0.5}, "not tested"),
    ],
)
def test_t2(tmp_path, levels, status):
    table = built("table_t2", truth_rows(levels, "crowded"), tmp_path)
    assert table_t2.verdict(table)[0] == status
    assert bool(table_t2.finding(table)) == ("ssae" in levels)


def test_t2_takes_the_autoencoder_of_embeddings_at_its_best_size(tmp_path):
    rows = truth_rows({"ssae": 0.99, "affine": 0.6}, "crowded") + truth_rows({"l1_tied": 0.5}, "crowded", 64)
    rows += truth_rows({"l1_tied": 0.96}, "crowded", 128)
    status, sentence = table_t2.verdict(built("table_t2", rows, tmp_path))
    assert status == "not reproduced"
    assert "l1_tied, at its best code size, .96" in sentence


def test_t2_with_a_control_that_does_as_well(tmp_path):
    rows = truth_rows({"ssae": 0.99, "affine": 0.6, "l1_tied": 0.5}, "crowded")
    rows += truth_rows({"ssae": 0.98}, "crowded", control="permuted_labels")
    assert table_t2.verdict(built("table_t2", rows, tmp_path))[0] == "only without its control"
