"""The held-out gain: what structure is worth, and what it must not depend on."""

import dataclasses

import numpy as np
import pytest
from helpers.shifts import random_pairs
from helpers.tiny_models import embeddings_of

from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.training import constrained
from shiftscope.training.base import train
from shiftscope.training.held_out import FEWEST, FOLDS, MOST_CODES, SEED, gain, gains
from shiftscope.variants.affine import Affine
from shiftscope.variants.base import linear_model
from shiftscope.variants.pca import Pca
from shiftscope.variants.ssae import Ssae

ALONE = np.arange(600)


def gaussian(rng, n=600):
    return rng.normal(size=(n, 2)) * [1, 5]


def clustered(rng, n=600):
    return rng.choice([-1, 0, 1], (n, 2)) + 0.1 * rng.normal(size=(n, 2))


def sparse(rng, n=600):
    return rng.normal(size=(n, 2)) * (rng.random((n, 2)) < 0.3)


# --- the gain of codes


@pytest.mark.parametrize("seed", range(3))
def test_gaussian_codes_gain_next_to_nothing_and_structure_does(seed):
    rng = np.random.default_rng(seed)
    mean, error = gain(gaussian(rng), ALONE)
    assert abs(mean) < 0.05 and 0 < error < 0.05
    for codes in (clustered(rng), sparse(rng)):
        mean, error = gain(codes, ALONE)
        assert mean > 0.3 and mean > 5 * error


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_of_the_codes_gains_less_than_the_codes(seed):
    rng = np.random.default_rng(seed)
    angle = np.pi / 5
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for codes in (clustered(rng), sparse(rng)):
        assert gain(codes, ALONE)[0] > gain(codes @ rotation, ALONE)[0] + 0.2


