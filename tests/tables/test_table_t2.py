"""T-2: more concepts than dimensions."""

import math

import pytest
from helpers.fake_metrics import row
from helpers.tables import built, one, verdict_on, written

from shiftscope.tables import figure_t2, table_t2
from shiftscope.tables.contests import contest

UNTRAINED = {"ssae": 0.5, "l1_tied": 0.8}
CODES = {"ssae": 10, "ssae_paper": 10, "l1_tied": 128}
"""of sides, by kind"""


def world_rows(world, levels, untrained=False, **other):
    """What three seeds score in a world, by kind; variants are called in a way that says nothing of it."""
    return [
        row(f"crowded, {world}", f"{'first' if untrained else 'last'}_{kind[:2]}", metric, level - 0.001 * seed, CODES[kind],
            seed=seed, **{"kind": kind, "params": f'{{"steps":{0 if untrained else 9}}}'} | other)
        for kind, level in levels.items()
        for metric in ("mcc_two_codes", "mcc_truth")
        for seed in range(3)
    ]  # fmt: skip


def chance(world, level=0.3, control="random_dictionary"):
    """What random directions score in a world, whatever the variant, and as many codes as SSAE has."""
    named = {"kind": "", "control": control}
    return [row(f"crowded, {world}", "", "mcc_two_codes", level, codes, **named) for codes in (10, 128)]


def worlds(levels, ours="ssae"):
    """Worlds of `{world: (SSAE, l1_tied)}`, with all controls."""
    return [
        row
        for world, (shifts, embeddings) in levels.items()
        for row in (
            world_rows(world, {ours: shifts, "l1_tied": embeddings})
            + world_rows(world, {ours: UNTRAINED["ssae"], "l1_tied": UNTRAINED["l1_tied"]}, untrained=True)
            + world_rows(world, {ours: 0.1, "l1_tied": 0.1}, control="permuted_labels")
            + chance(world)
        )
    ]


GOOD = {"active 0.03": (1.0, 0.95), "active 1": (1.0, 0.7), "unintended 0": (1.0, 0.95), "unintended 1": (0.65, 0.87)}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, "holds"),
        ({"active 0.03": (1.0, 0.99)}, "holds"),  # level in one world, above in most
        ({"active 0.03": (1.0, 0.99), "active 1": (1.0, 0.99)}, "does not hold"),
        ({"active 1": (0.96, 0.99)}, "does not hold"),  # below
        ({"active 1": (0.94, 0.7)}, "does not hold"),  # not found
    ],
)
@pytest.mark.parametrize(("ours", "recipe"), [("ssae", "ours"), ("ssae_paper", "paper")])
def test_t2(tmp_path, changed, status, ours, recipe):
    table = built("table_t2", worlds(GOOD | changed, ours), tmp_path)
    assert verdict_on("table_t2", table, recipe).status == status
    assert {one.status for one in table_t2.verdict(table)} == {status, "not tested"}


def test_t2_names_the_worlds_that_shifts_lose(tmp_path):
    table = built("table_t2", worlds(GOOD | {"active 0.03": (1.0, 0.99)}), tmp_path)
    said = verdict_on("table_t2", table).sentence
    assert said.startswith(
        "last_ss: MCC by up to two codes a concept over 4 worlds .649 to .999; last_l1 .699 to .989, "
    )
    assert said.endswith(
        "Level with it: crowded, active 0.03 (.999 against .989). Below it: crowded, unintended 1 (.65 against .87)."
    )
    assert table_t2.finding(table).endswith("shifts tell more than embeddings in 2 of 4 worlds and less in 1.")


def test_a_world_on_several_axes_counts_once(tmp_path):
    table = built("table_t2", worlds(GOOD | {"single 1": GOOD["active 0.03"]}), tmp_path)
    assert "over 3 worlds" in verdict_on("table_t2", table).sentence
    assert len(contest(table)) == 5


@pytest.mark.parametrize("levels", [{"ssae": 0.99}, {"l1_tied": 0.5}, {"ssae_paper": 0.99, "l1_tied": 0.5}])
def test_t2_without_one_of_the_two(tmp_path, levels):
    table = built("table_t2", world_rows("active 1", levels), tmp_path)
    assert verdict_on("table_t2", table).status == "not tested"
    assert bool(table_t2.finding(table)) == (len(levels) == 2)


def test_each_recipe_is_judged_alone(tmp_path):
    rows = worlds(GOOD)
    rows += [row | {"variant": "paper"} for world in GOOD for row in world_rows(world, {"ssae_paper": 0.6})]
    found = [verdict_on("table_t2", built("table_t2", rows, tmp_path), recipe) for recipe in ("ours", "paper")]
    assert [one.status for one in found] == ["holds", "does not hold"]
    assert [one.sentence.partition(": ")[0] for one in found] == ["last_ss", "paper"]


