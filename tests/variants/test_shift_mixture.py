"""The mixture finds what is there or not among noise that texts share, and data that are next to nothing do it no harm."""

import itertools

import numpy as np
import pytest
from helpers.tiny_models import trained

from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants._discriminant import SHRINKAGES
from shiftscope.variants._text_states import families, patterns
from shiftscope.variants.shift_mixture import FOLDS, RANKS, ShiftMixture, best, leading, projected, sampled
from shiftscope.variants.ssae import Ssae

D = 16
QUICK = {"rank": 8, "n_init": 6, "steps": 40}
STATES = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
CORNERS = np.array(list(itertools.combinations(range(4), 2)))


def pairs_of(shifts, texts=None, n_codes=2):
    return TrainingPairs(shifts.astype(np.float32), None, None, n_codes, texts=texts)


def squares(rng, directions, root, items):
    """Words in four forms, each paired with each: shifts, the texts of every pair, and the concepts that change."""
    noise = rng.normal(size=(4 * items, 3)) @ root + 0.15 * rng.normal(size=(4 * items, D))
    states = np.tile(STATES, (items, 1))
    embeddings = states @ directions + noise
    first, second = np.concatenate([CORNERS + 4 * item for item in range(items)]).T
    return embeddings[second] - embeddings[first], np.stack([first, second], 1), states[second] - states[first]


@pytest.fixture(scope="module", params=range(3))
def words(request):
    """Training pairs as they are given, and held-out ones turned at random with their truth; noise is louder than concepts."""
    rng = np.random.default_rng(request.param)
    directions, root = rng.normal(size=(2, D)), rng.normal(size=(3, D))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    root *= 3 / np.linalg.norm(root, axis=1, keepdims=True)
    shifts, texts, _ = squares(rng, directions, root, 25)
    held_out, _, truth = squares(rng, directions, root, 60)
    way = rng.choice([-1, 1], len(held_out))[:, None]
    return pairs_of(shifts, texts), way * held_out, way * truth


def score(words, arrays):
    _, held_out, truth = words
    return mcc(ShiftMixture.encode(arrays, held_out), truth)


def test_it_finds_concepts_at_every_seed_where_one_that_takes_pairs_for_independent_and_ssae_do_not(words):
    pairs, held_out, truth = words
    models = [arrays for arrays, _ in ShiftMixture(**QUICK).fit_seeds(pairs, 2, [0, 1, 2])]
    assert min(score(words, arrays) for arrays in models) > 0.9
    assert score(words, ShiftMixture(**QUICK).fit(pairs_of(pairs.shifts), 2, 0)) < 0.7
    for shrinkage in (0.01, 0.1):
        (one,) = trained([Ssae(steps=400, shrinkage=shrinkage)], [Replica(0, 0, 0)], {0: pairs}, 2)
        assert mcc(Ssae.encode(one.arrays, held_out), truth) < 0.6


def test_the_rank_is_chosen_by_held_out_likelihood_and_its_gain_is_told(words):
    pairs, *_ = words
    models = ShiftMixture(n_init=6, steps=40).fit_seeds(pairs, 2, [0, 1])
    for arrays, facts in models:
        assert score(words, arrays) > 0.9
        assert facts["rank"] in RANKS and facts["gain"] > 2 * facts["gain_error"] > 0
    assert models[0][1] == models[1][1]  # the seed draws the starts alone


def test_gaussian_shifts_gain_nothing():
    shifts = np.random.default_rng(0).normal(size=(200, 6)) * [4, 3, 2, 1, 1, 1]
    ((_, facts),) = ShiftMixture(n_init=2, rank=4).fit_seeds(pairs_of(shifts), 2, [0])
    assert facts["gain"] < 0.05


def test_with_one_code_in_every_pair_it_is_the_whitened_mean():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5))
    mean = 3 * np.linalg.svd(root)[2][0] * np.linalg.norm(root, 2)
    shifts = mean + rng.normal(size=(400, 5)) @ root
    arrays = ShiftMixture().fit(pairs_of(shifts, n_codes=1), 1, 0)
    own = shifts.mean(0)
    noise = np.cov(shifts.T, bias=True)
    fishers = [np.linalg.solve(noise + alpha * noise.trace() / 5 * np.eye(5), own) for alpha in SHRINKAGES]
    way = np.sign(arrays["decoder"][0] @ own)
    assert way * arrays["decoder"][0] == pytest.approx(own / np.linalg.norm(own), abs=0.01)
    encoder = way * arrays["encoder"][0]
    cosines = [encoder @ fisher / np.linalg.norm(encoder) / np.linalg.norm(fisher) for fisher in fishers]
    assert max(cosines) > 0.9999 and min(cosines) < 0.99