def test_a_constant_is_no_structure():
    """Pairs are held out turned at random: a shift that all share gains no more than one that goes either way."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(600, 1))
    either = rng.choice([-1, 1], (600, 1))
    assert gain(3 + noise, ALONE)[0] == pytest.approx(gain(3 * either + noise, ALONE)[0], abs=0.05)


@pytest.mark.parametrize("draw", [gaussian, clustered, sparse])
def test_scale_order_and_sign_of_codes_do_not_matter(draw):
    codes = draw(np.random.default_rng(1))
    mean, error = gain(codes, ALONE)
    for other in (codes * [1e-3, 50], codes[:, ::-1], -codes, codes * [1, -1]):
        assert gain(other, ALONE) == pytest.approx((mean, error), abs=0.01)
    dead = np.concatenate([codes, np.zeros((600, 1))], 1)
    assert gain(dead, ALONE) == pytest.approx((mean, error))


def test_copies_of_a_pair_are_one_observation():
    codes = clustered(np.random.default_rng(2), n=100)
    mean, error = gain(codes, np.arange(100))
    copies = gain(np.repeat(codes, 6, 0), np.repeat(np.arange(100), 6))
    assert copies[0] == pytest.approx(mean, abs=0.1)
    assert copies[1] == pytest.approx(error, rel=0.3)  # and not by the root of six smaller
    assert gain(np.repeat(codes, 6, 0), ALONE)[1] < 0.6 * error


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("codes", [
    np.zeros((60, 2)), np.ones((60, 1)), np.repeat(np.random.default_rng(3).normal(size=(60, 1)), 3, 1), np.eye(60)[:, :2],
], ids=["zero", "equal", "one thrice", "one pair each"])  # fmt: skip
def test_codes_that_are_dead_or_depend_on_each_other_have_a_finite_gain(codes):
    mean, error = gain(codes, np.arange(60))
    assert np.isfinite([mean, error]).all()
    if not codes.any():
        assert (mean, error) == (0, 0)


def test_gaussian_codes_that_depend_on_each_other_lose():
    """By what each knows of the other: their densities are those of codes one by one."""
    rng = np.random.default_rng(8)
    correlated = rng.normal(size=(600, 2)) @ np.linalg.cholesky([[1, 0.8], [0.8, 1]]).T
    assert gain(correlated, ALONE)[0] == pytest.approx(np.log(1 - 0.8**2) / 2, abs=0.1)


def test_saying_the_same_thrice_is_no_gain():
    once = sparse(np.random.default_rng(4))[:, :1]
    assert gain(np.repeat(once, 3, 1), ALONE)[0] < gain(once, ALONE)[0]


# --- of a variant


class Watched:
    """Trains what it is given as the identity, and keeps it."""

    def __init__(self, d):
        self.d, self.parts = d, {}

    def __call__(self, replicas, parts):
        self.parts = parts
        assert {replica.seed for replica in replicas} == {SEED}
        signs = {replica: (-1) ** number for number, replica in enumerate(replicas)}
        return {
            replica: (linear_model(*2 * [sign * np.eye(self.d)[:: (-1) ** replica.data_seed]]), {})
            for replica, sign in signs.items()
        }


def test_models_are_trained_without_what_is_held_out_and_all_that_shares_its_texts():
    rng = np.random.default_rng(5)
    texts = np.stack([np.repeat(np.arange(30) * 10, 4), np.arange(120) + 1000], 1)  # 30 texts in four pairs each
    pairs = TrainingPairs(clustered(rng, 120).astype(np.float32), None, None, 2, texts=texts)
    watched = Watched(2)
    found = gains([Pca()], {0: pairs}, watched)
    assert sorted(watched.parts) == [(0, fold) for fold in range(FOLDS)]
    for part in watched.parts.values():
        assert len(part.shifts) == 80
    held_out = [set(texts[:, 0]) - set(part.texts[:, 0]) for part in watched.parts.values()]
    assert set.union(*held_out) == set(texts[:, 0]) and sum(map(len, held_out)) == 30
    # order and sign of the codes of three models are made one, so that the gain is that of the shifts themselves
    mean, error = gain(pairs.shifts, pairs.component)
    assert found[0]["gain"] == pytest.approx(mean, abs=0.1)
    assert found[0]["gain_error"] == pytest.approx(error, rel=0.3)


def test_with_too_few_pairs_or_groups_nothing_is_measured():
    shifts = np.random.default_rng(6).normal(size=(40, 2)).astype(np.float32)
    few = TrainingPairs(shifts[: FEWEST - 1], None, None, 2)
    texts = np.stack([np.arange(40) % (FEWEST - 1), np.arange(40) + 100], 1)
    grouped = TrainingPairs(shifts, None, None, 2, texts=texts)
    enough = TrainingPairs(shifts[:FEWEST], None, None, 2)
    assert list(gains([Pca()] * 3, {0: few, 1: grouped, 2: enough}, Watched(2))) == [2]


def test_a_sparse_autoencoder_of_sparse_shifts_gains_more_than_one_without_sparsity():
    rng = np.random.default_rng(7)
    codes = rng.uniform(0.5, 1, (300, 3)) * np.eye(3)[rng.integers(3, size=300)]
    pairs = TrainingPairs((codes @ rng.normal(size=(3, 8))).astype(np.float32), None, None, 3)
    found = {}
    for variant in (Ssae, Affine):
        setting = variant(steps=400, n_init=2, shrinkage=0)

        def train_those(replicas, parts, settings=(setting,)):
            return constrained.train_replicas(settings, replicas, parts, 3, None, 60)

        found[variant] = gains([setting], {0: pairs}, train_those)[0]
    assert found[Ssae]["gain"] > found[Affine]["gain"] + 2 * found[Ssae]["gain_error"]
    assert found[Ssae]["gain"] > 1


def test_the_gain_is_measured_of_candidates_alone_and_costs_the_models_nothing():
    data = embeddings_of(random_pairs(3, 8))
    few = dataclasses.replace(data, split=(np.arange(400) >= 60).astype(np.uint8))
    replicas = [Replica(0, data_seed, seed) for data_seed in (0, 1) for seed in (0, 1)]

    def models(n_codes=3, setting=Ssae(steps=20), **how):  # noqa: B008  immutable
        return train([setting], replicas, few, n_codes, **how)

    told, silent = models(candidate=True), models()
    assert all({"gain", "gain_error"} <= set(one.facts) for one in told)
    assert len({one.facts["gain"] for one in told}) == 1  # one number for a setting, of the first data seed
    assert not any("gain" in one.facts for one in silent)
    for one, other in zip(told, silent, strict=True):
        assert all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)
    assert not any("gain" in one.facts for one in models(MOST_CODES + 1, candidate=True))
    assert not any("gain" in one.facts for one in models(setting=Pca(), candidate=True))  # a closed form tells its own


def test_a_measurement_that_was_killed_goes_on(tmp_path):
    data = embeddings_of(random_pairs(3, 8))
    steps = []

    class Counted(Ssae):
        def after_step(self, weights, step):
            steps.append(step)
            super().after_step(weights, step)

    def run(state):
        return train([Counted(steps=20)], [Replica(0, 0, 0)], data, 3, state, 60, candidate=True)[0].facts

    first = run(tmp_path / "state")
    assert len(steps) == 2 * 20  # the model, and those of the three folds as one batch
    assert run(tmp_path / "state") == first and len(steps) == 2 * 20
