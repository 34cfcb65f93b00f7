"""A-T6s: sensitivity to the recipe's hyperparameters."""

from helpers.fake_metrics import BEST, GRID, grid_rows
from helpers.tables import built, rows_where, verdict_on, written

from shiftscope.tables import verdicts


def test_sensitivity_varies_one_hyperparameter_at_a_time(tmp_path):
    rows = grid_rows(GRID, BEST) + grid_rows(GRID, (0.005, 0.4), "synth_3_2", lm="synthetic", layer="")
    table = built("table_a6s", rows, tmp_path)
    binary = rows_where(table, metric="mcc_truth", dataset="binary_2_2")
    assert {tuple(point) for point in binary[["lr", "sparsity_level"]].to_numpy()} == {
        (0.01, 0.4), (0.01, 0.5), (0.01, 0.6), (0.005, 0.6),
    }  # fmt: skip
    assert "ssae_paper_grid: lr .01, β .6 (chosen)" in set(binary["variant"])
    assert set(table["dataset"]) == {"binary_2_2", "synth_3_2"}
    found = [verdict_on("table_a6s", table, "paper", lm) for lm in ("smollm2_135m", "synthetic")]
    assert [one.status for one in found] == [verdicts.HOLDS] * 2
    assert ["on 1 of 1 grid" in one.sentence for one in found] == [True, False]
    assert verdict_on("table_a6s", table).status == verdicts.NOT_TESTED
    assert "(chosen)" in written("table_a6s", table, tmp_path)[0]


def test_settings_that_differ_by_less_than_seeds_do_not_matter(tmp_path):
    level = {point: (0.9, 0.5) for point in GRID}
    table = built("table_a6s", grid_rows(level, BEST), tmp_path)
    assert verdict_on("table_a6s", table, "paper").status == verdicts.DOES_NOT_HOLD
