"""Steering between datasets: what is chosen on one and scored on another."""

import numpy as np
import pytest
from helpers.configs import with_value

from shiftscope.config.read import parse_config
from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.steering import transfer_rows
from shiftscope.metrics.steering import cosine_moved, fit_direction, no_steering
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.pca import Pca

D, N = 6, 40


def dataset(name: str, concepts: dict[str, np.ndarray], seed: int, untrained_of: str | None = None) -> PairEmbeddings:
    """Single-concept pairs only, of each concept as many, half of them turned; the shift is the concept's direction."""
    generator = np.random.default_rng(seed)
    before, after, concept, sign = [], [], [], []
    for number, direction in enumerate(concepts.values()):
        start = generator.normal(size=(N, D))
        end = start + direction + 0.05 * generator.normal(size=(N, D))
        turned = generator.random(N) < 0.5
        before.append(np.where(turned[:, None], end, start))
        after.append(np.where(turned[:, None], start, end))
        concept += [number] * N
        sign += list(np.where(turned, -1, 1))
    facts = {
        "dataset": name,
        "lm": "lm",
        "untrained_of": untrained_of,
        "layer": "final_norm",
        "concepts": list(concepts),
    }
    arrays = [np.concatenate(side)[None].astype(np.float32) for side in (before, after)]
    total = N * len(concepts)
    return PairEmbeddings(
        *arrays, np.full(total, 2), np.arange(total), np.array([concept]), np.array([sign]), {}, facts
    )


def trained(directions: np.ndarray) -> Trained:
    arrays = {"decoder": directions.astype(np.float32), "alive": np.ones(len(directions), bool)}
    models = [Model(setting, 0, 0, arrays, {}) for setting in (0, 1)]
    facts = {"variant": "pca", "kind": "pca", "codes": len(directions), "settings": [{}, {"other": 1}]}
    return Trained(facts, Pca, models, 1)


SHARED, OTHER = 2 * np.eye(D)[0], 2 * np.eye(D)[1]
EVERYTHING = np.ones(2 * N, bool)


def value(rows, **where):
    [found] = [one["value"] for one in rows if all(one.get(key) == wanted for key, wanted in where.items())]
    return found


def test_direction_sign_and_scale_come_from_the_first_dataset():
    first = dataset("first", {"shared": SHARED}, 0)
    second = dataset("second", {"other": OTHER, "shared": SHARED}, 1)
    directions = np.stack([np.eye(D)[1], -np.eye(D)[0]])  # the right one points back: its sign must be found
    rows = transfer_rows(first, second, EVERYTHING, [trained(directions)])
    assert {one["concept"] for one in rows} == {"shared"}
    assert {(one["dataset"], one["eval_dataset"], one["split"]) for one in rows} == {("first", "second", "single")}
    steered = value(rows, variant="pca", metric="cosine_heldout", control="")
    unsteered = value(rows, variant="", metric="cosine_heldout", control="no_steering")
    assert steered > 0.99 > unsteered
    back = dataset("second", {"other": OTHER, "shared": -SHARED}, 1)  # what was learned on the first is wrong here
    wrong = transfer_rows(first, back, EVERYTHING, [trained(directions)])
    assert value(wrong, variant="pca", metric="cosine_heldout", control="") < value(
        wrong, variant="", metric="cosine_heldout", control="no_steering"
    )


def test_the_score_is_the_cosine_of_the_pairs_that_are_new():
    first, second = dataset("first", {"shared": SHARED}, 0), dataset("second", {"shared": SHARED}, 1)
    new = np.arange(N) < 10
    directions = np.eye(D)[:2]
    rows = transfer_rows(first, second, new, [trained(directions)])

    def oriented(data, keep):
        back = data.sign[0] < 0
        z0, z1 = data.embedding_0[0], data.embedding_1[0]
        return np.where(back[:, None], z1, z0)[keep], np.where(back[:, None], z0, z1)[keep]

    best = fit_direction(*oriented(first, slice(None)), directions)
    expected = cosine_moved(*oriented(second, new), best, directions)
    assert value(rows, variant="pca", metric="cosine_heldout", control="") == pytest.approx(expected.mean, abs=1e-9)
    assert value(rows, variant="pca", metric="cosine_heldout_sd", control="") == pytest.approx(expected.sd, abs=1e-9)
    unsteered = no_steering(*oriented(second, new)).mean
    assert value(rows, variant="", metric="cosine_heldout", control="no_steering") == pytest.approx(unsteered, abs=1e-9)
    assert len([one for one in rows if one["control"] == "random_dictionary"]) == 5 * 4


def test_too_few_new_pairs_give_no_row_and_say_so(caplog):
    first, second = dataset("first", {"shared": SHARED}, 0), dataset("second", {"shared": SHARED}, 1)
    assert transfer_rows(first, second, np.arange(N) < 3, [trained(np.eye(D)[:1])]) == []
    assert "too few pairs of second without its texts" in caplog.text


def test_an_untrained_twin_is_a_control_and_has_none():
    first, second = (dataset(name, {"shared": SHARED}, seed, "real") for seed, name in enumerate(("first", "second")))
    rows = transfer_rows(first, second, np.ones(N, bool), [trained(np.eye(D)[:1])])
    assert {(one["lm"], one["control"]) for one in rows} == {("real", "untrained_lm")}


def test_the_config_tells_which_datasets_share_a_concept_and_a_frame():
    config = with_value(
        "pairs", {"lang_1_1": {}, "gender_1_1": {}, "binary_2_2": {}, "corr_2_1": {"template": "{text}"}}
    )
    found = parse_config(config).transfers(next(iter(config["lms"])))
    both = {("lang_1_1", "binary_2_2"), ("gender_1_1", "binary_2_2")}
    assert set(found) == both | {pair[::-1] for pair in both}
