import itertools

import numpy as np
import pytest
from helpers.shifts import D
from sklearn.covariance import LedoitWolf

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics.correlation import mcc
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.base import decode
from shiftscope.variants.mean_difference import LEAST_SHRINKAGE, STRENGTHS, MeanDifference, encoders


def labelled(rng, n=200):
    concept = rng.integers(-1, 3, size=n)
    sign = np.where(concept >= 0, rng.choice([-1, 1], n), 0)
    true = rng.normal(size=(3, D))
    shifts = np.where(concept[:, None] >= 0, sign[:, None] * true[concept], 50 * rng.normal(size=(n, D)))
    return TrainingPairs(shifts.astype(np.float32), concept, sign, 3), true


def test_mean_difference_is_the_mean_of_its_own_pairs_the_right_way_round():
    pairs, true = labelled(np.random.default_rng(2))
    arrays = MeanDifference().fit(pairs, 99, 0)
    expected = true / np.linalg.norm(true, axis=1, keepdims=True)
    assert arrays["decoder"] == pytest.approx(expected, abs=1e-5)  # pairs in which several concepts change are left out
    assert MeanDifference.encode(arrays, 2.5 * expected) == pytest.approx(2.5 * np.eye(3), abs=1e-4)


def contrasts(rng, each, noise, values=10, width=40):
    """Pairs of one categorical concept: 45 contrasts of ten values span nine dimensions."""
    places, firsts = rng.normal(size=(values, width)), np.array(list(itertools.combinations(range(values), 2)))
    concept = np.repeat(np.arange(len(firsts)), each)
    shifts = places[firsts[concept, 1]] - places[firsts[concept, 0]] + noise * rng.normal(size=(len(concept), width))
    sign = rng.choice([-1, 1], len(concept))
    return TrainingPairs((sign[:, None] * shifts).astype(np.float32), concept, sign, len(firsts)), places, firsts


def test_codes_of_nearly_dependent_directions_do_not_read_noise():
    """Against the pseudo-inverse, and against the projections on the directions, which read all that overlap."""
    rng = np.random.default_rng(4)
    pairs, places, firsts = contrasts(rng, each=9, noise=0.5)
    arrays = MeanDifference().fit(pairs, 1, 0)
    chosen = rng.integers(len(firsts), size=2000)
    shifts = places[firsts[chosen, 1]] - places[firsts[chosen, 0]] + 0.5 * rng.normal(size=(2000, 40))
    truth = np.eye(len(firsts))[chosen]
    inverse = np.linalg.pinv(arrays["decoder"]).T
    found = [mcc(shifts @ encoder.T, truth) for encoder in (arrays["encoder"], inverse, arrays["decoder"])]
    assert found[0] > 5 * found[1]
    assert found[0] > found[2]
    pairs, *_ = contrasts(rng, each=1, noise=0.5)
    alone = MeanDifference().fit(pairs, 1, 0)["encoder"]  # no pair can be left out
    assert np.linalg.norm(alone, axis=1).max() < 2


def test_noise_that_all_concepts_share_is_read_less():
    """Generalised least squares: where one direction is loud, codes look elsewhere; lengths stay those of the shifts."""
    rng = np.random.default_rng(5)
    concept, sign = np.repeat([0, 1], 500), rng.choice([-1, 1], 1000)
    true = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]])
    loud = np.array([5.0, 0.1, 0.1, 0.1])
    shifts = sign[:, None] * true[concept] + rng.normal(size=(1000, 4)) * loud
    arrays = MeanDifference().fit(TrainingPairs(shifts.astype(np.float32), concept, sign, 2), 2, 0)
    encoder = arrays["encoder"] / np.linalg.norm(arrays["encoder"], axis=1, keepdims=True)
    assert np.abs(encoder[:, 0]).max() < 0.1
    assert encoder[0, 1] > 0.9 and encoder[1, 2] > 0.9
    turned = TrainingPairs(-shifts.astype(np.float32), concept, -sign, 2)
    assert MeanDifference().fit(turned, 2, 0)["encoder"] == pytest.approx(arrays["encoder"])


def test_encoders_are_the_formula_of_generalised_least_squares():
    pairs, *_ = contrasts(np.random.default_rng(6), each=4, noise=0.5, values=4, width=6)
    shifts = (pairs.sign[:, None] * pairs.shifts).astype(np.float64)
    means = np.array([shifts[pairs.concept == one].mean(0) for one in range(6)])
    rest = shifts - means[pairs.concept]
    noise = LedoitWolf(assume_centered=True).fit(rest)
    assert noise.shrinkage_ > LEAST_SHRINKAGE
    weighed = means @ np.linalg.inv(noise.covariance_) @ means.T
    for strength, encoder in zip(STRENGTHS[8:], encoders(shifts, pairs.concept, 6)[8:], strict=True):
        ridge = strength * np.linalg.eigvalsh(weighed)[-1] * np.eye(6)
        assert encoder == pytest.approx(np.linalg.solve(weighed + ridge, means) @ np.linalg.inv(noise.covariance_))


def test_a_concept_with_two_pairs_is_read_though_their_covariance_has_no_inverse():
    rng = np.random.default_rng(7)
    shifts = (np.ones(D) + 0.1 * rng.normal(size=(2, D))).astype(np.float32)
    arrays = MeanDifference().fit(TrainingPairs(shifts, np.zeros(2, int), np.ones(2, int), 1), 1, 0)
    back = decode(arrays, MeanDifference.encode(arrays, shifts))
    assert back == pytest.approx(shifts, abs=0.3)


def test_mean_difference_without_pairs_of_a_concept_has_no_direction_and_without_labels_says_so():
    pairs, _ = labelled(np.random.default_rng(3))
    keep = pairs.concept != 1
    fewer = TrainingPairs(pairs.shifts[keep], pairs.concept[keep], pairs.sign[keep], 3)
    arrays = MeanDifference().fit(fewer, 3, 0)
    assert (arrays["decoder"][1] == 0).all() and (arrays["encoder"][1] == 0).all()
    unlabelled = TrainingPairs(pairs.shifts, np.full(200, -1), np.zeros(200), 3)
    with pytest.raises(ShiftScopeError, match="mean_difference needs training pairs that are labelled"):
        MeanDifference().fit(unlabelled, 3, 0)
