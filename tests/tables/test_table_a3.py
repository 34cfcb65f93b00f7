"""A-T3: mapped embeddings."""

import pytest
from helpers.fake_metrics import MAPPED, mapped_rows
from helpers.tables import built, rows_where, verdict_on, written

from shiftscope.tables import verdicts

BEFORE = {"ssae": (0.95, 0.9), "affine": (0.7, 0.6), "pca": (0.5, 0.5)}


def test_mapped_rows_stand_beside_unmapped_ones_and_widening_is_paired(tmp_path):
    after = {"ssae": (0.93, 0.88), "affine": (0.5, 0.55)}
    table = built("table_a3", mapped_rows(BEFORE, after), tmp_path)
    assert list(dict.fromkeys(table["layer"])) == ["final_norm", MAPPED]
    assert set(table["variant"]) == {"ssae", "affine"}  # pca was not run on mapped embeddings
    widened = rows_where(table, metric="widening_seeds").iloc[0]
    assert (widened["variant"], widened["layer"]) == ("ssae", MAPPED)
    assert widened["mean"] == pytest.approx((0.93 - 0.5) - (0.95 - 0.7))
    assert widened["sd"] == pytest.approx(0)  # the same seeds have the same share of what varies
    assert rows_where(table, metric="widening_truth")["mean"].tolist() == pytest.approx([(0.88 - 0.55) - (0.9 - 0.6)])
    text = written("table_a3", table, tmp_path)[0]
    assert "ssae: mean gap .25 unmapped, .43 mapped; wider on 1 of 1 dataset; by the truth on 1 of 1." in text
    assert table.loc[table["metric"] == "widening_seeds", "recipe"].tolist() == ["ours"]


@pytest.mark.parametrize(
    ("after", "status"),
    [
        ({"ssae": (0.95, 0.9), "affine": (0.5, 0.4)}, verdicts.HOLDS),
        ({"ssae": (0.95, 0.7), "affine": (0.5, 0.6)}, verdicts.WITHOUT_CONTROL),
        ({"ssae": (0.95, 0.9), "affine": (0.7, 0.4)}, verdicts.DOES_NOT_HOLD),
        ({"ssae": (0.8, 0.9), "affine": (0.7, 0.4)}, verdicts.DOES_NOT_HOLD),
    ],
)
def test_verdict_on_mapped_embeddings(tmp_path, after, status):
    assert verdict_on("table_a3", built("table_a3", mapped_rows(BEFORE, after), tmp_path)).status == status
