"""The log-posterior's table and figure: every verdict on made-up rows, and what is refused."""

import pytest
from helpers.tables import built, verdict_on, written

from shiftscope.errors import ShiftScopeError


def rows_of(
    told: float, tells: float, untrained=(0.3, 0.1), bag=(0.7, 0.4), null: float = 0.0, concept="a × b", **more
) -> list[dict]:
    base = {
        "dataset": "c", "eval_dataset": "c", "lm": "g", "layer": "final_norm", "variant": "", "kind": "", "codes": 0, "params": "{}",
        "selected": True, "control": "", "split": "test", "data_seed": 0, "concept": concept,
    } | more  # fmt: skip
    found = [base | {"metric": "posterior_excluded", "value": 0.2}]
    for seed in range(3):
        for metric, values in (
            ("posterior_r2", (told, untrained[0], bag[0], 0.0)), ("representation_r2", (tells, untrained[1], bag[1], 0.0)),
        ):  # fmt: skip
            controls = ("", "untrained_lm", "bag_of_tokens", "permuted_labels")
            found += [
                base | {"seed": seed, "metric": metric, "control": control, "value": value}
                for control, value in zip(controls, values, strict=True)
            ]
    tone = base | {"concept": "tone (NULL)"}
    found += [tone | {"metric": "posterior_excluded", "value": 0.0}]
    found += [tone | {"metric": "posterior_r2", "seed": seed, "value": null} for seed in range(3)]
    found += [tone | {"metric": "posterior_r2", "seed": 0, "value": 0.5, "control": "untrained_lm"}]
    return found


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        (rows_of(0.95, 0.92), "holds"),
        (rows_of(0.95, 0.6), "does not hold"),
        (rows_of(0.6, 0.95), "does not hold"),
        (rows_of(0.95, 0.92, untrained=(0.96, 0.91)), "only without its control"),
        (rows_of(0.95, 0.92, untrained=(0.96, 0.1)), "holds"),
        (rows_of(0.95, 0.92, bag=(0.94, 0.93)), "only without its control"),
        (rows_of(0.95, 0.92, null=0.9), "does not hold"),  # what nothing follows from is told better than untrained
    ],
)
def test_both_ways_must_be_linear_and_beyond_the_controls(tmp_path, rows, status):
    table = built("table_posterior", rows, tmp_path)
    found = verdict_on("table_posterior", table, "ours", "g")
    assert found.status == status
    assert (
        "a × b" in found.sentence
        and ".20 of the contexts left out" in found.sentence
        and "tone (NULL)" in found.sentence
    )


def test_without_a_joint_posterior_every_concept_must_be_linear(tmp_path):
    rows = [row for row in rows_of(0.95, 0.95, concept="a") if row["concept"] == "a"]
    other = [row for row in rows_of(0.5, 0.95, concept="b") if row["concept"] == "b"]
    assert verdict_on("table_posterior", built("table_posterior", rows, tmp_path), "ours", "g").status == "holds"
    assert (
        verdict_on("table_posterior", built("table_posterior", rows + other, tmp_path), "ours", "g").status
        == "does not hold"
    )


def test_a_model_without_its_twin_is_judged_without_that_control(tmp_path):
    rows = [row for row in rows_of(0.95, 0.95) if row["control"] != "untrained_lm"]
    found = verdict_on("table_posterior", built("table_posterior", rows, tmp_path), "ours", "g")
    assert found.status == "only without its control" and "Control not run: untrained." in found.sentence


def test_a_score_without_its_excluded_share_is_refused(tmp_path):
    rows = [row for row in rows_of(0.9, 0.9) if row["metric"] != "posterior_excluded"]
    with pytest.raises(ShiftScopeError, match="came without the share of contexts that were left out"):
        built("table_posterior", rows, tmp_path)


@pytest.mark.parametrize("lack", [{"split": "train"}, {"seed": None}])
def test_a_score_that_is_not_held_out_or_has_no_seed_is_refused_by_the_schema(tmp_path, lack):
    rows = [row | (lack if row["metric"] == "posterior_r2" and not row["control"] else {}) for row in rows_of(0.9, 0.9)]
    with pytest.raises(ShiftScopeError, match=r"posterior_r2.*needs (a held-out split|a seed)"):
        built("table_posterior", rows, tmp_path)


def test_checkpoints_and_layers_stand_in_their_order(tmp_path):
    rows = rows_of(0.9, 0.9) + rows_of(0.5, 0.5, layer="resid_post.0")
    rows += [row | {"step": 50} for row in rows_of(0.2, 0.2) if not row["control"] and row["metric"].endswith("_r2")]
    table = built("table_posterior", rows, tmp_path)
    joint = table[table["metric"] == "posterior_r2"]
    assert [*zip(joint["variant"], joint["layer"], strict=True)][:3] == [
        ("a × b", "resid_post.0"), ("a × b", "final_norm"), ("tone (NULL)", "resid_post.0"),
    ]  # fmt: skip
    assert "a × b, after 50 steps" in set(joint["variant"])
    assert "a × b" in written("table_posterior", table, tmp_path)[0]


def points(told: list[float], tells: list[float], untrained: list[float], errors=(0.5, 0.2, 0.01)) -> list[dict]:
    found = []
    for number, error in enumerate(errors):
        name = f"c, {number + 1} words"
        both = (untrained[number], untrained[number])
        rows = rows_of(told[number], tells[number], untrained=both, dataset=name, eval_dataset=name)
        rows = [row for row in rows if row["concept"] == "a × b" and row["metric"] != "posterior_excluded"]
        found += [*rows, rows[0] | {"metric": "inversion_error", "value": error, "seed": None}]
    return found


@pytest.mark.parametrize(
    ("told", "tells", "untrained", "status"),
    [
        ([0.5, 0.7, 0.9], [0.4, 0.5, 0.6], [0.3, 0.3, 0.3], "holds"),
        ([0.5, 0.7, 0.9], [0.4, 0.5, 0.4], [0.3, 0.3, 0.3], "does not hold"),
        ([0.5, 0.7, 0.9], [0.4, 0.5, 0.6], [0.3, 0.4, 0.5], "only without its control"),
    ],
)
def test_linearity_must_rise_as_the_error_falls(tmp_path, told, tells, untrained, status):
    rows = points(told, tells, untrained)
    rows += [
        row | {"metric": f"posterior_error_{of}_{third}", "value": 0.3}
        for row in rows_of(0.9, 0.9)
        if row["metric"] == "posterior_r2" and not row["control"] and row["concept"] == "a × b"
        for of in ("entropy", "depth", "rarity")
        for third in ("low", "middle", "high")
    ]
    table = built("figure_posterior", rows, tmp_path)
    assert verdict_on("figure_posterior", table, "ours", "g").status == status
    texts = written("figure_posterior", table, tmp_path)[1]
    assert {"ε", "g, a × b", "untrained network", "error, g"} <= set(texts)


def test_too_few_points_test_nothing(tmp_path):
    table = built("figure_posterior", points([0.5, 0.9], [0.5, 0.9], [0.1, 0.1], (0.5, 0.1)), tmp_path)
    assert verdict_on("figure_posterior", table, "ours", "g").status == "not tested"


def test_without_a_joint_posterior_the_figure_says_what_it_needs(tmp_path):
    table = built(
        "figure_posterior", [row for row in rows_of(0.9, 0.9, concept="a") if row["concept"] == "a"], tmp_path
    )
    assert table.empty
    assert any("No joint log-posterior was tested" in text for text in written("figure_posterior", table, tmp_path)[1])
