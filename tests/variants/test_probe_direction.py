import numpy as np
import pytest
from helpers.shifts import D
from sklearn.linear_model import LogisticRegression

from shiftscope.errors import ShiftScopeError
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.probe_direction import ProbeDirection


def labelled(rng, n=2000):
    """Pairs of one concept with mean `mean` and noise of covariance diag(1, …, 9), half of them turned."""
    mean, variance = np.ones(D), np.arange(1, D + 1)
    sign = rng.choice([-1, 1], n)
    shifts = sign[:, None] * (mean + rng.normal(size=(n, D)) * np.sqrt(variance))
    return TrainingPairs(shifts.astype(np.float32), np.zeros(n, int), sign, 1), mean / variance


def test_a_probe_weighs_what_is_noisy_less():
    """Two Gaussian classes of equal covariance: the log-odds are linear with weights Σ⁻¹μ (Fisher's discriminant)."""
    pairs, fisher = labelled(np.random.default_rng(6))
    direction = ProbeDirection().fit(pairs, 9, 0)["decoder"]
    assert direction.shape == (1, D)
    assert direction[0] @ fisher / np.linalg.norm(fisher) > 0.99
    assert direction[0] @ np.ones(D) / 3 < 0.9
    turned = TrainingPairs(-pairs.shifts, pairs.concept, -pairs.sign, 1)
    assert ProbeDirection().fit(turned, 9, 0)["decoder"] == pytest.approx(direction)
    same_way = TrainingPairs(pairs.shifts * pairs.sign[:, None], pairs.concept, np.ones(2000, int), 1)
    assert ProbeDirection().fit(same_way, 9, 0)["decoder"] == pytest.approx(direction)


def plain(shifts, strength):
    """The probe in the coordinates of the embeddings, of shifts with unit mean square, with one ridge."""
    shifts = shifts / np.sqrt(np.square(shifts).sum(1).mean())
    peer = LogisticRegression(C=strength, fit_intercept=False, tol=1e-10, max_iter=100_000)
    return peer.fit(np.concatenate([shifts, -shifts]), np.repeat([1, 0], len(shifts))).coef_[0]


def test_the_ridge_is_chosen_by_cross_validation():
    """Where the direction says nothing the strongest ridge wins, where it says all a weak one."""
    noise = np.random.default_rng(7).normal(size=(300, D))
    assert ProbeDirection().direction(noise) == pytest.approx(plain(noise, 0.01), rel=1e-3, abs=1e-6)
    strongest = plain(noise + 10, 0.01)
    assert np.linalg.norm(ProbeDirection().direction(noise + 10)) > 3 * np.linalg.norm(strongest)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_fewer_pairs_than_folds_or_dimensions_are_fitted_in_their_span_as_in_the_whole_space(scale):
    shifts = np.random.default_rng(11).normal(size=(2, D)) + 1
    assert ProbeDirection().direction(scale * shifts) == pytest.approx(plain(shifts, 1.0), rel=1e-3, abs=1e-4)


def test_probes_without_pairs_of_a_concept_have_no_direction_and_without_labels_say_so():
    pairs, _ = labelled(np.random.default_rng(8), 50)
    arrays = ProbeDirection().fit(TrainingPairs(*(*pairs.__dict__.values(),)[:3], 3), 1, 0)
    assert (arrays["decoder"][1:] == 0).all() and (arrays["encoder"][1:] == 0).all()
    unlabelled = TrainingPairs(pairs.shifts, np.full(50, -1), np.zeros(50), 3)
    with pytest.raises(ShiftScopeError, match="probe_direction needs training pairs that are labelled"):
        ProbeDirection().fit(unlabelled, 3, 0)
