"""A-F3: steering out of distribution."""

import json

import pytest
from helpers.fake_metrics import row
from helpers.tables import built, verdict_on

from shiftscope.tables import figure_a3
from shiftscope.tables.drawing import write_figure


def moved_rows(ssae: float, affine: float) -> list[dict]:
    levels = {"ssae": ssae, "affine": affine, "pca": 0.4}
    return [
        row(first, variant, metric, level + 0.01 * seed, 1, eval_dataset=second, seed=seed, concept="french",
            split="single", control=control)
        for first, second in (("lang_1_1", "binary_2_2"), ("binary_2_2", "lang_1_1"))
        for seed in range(3)
        for metric in ("cosine_published", "cosine_heldout")
        for variant, base in levels.items()
        for control, level in (("", base), ("no_steering", 0.3), ("random_dictionary", 0.3))
    ]  # fmt: skip


@pytest.mark.parametrize(("ssae", "affine", "status"), [(0.8, 0.6, "holds"), (0.5, 0.6, "does not hold")])
def test_figure_a3(tmp_path, ssae, affine, status):
    own = [row("lang_1_1", "ssae", "cosine_heldout", 0.1, 1, seed=0, concept="french", split="single")]
    own += [
        row("lang_1_1", "ssae", "reconstruction", 0.3, 1, seed=0),
        row("binary_2_2", "ssae", "reconstruction", 0.7, 1),
    ]
    table = built("figure_a3", moved_rows(ssae, affine) + own, tmp_path)
    assert set(table["dataset"]) == {"lang_1_1 → binary_2_2", "binary_2_2 → lang_1_1"}
    assert table.set_index(["variant", "metric"])["mean"]["ssae", "cosine_heldout"].tolist() == pytest.approx(
        [ssae + 0.01] * 2
    )
    assert verdict_on("figure_a3", table).status == status
    errors = table[table["variant"] == "ssae"].groupby("dataset")["error"].first().to_dict()
    assert errors == {"lang_1_1 → binary_2_2": 0.3, "binary_2_2 → lang_1_1": 0.7}  # of what was learned on the first
    write_figure(figure_a3, table, tmp_path / "figure_a3.svg")
    assert "lang_1_1 → binary_2_2" in (tmp_path / "figure_a3.svg").read_text()
    assert json.dumps(figure_a3.finding(table))
