"""T-2: more concepts than dimensions."""

import math

import pytest
from helpers.fake_metrics import row
from helpers.tables import built, one, written

from shiftscope.tables import figure_t2, table_t2, verdicts

UNTRAINED = {"ssae_untrained": 0.5, "l1_tied_untrained": 0.8}


def world_rows(world, levels, **other):
    """What three seeds score in a world, by variant; `l1_tied` has more codes."""
    return [
        row(f"crowded, {world}", variant, metric, level - 0.001 * seed, 128 if "l1" in variant else 10, seed=seed, **other)
        for variant, level in levels.items()
        for metric in ("mcc_two_codes", "mcc_truth")
        for seed in range(3)
    ]  # fmt: skip


def worlds(levels):
    """Worlds of `{world: (ssae, l1_tied)}`, with both untrained."""
    return [
        row
        for world, (shifts, embeddings) in levels.items()
        for row in world_rows(world, {"ssae": shifts, "l1_tied": embeddings} | UNTRAINED)
    ]


GOOD = {"active 0.03": (1.0, 0.95), "active 1": (1.0, 0.7), "unintended 0": (1.0, 0.95), "unintended 1": (0.65, 0.87)}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, verdicts.REPRODUCED),
        ({"active 0.03": (1.0, 0.99)}, verdicts.REPRODUCED),  # level in one world, above in most
        ({"active 0.03": (1.0, 0.99), "active 1": (1.0, 0.99)}, verdicts.NOT_REPRODUCED),
        ({"active 1": (0.96, 0.99)}, verdicts.NOT_REPRODUCED),  # below
        ({"active 1": (0.94, 0.7)}, verdicts.NOT_REPRODUCED),  # not found
    ],
)
def test_t2(tmp_path, changed, status):
    table = built("table_t2", worlds(GOOD | changed), tmp_path)
    assert table_t2.verdict(table)[0] == status


def test_t2_names_the_worlds_that_shifts_lose(tmp_path):
    table = built("table_t2", worlds(GOOD | {"active 0.03": (1.0, 0.99)}), tmp_path)
    said = table_t2.verdict(table)[1]
    assert (
        "Level with it: crowded, active 0.03 (.999 against .989). Below it: crowded, unintended 1 (.65 against .87)"
        in said
    )
    assert "2 of 4 worlds and less in 1" in table_t2.finding(table)


def test_a_world_on_several_axes_counts_once(tmp_path):
    table = built("table_t2", worlds(GOOD | {"single 1": GOOD["active 0.03"]}), tmp_path)
    assert "over 3 worlds" in table_t2.verdict(table)[1]
    assert len(table_t2.contest(table)) == 5


def test_t2_without_one_of_the_two(tmp_path):
    table = built("table_t2", world_rows("active 1", {"ssae": 0.99} | UNTRAINED), tmp_path)
    assert (table_t2.verdict(table)[0], table_t2.finding(table)) == (verdicts.NOT_TESTED, "")


@pytest.mark.parametrize("change", [0.04, -0.04])
def test_t2_takes_ssae_at_its_fewest_codes_and_the_rival_at_its_best(tmp_path, change):
    rows = worlds(GOOD)
    rows += [row | {"codes": row["codes"] + 100, "value": row["value"] + change} for row in rows]
    found = table_t2.contest(built("table_t2", rows, tmp_path)).set_index("dataset").loc["crowded, active 1"]
    assert found["shifts"] == pytest.approx(0.999)
    assert found["embeddings"] == pytest.approx(0.699 + max(change, 0))


def test_an_untrained_variant_is_the_control_of_the_trained_one(tmp_path):
    rows = worlds(GOOD) + world_rows("active 1", {"ssae_untrained": 0.1}, control="permuted_labels")
    table = built("table_t2", rows, tmp_path)
    assert set(table["variant"]) == {"ssae", "l1_tied"}
    found = one(table, dataset="crowded, active 1", variant="l1_tied", metric="mcc_truth")
    assert (found["mean"], found["untrained_sae"]) == pytest.approx((0.699, 0.799))
    found = one(table, dataset="crowded, active 1", variant="ssae", metric="mcc_truth")
    assert math.isnan(found["permuted_labels"])  # those of the untrained are nobody's


@pytest.mark.parametrize(("variant", "control"), [("ssae", "permuted_labels"), ("ssae_untrained", "")])
def test_t2_with_a_control_that_does_as_well(tmp_path, variant, control):
    rows = [row for row in worlds(GOOD) if row["variant"] != "ssae_untrained"]
    table = built("table_t2", rows + world_rows("active 1", {variant: 0.99}, control=control), tmp_path)
    assert table_t2.verdict(table)[0] == verdicts.WITHOUT_CONTROL


def test_worlds_are_in_the_order_of_what_differs(tmp_path):
    levels = {f"n_concepts {number}": (1.0, 0.9) for number in (128, 24, 64)} | GOOD
    table = built("table_t2", worlds(levels), tmp_path)
    values = table.drop_duplicates("dataset")[["field", "value"]].to_records(index=False).tolist()
    assert values == [
        ("active", 0.03), ("active", 1), ("n_concepts", 24), ("n_concepts", 64), ("n_concepts", 128), ("unintended", 0),
        ("unintended", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, verdicts.REPRODUCED),
        ({"unintended 1": (0.95, 0.87)}, verdicts.NOT_REPRODUCED),
        ({"unintended 1": (0.6, 0.81)}, verdicts.WITHOUT_CONTROL),  # the untrained scores .80
    ],
)
def test_unmeant_changes_cost_shifts_more(tmp_path, changed, status):
    table = built("figure_t2", worlds(GOOD | changed), tmp_path)
    assert figure_t2.verdict(table)[0] == status


def test_without_unmeant_changes_their_cost_is_not_tested(tmp_path):
    table = built("figure_t2", worlds({"active 1": (1.0, 0.7), "unintended 1": (0.6, 0.8)}), tmp_path)
    assert figure_t2.verdict(table)[0] == verdicts.NOT_TESTED


def test_the_figure_has_a_panel_for_everything_that_was_swept(tmp_path):
    text, drawn = written("figure_t2", built("figure_t2", worlds(GOOD), tmp_path), tmp_path)
    assert "from a share of 0 to 1: ssae .999 to .65, l1_tied .95 to .87" in text
    assert {
        "crowded",
        "share of concepts active",
        "pairs with an unmeant change",
        "ssae, 10 codes",
        "l1_tied, 128 codes",
    } <= set(drawn)
    assert "concepts of both signs" not in drawn
