"""B-F3: heatmaps of A·W, and what they say beside an untrained network."""

import json

import pytest
from helpers.tables import built, one, verdict_on, written

NAMES = ("a", "b")


def rows_of(
    lm: str, top: float, held_out: float, control: str = "", dataset: str = "words", gap: float = 0.6
) -> list[dict]:
    """A language model's rows, or its twin's, by the share of concepts whose own probe is first."""
    base = {
        "dataset": dataset, "eval_dataset": dataset, "lm": lm, "layer": "final_norm", "codes": 0, "variant": "", "kind": "",
        "params": "{}", "selected": True, "control": control,
    }  # fmt: skip
    found = [base | {"split": "train", "concept": name, "metric": "identity_top", "value": top} for name in NAMES]
    found += [
        base | {"split": "train", "concept": name, "metric": "identity_gap", "value": top * 0.6} for name in NAMES
    ]
    for seed in range(3):
        half = base | {"split": "test", "seed": seed}
        found += [half | {"concept": name, "metric": "identity_top_heldout", "value": held_out} for name in NAMES]
        found += [
            half | {"concept": name, "metric": "identity_gap_heldout", "value": gap + 0.1 * (name == "b")}
            for name in NAMES
        ]
    if control == "permuted_labels":
        return found
    for concept in NAMES:
        for other in NAMES:
            cell = base | {"concept": concept, "concept_2": other, "value": 1.0 if concept == other else -0.25}
            found.append(cell | {"split": "train", "metric": "identity"})
            found += [cell | {"split": "test", "seed": seed, "metric": "identity_heldout"} for seed in range(3)]
    return found


def all_rows(untrained: tuple[float, float] = (1.0, 0.1), trained: tuple[float, float] = (1.0, 0.95)) -> list[dict]:
    return [
        *rows_of("m", *trained),
        *rows_of("m", *untrained, control="untrained_lm"),
        *rows_of("m", 0.9, 0.1, control="permuted_labels"),
    ]


def test_in_sample_the_untrained_network_has_it_too_and_held_out_it_holds(tmp_path):
    table = built("figure_b3", all_rows(), tmp_path)
    assert verdict_on("figure_b3", table, "paper", "m").status == "only without its control"
    found = verdict_on("figure_b3", table, "ours", "m")
    assert found.status == "holds" and "untrained .10, permuted .10" in found.sentence
    row = one(table, metric="identity_gap_heldout")
    assert (row["mean"], row["n"]) == (pytest.approx(0.65), 2) and row["low"] < 0.65 < row["high"]  # over concepts


@pytest.mark.parametrize(
    ("share", "gap", "status"), [(0.4, 0.6, "does not hold"), (0.95, 0.6, "holds"), (0.95, 0.2, "does not hold")]
)
def test_most_concepts_must_be_read_by_their_own_probe_and_little_by_others(tmp_path, share, gap, status):
    controls = [row for row in all_rows() if row["control"]]
    table = built("figure_b3", rows_of("m", 1.0, share, gap=gap) + controls, tmp_path)
    assert verdict_on("figure_b3", table, "ours", "m").status == status


def test_steps_of_a_training_stand_beside_the_model_and_are_not_judged(tmp_path):
    early = [row | {"step": 50} for row in rows_of("m", 0.1, 0.1)]
    table = built("figure_b3", all_rows() + early, tmp_path)
    row = one(table, variant="after 50 steps", metric="identity_top_heldout")
    assert row["mean"] == pytest.approx(0.1) and row["cells"] == ""
    assert verdict_on("figure_b3", table, "ours", "m").status == "holds"


def test_without_the_untrained_network_nothing_is_reproduced(tmp_path):
    found = verdict_on("figure_b3", built("figure_b3", rows_of("m", 1.0, 1.0), tmp_path), "ours", "m")
    assert found.status == "only without its control" and "Control not run" in found.sentence


def test_heatmaps_are_in_the_table_and_drawn_beside_the_twins(tmp_path):
    table = built("figure_b3", all_rows() + rows_of("other", 1.0, 1.0), tmp_path)
    row = one(table, lm="m", metric="identity_top")
    assert json.loads(row["cells"]) == json.loads(row["cells_heldout_untrained"]) == [[1, -0.25], [-0.25, 1]]
    assert one(table, lm="other", metric="identity_top")["cells_untrained"] == ""
    markdown, texts = written("figure_b3", table, tmp_path)
    assert "own probe first, held out" in markdown
    assert {"held out, untrained", "not measured", "A·W"} <= set(texts)