def test_the_most_likely_of_several_starts_is_kept():
    shifts = np.random.default_rng(2).normal(size=(60, 4)) + np.random.default_rng(3).choice([0, 4], (60, 1))
    inside, floor = projected(families(shifts, None, 2), leading(shifts), 0.01)
    penalty = -1.0 * (patterns(2) != 0).sum(1)
    alone = [best(inside, penalty, floor, 20, starts, 0).likelihood for starts in (1, 2, 4, 8)]
    assert alone == sorted(alone) and alone[0] < alone[-1]


def test_leading_directions_are_orthonormal_and_hold_the_most_energy():
    shifts = np.random.default_rng(4).normal(size=(100, 50)) * np.logspace(1, -1, 50)
    basis = leading(shifts)
    assert basis.shape == (50, RANKS[-1]) and basis.T @ basis == pytest.approx(np.eye(RANKS[-1]), abs=1e-9)
    energy = np.square(shifts @ basis).sum(0)
    assert energy == pytest.approx(np.linalg.eigvalsh(shifts.T @ shifts)[::-1][: RANKS[-1]])
    assert leading(shifts[:5]).shape == (50, 4)


def test_a_sample_is_of_whole_components_and_not_more_than_asked_for():
    texts = np.stack([np.repeat(np.arange(30), 4), np.arange(120) + 1000], 1)
    pairs = pairs_of(np.random.default_rng(5).normal(size=(120, 3)), texts)
    assert sampled(pairs, 120) is pairs
    some = sampled(pairs, 50)
    assert len(some.shifts) == 48 and (np.bincount(some.texts[:, 0])[np.unique(some.texts[:, 0])] == 4).all()
    assert len(sampled(pairs, 3).shifts) == 4  # one component at least
    ((arrays, facts),) = ShiftMixture(most_pairs=40, **QUICK).fit_seeds(pairs, 1, [0])
    assert np.isfinite(arrays["encoder"]).all() and facts["gain"] is not None


def test_equal_seeds_are_equal_and_others_are_not():
    pairs = pairs_of(np.random.default_rng(6).normal(size=(40, 5)))
    one, again, other = (ShiftMixture(n_init=1, rank=4, steps=3).fit(pairs, 3, seed) for seed in (0, 0, 1))
    assert all((one[name] == again[name]).all() for name in one)
    assert (one["decoder"] != other["decoder"]).any()


# --- next to nothing


def _chain_of_its_own(number):
    """The texts of a chain that is linked as no other is: of `number` pairs, of which the last is turned round."""
    ends = [(text, text + 1) for text in range(number)]
    return [*ends[:-1], ends[-1][::-1]]


CASES = {
    "two pairs": ([[1, 0, 0], [0, 1, 0]], None),
    "equal": (np.ones((30, 3)), None),
    "one dimension": (np.random.default_rng(0).normal(size=(30, 1)), None),
    "one shift is zero": (np.arange(90).reshape(30, 3) % 7, None),
    "one component": (np.random.default_rng(0).normal(size=(3, 5)), [[0, 1], [0, 2], [3, 0]]),
    "triangles": (np.random.default_rng(0).normal(size=(30, 4)), [
        [3 * (row // 3) + row % 3, 3 * (row // 3) + (row + 1) % 3] for row in range(30)
    ]),
    "duplicates": (np.repeat(np.random.default_rng(0).normal(size=(15, 4)), 2, 0), np.repeat(
        np.arange(30).reshape(15, 2), 2, 0)),
    "to itself": (np.zeros((12, 4)) + np.arange(12)[:, None] // 2, [[row, row + (row > 2)] for row in range(0, 24, 2)]),
    "no two are linked alike": (np.random.default_rng(0).normal(size=(65, 6)), [
        (100 * number + first, 100 * number + second)
        for number in range(1, 11) for first, second in _chain_of_its_own(number + 1)
    ]),
}  # fmt: skip


@pytest.mark.parametrize("n_codes", [1, 4])
@pytest.mark.parametrize("case", CASES)
def test_next_to_no_data_gives_finite_models_and_says_where_nothing_is_measured(case, n_codes):
    shifts, texts = (None if part is None else np.array(part) for part in CASES[case])
    if texts is not None:
        assert len(texts) == len(shifts)
    pairs = pairs_of(shifts, texts, n_codes)
    ((arrays, facts),) = ShiftMixture(n_init=2, steps=10).fit_seeds(pairs, n_codes, [0])
    assert arrays["encoder"].shape == arrays["decoder"].shape == (n_codes, shifts.shape[1])
    assert all(np.isfinite(array).all() for array in arrays.values())
    few = sum(len(one.shifts) for one in families(shifts, texts, n_codes)) < 2 * FOLDS
    assert (facts["gain"] is None) == few
    assert few or np.isfinite([facts["gain"], facts["gain_error"]]).all()
