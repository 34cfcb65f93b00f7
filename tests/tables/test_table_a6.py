"""A-T6: MCC on synthetic data."""

import pandas as pd
import pytest
from helpers.fake_metrics import SYNTHETIC, row, synthetic_rows
from helpers.tables import built, metrics_of, one

from shiftscope.tables import verdicts
from shiftscope.tables.base import entry


def test_table_a6_summarises_selected_models_over_seeds_and_data(tmp_path):
    metrics = metrics_of(synthetic_rows(), tmp_path)
    table = entry("table_a6").build(metrics)
    found = one(table, dataset="synth_10_7", variant="ssae", metric="mcc_truth")
    values = metrics.query(
        "dataset == 'synth_10_7' and variant == 'ssae' and metric == 'mcc_truth' and control == '' and selected"
    )["value"]
    assert (found["mean"], found["n"]) == (pytest.approx(values.mean()), 12)
    assert found["minimum"] == values.min() > 0.9  # the unselected setting scores .1
    assert found["low"] < found["mean"] < found["high"]
    assert found["ceiling"] == 1.0  # written without a variant, so it stands beside each
    assert 0.1 < found["permuted_labels"] < 0.2
    assert pd.isna(found["untrained_lm"])
    assert pd.isna(found["published"])
    assert found["rival"] == "affine"
    affine = one(table, dataset="synth_10_7", variant="affine", metric="mcc_truth")
    assert found["difference"] == pytest.approx(found["mean"] - affine["mean"])
    assert list(dict.fromkeys(table["dataset"])) == list(SYNTHETIC)


def synthetic_case(levels, permuted=0.1, random=0.3):
    rows = [row("synth_3_2", "", "mcc_truth", random, 3, control="random_dictionary")]
    for variant, level in levels.items():
        for seed in range(4):
            value = level - 0.001 * seed
            rows.append(row("synth_3_2", variant, "mcc_truth", value, 3, seed=seed))
            rows.append(row("synth_3_2", variant, "mcc_truth", permuted, 3, seed=seed, control="permuted_labels"))
    return [one | {"lm": "synthetic", "layer": ""} for one in rows]


@pytest.mark.parametrize(
    ("levels", "chance", "paper", "ours"),
    [
        ({"ssae": 1.0, "affine": 0.5}, (0.1, 0.3), verdicts.NOT_TESTED, verdicts.HOLDS),
        ({"ssae_paper": 0.99, "affine_paper": 0.5}, (0.1, 0.3), verdicts.REPRODUCED, verdicts.NOT_TESTED),
        ({"ssae": 1.0, "affine": 0.5, "ssae_paper": 0.6, "affine_paper": 0.5}, (0.1, 0.3), verdicts.NOT_REPRODUCED, verdicts.HOLDS),
        ({"ssae": 0.8, "affine": 0.5}, (0.1, 0.3), verdicts.NOT_TESTED, verdicts.DOES_NOT_HOLD),
        ({"ssae": 1.0, "affine": 1.0}, (0.1, 0.3), verdicts.NOT_TESTED, verdicts.DOES_NOT_HOLD),
        ({"ssae": 1.0, "affine": 0.5}, (0.99, 0.3), verdicts.NOT_TESTED, verdicts.WITHOUT_CONTROL),
        ({"ssae": 1.0, "affine": 0.5}, (0.1, 0.99), verdicts.NOT_TESTED, verdicts.WITHOUT_CONTROL),
        ({"ssae": 1.0}, (0.1, 0.3), verdicts.NOT_TESTED, verdicts.NOT_TESTED),
    ],
)  # fmt: skip
def test_verdict_on_recovery(tmp_path, levels, chance, paper, ours):
    table = built("table_a6", synthetic_case(levels, *chance), tmp_path)
    assert [one.status for one in entry("table_a6").verdict(table)] == [paper, ours]
    assert "(" not in entry("table_a6").finding(table)
