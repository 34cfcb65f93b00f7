"""A-F5, A-F6: grids of learning rate and sparsity level."""

import pytest
from helpers.fake_metrics import BEST, GRID, grid_rows, row
from helpers.tables import built, rows_where, verdict_on, written

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER
from shiftscope.tables import verdicts
from shiftscope.tables.wide import sheet


def test_every_setting_has_a_row_with_its_spread_and_its_gain_over_affine(tmp_path):
    table = built("figure_a5", grid_rows(GRID, BEST), tmp_path)
    found = rows_where(table, metric="mcc_truth", lr=0.01, sparsity_level=0.5).iloc[0]
    assert found["variant"] == "ssae_paper_grid: lr .01, β .5"
    assert (found["mean"], found["n"], found["rival"]) == (pytest.approx(0.699), 3, "affine_paper")
    assert found["difference"] == pytest.approx(0.7 - 0.4)
    assert found["sd"] == pytest.approx(0.001)
    assert len(rows_where(table, metric="mcc_truth")) == len(GRID)
    assert rows_where(table, metric="udr")[["lr", "sparsity_level"]].to_numpy().tolist() == [
        list(point) for point in GRID
    ]
    assert rows_where(table, metric="udr", chosen=True)[["lr", "sparsity_level"]].to_numpy().tolist() == [list(BEST)]
    published = rows_where(table, metric="mcc_seeds_decoder").set_index(["lr", "sparsity_level"])["published"].dropna()
    assert published.to_dict() == {(0.005, 0.6): 0.991}


def test_variants_without_a_grid_of_both_hyperparameters_are_not_in_the_heatmaps(tmp_path):
    one_rate = {(0.01, level): (0.9, 0.5) for level in (0.1, 0.2)}
    rows = grid_rows(one_rate, (0.01, 0.1), variant="ssae_paper")
    rows += [
        row("binary_2_2", "ssae", "mcc_truth", 0.9, 2, seed=0, selected=chosen, params=f'{{"lr":0.02,"shrinkage":{value}}}')
        for value, chosen in ((0, True), (1, False))
    ]  # fmt: skip
    assert len(built("figure_a5", rows, tmp_path)) == 0
    assert set(built("table_a6s", rows, tmp_path)["grid"]) == {"ssae_paper"}


@pytest.mark.parametrize(("truth_follows", "status"), [(True, verdicts.REPRODUCED), (False, verdicts.WITHOUT_CONTROL)])
def test_udr_that_tracks_agreement_but_not_truth_is_told_apart(tmp_path, truth_follows, status):
    scores = {point: (agreement, truth if truth_follows else 1 - truth) for point, (agreement, truth) in GRID.items()}
    table = built("figure_a5", grid_rows(scores, BEST), tmp_path)
    found = verdict_on("figure_a5", table, "paper")
    assert found.status == status
    assert f"with MCC to the truth {'1.00' if truth_follows else '−1.00'}" in found.sentence
    unknown = table[table["metric"] != "mcc_truth"]
    assert verdict_on("figure_a5", unknown, "paper").status == verdicts.WITHOUT_CONTROL


def test_the_heatmaps_show_every_cell_and_what_was_chosen(tmp_path):
    table = built("figure_a5", grid_rows(GRID, BEST), tmp_path)
    text, drawn = written("figure_a5", table, tmp_path)
    assert len(sheet(table, MCC_SEEDS_DECODER).rows) == len(GRID)
    assert text.count("\n| ") == 2 + len(GRID)
    assert {".950", ".749", "binary_2_2, 2 codes: UDR", "sparsity level β", ".005"} <= set(drawn)
    unknown = [row for row in grid_rows(GRID, BEST) if row["metric"] != "mcc_truth"]
    assert "not known" in written("figure_a5", built("figure_a5", unknown, tmp_path), tmp_path)[1]
