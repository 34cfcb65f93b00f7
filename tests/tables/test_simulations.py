"""The figures of paper B's simulations: what varies, how they are judged, and what they show."""

import pytest
from helpers.tables import built, one, verdict_on, written

from shiftscope.files import canonical_json
from shiftscope.tables.simulations import Point, point_of

BEST, CHANCE = {2: 0.7, 4: 0.9, 8: 1.0}, 0.6


def rows_of(dataset: str, values: dict, excess: float = 0.001, **more) -> list[dict]:
    """Rows of one point in two worlds: by metric the accuracies of the trained and of the untrained network."""
    base = {
        "dataset": dataset, "eval_dataset": dataset, "lm": "synthetic", "layer": "", "codes": 256, "control": "", "split": "test",
        "selected": True, "concept": "concept_0",
    }  # fmt: skip
    found = []
    for world in range(2):
        for steps, name in ((300, "ntp_mlp"), (0, "ntp_mlp_untrained")):
            model = base | {"variant": name, "kind": "ntp_mlp", "params": canonical_json({"steps": steps}), "seed": 0,
                            "data_seed": world}  # fmt: skip
            found += [model | {"metric": "excess_loss", "value": excess if steps else 0.6, "concept": None}]
            found += [model | {"metric": "inversion_error", "value": 0.1, "concept": None}] * bool(steps)
            found += [model | {"metric": metric, "value": both[steps == 0]} for metric, both in values.items()]
        for control, value in (("bayes", more["best"]), ("majority", CHANCE)):
            world_row = base | {"variant": "", "kind": "", "params": "{}", "data_seed": world, "control": control}
            found += [world_row | {"metric": metric, "value": value} for metric in values]
    return found


def observed(trained: list[float], untrained: list[float], held_out: list[float], **more) -> list[dict]:
    found = []
    for number, (bits, best) in enumerate(BEST.items()):
        values = {
            "simulation_accuracy": (trained[number], untrained[number]),
            "simulation_accuracy_heldout": (held_out[number], 0.6),
        }
        found += rows_of(f"mine, chain, 3 concepts, {bits} observed", values, best=best, **more)
    return found


def latents(share: float, **more) -> list[dict]:
    found = []
    for graph in ("er1", "er2"):
        for concepts in (4, 8):
            score = CHANCE + share * (1 - CHANCE)
            values = {"simulation_accuracy": (score, 0.7), "simulation_accuracy_heldout": (score, 0.7)}
            found += rows_of(f"other, {graph}, {concepts} concepts, {2 * concepts} observed", values, best=1.0, **more)
    return found


def test_a_point_is_read_from_its_name():
    assert point_of("a, b, er2, 4 concepts, 8 observed") == Point("a, b", "er2", 4, 8)


@pytest.mark.parametrize(
    ("trained", "untrained", "status"),
    [
        ([0.7, 0.89, 0.99], [0.6, 0.6, 0.6], "reproduced"),
        ([0.7, 0.89, 0.99], [0.6, 0.7, 0.8], "only without its control"),
        ([0.7, 0.89, 0.8], [0.6, 0.7, 0.8], "not reproduced"),
        ([0.7, 0.7, 0.71], [0.6, 0.6, 0.6], "not reproduced"),
    ],
)
def test_accuracy_must_rise_with_the_bits_and_beyond_the_untrained_network(tmp_path, trained, untrained, status):
    table = built("figure_b2l", observed(trained, untrained, [0.7, 0.8, 0.9]) + latents(1.0), tmp_path)
    assert set(table["base"]) == {"mine"}  # the other dataset varies in something else
    assert verdict_on("figure_b2l", table, "paper", "synthetic").status == status
    assert verdict_on("figure_b2l", table, "ours", "synthetic").status == "holds"
    row = one(table, metric="simulation_accuracy", n_observed=4)
    assert (row["bayes"], row["majority"], row["untrained_sae"], row["epsilon"]) == pytest.approx(
        (0.9, CHANCE, untrained[1], 0.1)
    )


def test_networks_that_have_not_learned_their_worlds_test_nothing(tmp_path):
    table = built("figure_b2l", observed([0.7, 0.8, 0.9], [0.6] * 3, [0.7, 0.8, 0.9], excess=0.3), tmp_path)
    for recipe in ("paper", "ours"):
        found = verdict_on("figure_b2l", table, recipe, "synthetic")
        assert found.status == "not tested" and "0.3 nats above the least possible loss" in found.sentence


@pytest.mark.parametrize(("share", "status"), [(0.95, "reproduced"), (0.8, "not reproduced")])
def test_every_graph_and_number_of_concepts_must_be_told(tmp_path, share, status):
    table = built("figure_b2r", latents(share) + observed([0.7, 0.8, 0.9], [0.6] * 3, [0.7, 0.8, 0.9]), tmp_path)
    assert set(table["base"]) == {"other"}
    found = verdict_on("figure_b2r", table, "paper", "synthetic")
    assert found.status == status and "4 points" in found.sentence


def test_figures_name_what_they_show(tmp_path):
    rows = observed([0.7, 0.89, 0.99], [0.6, 0.7, 0.8], [0.7, 0.8, 0.9]) + latents(0.95)
    markdown, texts = written("figure_b2l", built("figure_b2l", rows, tmp_path), tmp_path)
    assert "mine, chain, 3 concepts, 8 observed" in markdown
    assert {"observed bits", "ε", "Bayes: the best possible", "untrained network"} <= set(texts)
    texts = written("figure_b2r", built("figure_b2r", rows, tmp_path), tmp_path)[1]
    assert {"er2", "concepts"} <= set(texts)


@pytest.mark.parametrize("name", ["figure_b2l", "figure_b2r"])
def test_without_what_varies_there_is_an_empty_figure_that_says_why(tmp_path, name):
    values = {"simulation_accuracy": (0.9, 0.7), "simulation_accuracy_heldout": (0.9, 0.7)}
    rows = rows_of("mine, chain, 3 concepts, 4 observed", values, best=0.9)
    table = built(name, rows, tmp_path)
    assert table.empty
    assert any("No simulation differs" in text for text in written(name, table, tmp_path)[1])