def test_what_is_recommended_is_on_neither_side(tmp_path):
    rows = worlds(GOOD)
    again = [row | {"variant": "recommended", "value": 0.999, "codes": 5} for row in rows if row["variant"]]
    tables = [built("table_t2", some, tmp_path) for some in (rows, rows + again)]
    assert tables[0].equals(tables[1][tables[1]["variant"] != "recommended"].reset_index(drop=True))
    assert contest(tables[0]).equals(contest(tables[1]))


@pytest.mark.parametrize("change", [0.04, -0.04])
def test_t2_takes_ssae_at_its_fewest_codes_and_the_rival_at_its_best(tmp_path, change):
    rows = worlds(GOOD)
    rows += [row | {"codes": row["codes"] + 100, "value": row["value"] + change} for row in rows]
    found = contest(built("table_t2", rows, tmp_path)).set_index("dataset").loc["crowded, active 1"]
    assert found["mean"] == pytest.approx(0.999)
    assert found["embeddings"] == pytest.approx(0.699 + max(change, 0))
    assert found["gain"] == pytest.approx(0.7 - 0.8)
    assert found["random"] == pytest.approx(0.3 + max(change, 0))


def test_what_was_left_untrained_is_the_control_of_the_trained_of_its_kind(tmp_path):
    rows = worlds(GOOD) + world_rows("active 1", {"ssae": 0.1}, untrained=True, control="permuted_labels")
    rows += world_rows("single 1", {"ssae": 0.1}, untrained=True)
    rows += [row | {"variant": "more"} for row in world_rows("active 1", {"ssae": 0.7})]
    table = built("table_t2", rows, tmp_path)
    assert set(table["variant"]) == {"last_ss", "last_l1", "more"}
    assert "crowded, single 1" not in set(table["dataset"])  # nothing trained is beside it
    found = one(table, dataset="crowded, active 1", variant="last_l1", metric="mcc_truth")
    assert (found["mean"], found["untrained_sae"]) == pytest.approx((0.699, 0.799))
    for variant in ("last_ss", "more"):
        found = one(table, dataset="crowded, active 1", variant=variant, metric="mcc_two_codes")
        assert found["untrained_sae"] == pytest.approx(0.499)
    assert math.isnan(found["permuted_labels"])  # those of the untrained are nobody's


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ([], "holds"),
        (world_rows("active 1", {"ssae": 0.99}, untrained=True), "only without its control"),
        (world_rows("active 1", {"ssae": 0.99}, control="permuted_labels"), "only without its control"),
        (chance("active 1", 0.99), "only without its control"),
        (world_rows("unintended 1", {"ssae": 0.99}, untrained=True), "holds"),  # there nothing is claimed
    ],
)
def test_t2_with_a_control_that_does_as_well(tmp_path, more, status):
    def place(one):
        return one["dataset"], one["kind"], one["params"], one["control"]

    rows = [row for row in worlds(GOOD) if place(row) not in map(place, more)]
    assert verdict_on("table_t2", built("table_t2", rows + more, tmp_path)).status == status


def test_t2_without_a_control(tmp_path):
    rows = [row for row in worlds(GOOD) if row["params"] != '{"steps":0}']
    found = verdict_on("table_t2", built("table_t2", rows, tmp_path))
    assert found.status == "only without its control"
    assert found.sentence.endswith("Control not run: untrained codes.")


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
        ({}, "holds"),
        ({"unintended 1": (0.95, 0.87)}, "does not hold"),
        ({"unintended 1": (0.6, 0.81)}, "only without its control"),  # the untrained scores .80
    ],
)
def test_unmeant_changes_cost_shifts_more(tmp_path, changed, status):
    table = built("figure_t2", worlds(GOOD | changed), tmp_path)
    assert verdict_on("figure_t2", table).status == status


def test_unmeant_changes_without_the_untrained(tmp_path):
    rows = [row for row in worlds(GOOD) if row["params"] != '{"steps":0}']
    assert verdict_on("figure_t2", built("figure_t2", rows, tmp_path)).status == "only without its control"


def test_without_unmeant_changes_their_cost_is_not_tested(tmp_path):
    table = built("figure_t2", worlds({"active 1": (1.0, 0.7), "unintended 1": (0.6, 0.8)}), tmp_path)
    assert verdict_on("figure_t2", table).status == "not tested"


def test_the_figure_has_a_panel_for_everything_that_was_swept(tmp_path):
    text, drawn = written("figure_t2", built("figure_t2", worlds(GOOD), tmp_path), tmp_path)
    assert "last_ss: on crowded from a share of 0 to 1 .999 to .65, last_l1 .95 to .87." in text
    assert {
        "crowded",
        "share of concepts active",
        "pairs with an unmeant change",
        "last_ss, 10 codes",
        "last_l1, 128 codes",
    } <= set(drawn)
    assert "concepts of both signs" not in drawn


def test_without_worlds_the_figure_says_so(tmp_path):
    rows = [row | {"dataset": "crowded", "eval_dataset": "crowded"} for row in world_rows("active 1", {"ssae": 1.0})]
    _, drawn = written("figure_t2", built("figure_t2", rows, tmp_path), tmp_path)
    assert figure_t2.EMPTY in drawn
