"""From metric rows to tidy tables: which rows enter."""

from helpers.fake_metrics import row
from helpers.tables import built


def test_only_final_held_out_rows_of_the_training_dataset_count(tmp_path):
    kept = [row("own", "ssae", "mcc_truth", 0.8, 4, seed=seed) for seed in (0, 1)]
    other = [
        row("own", "ssae", "mcc_truth", 0.1, 4, seed=0, step=100),
        row("own", "ssae", "mcc_truth", 0.1, 4, seed=0, split="train"),
        row("own", "ssae", "mcc_truth", 0.1, 4, seed=0, eval_dataset="binary_2_2"),
        row("own", "ssae", "reconstruction", 0.1, 4, seed=0),
    ]
    table = built("table_a6", kept + other, tmp_path)
    assert table[["mean", "n"]].to_numpy().tolist() == [[0.8, 2]]
