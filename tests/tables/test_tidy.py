"""From metric rows to tidy tables: which rows enter, what is said of their variants, and their order."""

import pandas as pd
import pytest
from helpers.fake_metrics import grid_rows, language_rows, row, truth_rows
from helpers.tables import built, one, written


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


def test_what_a_row_says_of_its_variant_is_that_of_its_kind(tmp_path):
    rows = truth_rows({"ssae": 0.4}, "own", kind="affine") + truth_rows({"any": 0.9}, "own", kind="ssae_paper")
    rows += truth_rows({"labels": 0.9}, "own", kind="probe_direction")
    rows += [row("own", "any", "reconstruction", 0.95, 10, seed=seed) for seed in range(3)]
    rows += [row("own", "any", "reconstruction", 0.1, 10, seed=0, selected=False, params="{}")]
    table = built("table_a6", rows, tmp_path).set_index("variant")
    assert table[["kind", "recipe", "labelled"]].T.to_dict("list") == {
        "any": ["ssae_paper", "paper", False], "ssae": ["affine", "", False], "labels": ["probe_direction", "", True],
    }  # fmt: skip
    assert table.loc["any", "error"] == pytest.approx(0.95)
    assert pd.isna(table.loc["ssae", "error"])


def test_the_rival_is_the_first_variant_of_its_kind_in_the_same_place(tmp_path):
    rows = truth_rows({"mine": 0.9}, "own", kind="ssae")
    rows += truth_rows({"b": 0.5, "c": 0.6}, "own", kind="affine") + truth_rows({"a": 0.1}, "own", 5, kind="affine")
    rows += truth_rows({"a": 0.1}, "other", kind="affine") + truth_rows({"a": 0.1}, "own", kind="affine_paper")
    rows += truth_rows({"recommended": 0.2}, "own", kind="affine")
    found = one(built("table_a6", rows, tmp_path), dataset="own", variant="mine")
    assert (found["rival"], found["difference"]) == ("b", pytest.approx(0.4))


def test_an_interval_ends_where_the_metric_does_and_that_of_a_difference_does_not(tmp_path):
    rows = [row("own", name, "mcc_truth", value, 2, seed=seed, kind=kind)
            for name, kind, values in (("a", "ssae", (1.0, 0.7)), ("b", "affine", (0.1, 0.4)))
            for seed, value in enumerate(values)]  # fmt: skip
    table = built("table_a6", rows, tmp_path).set_index("variant")
    assert table[["low", "high"]].to_numpy().tolist() == [[0, 1], [0, 1]]
    assert table.loc["a", "difference_low"] < -1 and table.loc["a", "difference_high"] > 1


def test_settings_of_a_grid_are_compared_with_the_twin_of_their_kind(tmp_path):
    rows = grid_rows({(0.1, 0.1): (0.9, 0.9), (0.1, 0.2): (0.8, 0.8)}, (0.1, 0.1), rival=0.4)
    rows = [found | ({"variant": "twin"} if found["variant"] == "affine_paper" else {}) for found in rows]
    table = built("table_a6s", rows, tmp_path)
    assert set(table.loc[table["metric"] == "mcc_truth", "rival"]) == {"twin"}


def test_what_is_recommended_comes_first_and_kinds_that_no_table_knows_show(tmp_path):
    rows = truth_rows({name: 0.5 for name in ("pca", "affine", "ssae", "ssae_paper", "probe_direction", "ica")}, "own")
    rows += truth_rows({"recommended": 0.5}, "own", kind="pca") + truth_rows({"brand_new": 0.5}, "own", kind="l1_tied")
    for name in ("table_a6", "table_g1", "table_a2"):
        assert list(built(name, rows, tmp_path)["variant"]) == [
            "recommended", "ssae", "ssae_paper", "affine", "brand_new", "ica", "pca", "probe_direction",
        ]  # fmt: skip


def test_the_sources_numbers_stand_beside_what_is_of_its_kind_alone(tmp_path):
    rows = language_rows() + [
        found | {"variant": "recommended"} for found in language_rows() if found["variant"] == "ssae"
    ]
    rows += [found | {"variant": "mine"} for found in language_rows() if found["variant"] == "ssae"]
    table = built("table_a2", rows, tmp_path)
    cat = table[(table["dataset"] == "cat_135_3") & (table["metric"] == "mcc_seeds_decoder")].set_index("variant")
    assert cat.loc["mine", "published"] == 0.906
    assert pd.isna(cat.loc["recommended", "published"])
    gender = table[(table["dataset"] == "gender_1_1") & table["published"].notna()]
    assert gender.empty  # no number of it can be read in the source


def test_a_dead_model_is_called_dead_and_without_published_numbers_there_is_no_column_of_them(tmp_path):
    rows = truth_rows({"ssae": 0.9, "ssae_paper": 0.9, "pca": 0.9}, "own")
    errors = {"ssae": 0.2, "ssae_paper": 0.97, "pca": 0.97}
    rows += [row("own", name, "reconstruction", error, 10, seed=0) for name, error in errors.items()]
    text, _ = written("table_a6", built("table_a6", rows, tmp_path), tmp_path)
    assert "| ssae_paper (dead) |" in text and "| ssae |" in text and "| pca |" in text
    assert "Dead: the error on held-out pairs is .9 of doing nothing" in text
    assert ": paper |" not in text and "Student's t" in text
    alive, _ = written("table_a6", built("table_a6", truth_rows({"ssae_paper": 0.9}, "own"), tmp_path), tmp_path)
    assert "ead" not in alive.replace("Published: " + alive.split("Published: ")[1], "")
