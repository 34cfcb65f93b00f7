"""The two cosine scores of steering against plain loops, and the inflation that the random dictionary shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftscope.metrics.steering import cosine_heldout, cosine_published, fit_direction, halves, no_steering, turned

FEW = settings(max_examples=30, deadline=None)
random_states = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def cosine(left, right):
    return left @ right / np.linalg.norm(left) / np.linalg.norm(right)


def example(rng, pairs=9, dimensions=6, directions=4):
    source, target = rng.normal(size=(2, pairs, dimensions)) * 5
    return source, target, unit(rng.normal(size=(directions, dimensions)))


def published_by_loop(source, target, directions, bias=None):
    best = []
    for z, goal in zip(unit(source), unit(target), strict=True):
        offset = 0 if bias is None else bias / np.linalg.norm(bias)
        best.append(max(cosine(goal, z + direction + offset) for direction in directions))
    return np.mean(best), np.std(best, ddof=1)


@FEW
@given(random_states, st.booleans())
def test_published_score_equals_a_loop(rng, with_bias):
    source, target, directions = example(rng)
    bias = rng.normal(size=6) if with_bias else None
    found = cosine_published(source.astype(np.float32), target.astype(np.float32), directions, bias)
    mean, deviation = published_by_loop(source, target, directions, bias)
    assert (found.mean, found.sd, found.pairs) == (pytest.approx(mean, abs=1e-6), pytest.approx(deviation, abs=1e-6), 9)


def test_published_score_takes_each_pairs_own_best_direction():
    source = np.array([[1.0, 0, 0], [1.0, 0, 0]])
    target = np.array([[1.0, 1, 0], [1.0, 0, 1]])
    directions = np.array([[0, 1.0, 0], [0, 0, 1.0]])
    assert cosine_published(source, target, directions).mean == pytest.approx(1)
    assert cosine_published(source, target, directions[:1]).mean == pytest.approx((1 + 0.5) / 2)


@FEW
@given(random_states)
def test_a_direction_is_turned_along_the_mean_shift(rng):
    source, target, directions = example(rng)
    found = turned(source, target, directions)
    assert ((target - source) @ found.T).mean(0).min() >= 0
    assert (np.abs(found) == np.abs(directions)).all()
    assert (turned(source, target, -directions) == found).all()


def test_the_sign_of_one_direction_decides_the_published_score():
    source = np.array([[1.0, 0, 0], [1.0, 0.1, 0]])
    target = source + np.array([0, 2.0, 0])
    wrong, right = (cosine_published(source, target, np.array([[0, sign, 0.0]])).mean for sign in (-1, 1))
    assert wrong < 0 < 0.9 < right
    assert cosine_published(source, target, turned(source, target, np.array([[0, -1.0, 0]]))).mean == right


def test_bias_enters_with_unit_norm_and_a_zero_bias_not_at_all():
    rng = np.random.default_rng(0)
    source, target, directions = example(rng)
    bias = rng.normal(size=6)
    small, large = (cosine_published(source, target, directions, scale * bias).mean for scale in (1e-6, 1e6))
    assert small == pytest.approx(large)
    assert small != pytest.approx(cosine_published(source, target, directions).mean)
    assert cosine_published(source, target, directions, 0 * bias) == cosine_published(source, target, directions)


@FEW
@given(random_states)
def test_fitted_direction_equals_that_of_a_loop(rng):
    source, target, directions = example(rng)
    shift = target - source
    scores, scales = [], []
    for direction in directions:
        scales.append(np.mean([row @ direction for row in shift]))
        moved = [cosine(goal, z + scales[-1] * direction) for z, goal in zip(source, target, strict=True)]
        scores.append(np.mean(moved))
    found = fit_direction(source, target, directions)
    assert found.direction == int(np.argmax(scores))
    assert found.scale == pytest.approx(scales[found.direction])


def test_the_scale_is_the_least_squares_one():
    rng = np.random.default_rng(1)
    source, target, directions = example(rng, pairs=50, directions=1)
    scale = fit_direction(source, target, directions).scale
    losses = [np.square(target - source - a * directions[0]).sum() for a in (scale - 0.01, scale, scale + 0.01)]
    assert min(losses) == losses[1]


@FEW
@given(random_states)
def test_heldout_score_equals_a_loop_on_the_other_half(rng):
    source, target, directions = example(rng, pairs=12)
    fit = rng.permutation(12) < 5
    best = fit_direction(source[fit], target[fit], directions)
    moved = [cosine(target[row], source[row] + best.scale * directions[best.direction]) for row in np.flatnonzero(~fit)]
    found = cosine_heldout(source, target, fit, directions)
    assert (found.mean, found.pairs) == (pytest.approx(np.mean(moved)), 7)
    assert found.sd == pytest.approx(np.std(moved, ddof=1))


def test_what_is_scored_cannot_change_what_is_fitted():
    rng = np.random.default_rng(2)
    source, _, directions = example(rng, pairs=40)
    target = source + 2 * directions[1]
    fit = np.arange(40) < 20
    against = np.where(fit[:, None], target, source - 2 * directions[1])  # the other half moves the other way
    assert cosine_heldout(source, target, fit, directions).mean == pytest.approx(1)
    expected = [cosine(source[row] - 2 * directions[1], target[row]) for row in range(20, 40)]
    assert cosine_heldout(source, against, fit, directions).mean == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_true_direction_scores_one_whatever_its_sign(sign):
    rng = np.random.default_rng(3)
    source, _, directions = example(rng, pairs=30, directions=5)
    target = source + 2.5 * directions[3]
    fit = np.arange(30) < 15
    assert cosine_heldout(source, target, fit, sign * directions).mean == pytest.approx(1, abs=1e-12)
    noisy = target + 0.05 * rng.normal(size=target.shape)
    assert 1 - 1e-3 < cosine_heldout(source, noisy, fit, sign * directions).mean < 1


def test_published_score_grows_with_a_random_dictionary_and_the_heldout_one_does_not():
    rng = np.random.default_rng(4)
    source = rng.normal(size=(200, 30))
    target = source + rng.normal(size=(200, 30))  # nothing to find: every pair moves its own way
    fit = np.arange(200) < 100
    dictionary = unit(rng.normal(size=(4096, 30)))
    published = [cosine_published(source, target, dictionary[:size]).mean for size in (1, 8, 64, 512, 4096)]
    assert (np.diff(published) > 0.02).all()
    nothing = no_steering(source[~fit], target[~fit]).mean
    heldout = [cosine_heldout(source, target, fit, dictionary[:size]).mean for size in (1, 8, 64, 512, 4096)]
    assert max(abs(score - nothing) for score in heldout) < 0.02


@FEW
@given(random_states, st.integers(2, 8), st.integers(1, 40))
def test_halves_share_no_group_and_both_hold_pairs(rng, groups, more):
    group = np.concatenate([np.arange(groups), rng.integers(groups, size=more)]) * 7 - 3
    fit = halves(group)
    assert not set(group[fit]) & set(group[~fit])
    assert fit.any() and not fit.all()
    order = rng.permutation(len(group))
    assert (halves(group[order]) == fit[order]).all()  # a matter of groups, not of the order of rows


def test_one_group_cannot_be_halved():
    assert not halves(np.full(6, 3)).any()


def test_not_steering_is_the_cosine_of_the_two_texts():
    source = np.array([[1.0, 0], [2.0, 0]])
    target = np.array([[0, 3.0], [5.0, 0]])
    found = no_steering(source, target)
    assert (found.mean, found.pairs) == (pytest.approx(0.5), 2)
    assert found.sd == pytest.approx(np.sqrt(0.5))
    assert no_steering(source[:1], target[:1]).sd == 0
