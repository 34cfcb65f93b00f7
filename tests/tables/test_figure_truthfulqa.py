"""TruthfulQA: the figure of answers against the dose."""

import pytest
from helpers.answers import part_rows
from helpers.tables import built, verdict_on

from shiftscope.tables.base import entry
from shiftscope.tables.drawing import write_figure
from shiftscope.tables.verdicts import DOES_NOT_HOLD, HOLDS, WITHOUT_CONTROL
from shiftscope.tables.wide import write_table


@pytest.mark.parametrize(
    ("case", "status"),
    [({}, HOLDS), ({"climb": 0.0}, DOES_NOT_HOLD), ({"random_climb": 0.1}, WITHOUT_CONTROL)],
)
def test_the_figure_asks_for_a_climb_that_random_directions_do_not_have(tmp_path, case, status):
    table = built("figure_truthfulqa", part_rows(**case), tmp_path)
    assert verdict_on("figure_truthfulqa", table, lm="tiny").status == status
    curve = table[(table["variant"] == "affine") & (table["metric"] == "mc2")]
    assert curve["dose"].tolist() == [-1, 0, 1]
    assert curve["no_steering"].tolist() == pytest.approx([0.4] * 3)


def test_the_figure_has_a_row_of_panels_per_variant_and_a_row_of_numbers_per_dose(tmp_path):
    module = entry("figure_truthfulqa")
    table = built("figure_truthfulqa", part_rows(), tmp_path)
    write_table(table, module, *(tmp_path / f"f.{kind}" for kind in ("parquet", "csv", "md")))
    assert (tmp_path / "f.md").read_text().count("\n| ") == 1 + 1 + 4 * 3
    write_figure(module, table, tmp_path / "f.svg")
    write_figure(module, table, tmp_path / "again/f.svg")
    text = (tmp_path / "f.svg").read_text()
    assert text == (tmp_path / "again/f.svg").read_text()
    assert all(title in text for title in ("ssae: mc2", "pca: perplexity", "dose"))
