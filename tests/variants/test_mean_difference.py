import numpy as np
import pytest
from helpers.shifts import D

from shiftscope.errors import ShiftScopeError
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.mean_difference import MeanDifference


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


def test_mean_difference_without_pairs_of_a_concept_has_no_direction_and_without_labels_says_so():
    pairs, _ = labelled(np.random.default_rng(3))
    keep = pairs.concept != 1
    fewer = TrainingPairs(pairs.shifts[keep], pairs.concept[keep], pairs.sign[keep], 3)
    arrays = MeanDifference().fit(fewer, 3, 0)
    assert (arrays["decoder"][1] == 0).all() and (arrays["encoder"][1] == 0).all()
    unlabelled = TrainingPairs(pairs.shifts, np.full(200, -1), np.zeros(200), 3)
    with pytest.raises(ShiftScopeError, match="mean_difference needs training pairs that are labelled"):
        MeanDifference().fit(unlabelled, 3, 0)
