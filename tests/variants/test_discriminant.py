"""Generalised least squares in closed form, shrinkage by pairs that are left out, and data that leave next to nothing to fit."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from shiftscope.variants._discriminant import FLOOR, SHRINKAGES, Sums, directions_of, encoders, read


def sums_of(shifts, codes):
    return Sums(shifts.T @ shifts, codes.T @ codes, codes.T @ shifts, len(shifts))


def read_all(shifts, codes, group=None):
    group = np.arange(len(shifts)) if group is None else group
    asked = []

    def left_out(groups):
        asked.append(groups)
        rows = np.isin(group, groups)
        return sums_of(shifts[rows], codes[rows])

    return *read(shifts, codes, sums_of(shifts, codes), left_out, group), asked


def noisy(rng, n=500, d=5, k=2):
    """Shifts of codes -1, 0, 1 among noise that is correlated, the codes, the directions and the root of the noise."""
    codes, directions = rng.integers(-1, 2, (n, k)).astype(float), rng.normal(size=(k, d))
    root = rng.normal(size=(d, d)) * np.logspace(0, -1, d)[:, None]
    return codes @ directions + rng.normal(size=(n, d)) @ root, codes, directions, root


def test_directions_are_least_squares_and_a_code_of_no_pair_has_none():
    shifts, codes, *_ = noisy(np.random.default_rng(0), k=3)
    codes[:, 1] = 0
    found = directions_of(sums_of(shifts, codes))
    assert found[[0, 2]] == pytest.approx(np.linalg.lstsq(codes[:, [0, 2]], shifts, rcond=None)[0])
    assert (found[1] == 0).all()
    encoder = encoders(sums_of(shifts, codes), [0.1])[0]
    assert (encoder[1] == 0).all() and np.isfinite(encoder).all()


@pytest.mark.parametrize("shrinkage", SHRINKAGES)
def test_the_encoder_is_the_formula_of_generalised_least_squares(shrinkage):
    shifts, codes, *_ = noisy(np.random.default_rng(1))
    directions = np.linalg.lstsq(codes, shifts, rcond=None)[0]
    rest = shifts - codes @ directions
    noise = rest.T @ rest / len(rest)
    precise = np.linalg.inv(noise + shrinkage * np.trace(noise) / 5 * np.eye(5))
    expected = np.linalg.solve(directions @ precise @ directions.T, directions @ precise)
    (found,) = encoders(sums_of(shifts, codes), [shrinkage])
    assert found == pytest.approx(expected)
    assert found @ directions.T == pytest.approx(np.eye(2))  # without noise it reads codes exactly


def test_with_one_concept_in_every_pair_it_is_fishers_discriminant():
    """Of the pairs and their mirror images as two classes."""
    rng = np.random.default_rng(2)
    shifts = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4)) + [1, 0, 2, 0]
    encoder = encoders(sums_of(shifts, np.ones((300, 1))), [1e-9])[0][0]
    fisher = LinearDiscriminantAnalysis(solver="eigen").fit(np.concatenate([shifts, -shifts]), np.repeat([1, 0], 300))
    assert encoder / np.linalg.norm(encoder) == pytest.approx(fisher.coef_[0] / np.linalg.norm(fisher.coef_), rel=1e-5)


def test_shrinkage_is_that_with_which_left_out_groups_are_read_best():
    rng = np.random.default_rng(3)
    shifts, codes, *_ = noisy(rng, n=60, d=40)
    group = np.arange(60) // 2
    encoder, directions, chosen, asked = read_all(shifts, codes, group)
    assert sorted(np.concatenate(asked)) == list(range(30)) and len(asked) == 5
    found = np.zeros((len(SHRINKAGES), 60, 2))
    for out in asked:
        rows = np.isin(group, out)
        kept = sums_of(shifts[~rows], codes[~rows])
        found[:, rows] = [shifts[rows] @ one.T for one in encoders(kept, SHRINKAGES)]
    cosines = (found * codes).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(codes, axis=0)
    assert chosen == SHRINKAGES[cosines.sum(1).argmax()]
    assert encoder == pytest.approx(encoders(sums_of(shifts, codes), [chosen])[0])
    assert directions == pytest.approx(directions_of(sums_of(shifts, codes)))


@pytest.mark.parametrize("seed", range(3))
def test_few_pairs_are_shrunk_more_than_many(seed):
    """Fewer pairs than dimensions leave directions without noise, by which a new pair cannot be read."""

    def chosen(n):
        shifts = np.random.default_rng(seed).normal(size=(n, 40)) * np.logspace(0.3, -0.3, 40) + 0.3
        return read_all(shifts, np.ones((n, 1)))[2]

    assert chosen(30) > chosen(4000) == SHRINKAGES[0]


@pytest.mark.parametrize("case", ["equal", "two", "one_group", "one_dimension", "zero", "one_row_zero"])
def test_next_to_no_data_gives_an_encoder_that_is_finite_and_reads_what_there_is(case):
    rng = np.random.default_rng(5)
    shifts, group = {
        "equal": (np.ones((20, 3)), None),  # no noise at all
        "two": (rng.normal(size=(2, 3)) + 5, None),
        "one_group": (rng.normal(size=(4, 30)) + 5, np.zeros(4, int)),
        "one_dimension": (rng.normal(size=(20, 1)) + 5, None),
        "zero": (np.zeros((20, 3)), None),
        "one_row_zero": (np.ones((20, 3)) * (np.arange(20) > 0)[:, None], None),
    }[case]
    encoder, directions, chosen, _ = read_all(shifts, np.ones((len(shifts), 1)), group)
    assert np.isfinite(encoder).all()
    assert directions[0] == pytest.approx(shifts.mean(0))
    assert encoder @ shifts.mean(0) == pytest.approx([0 if case == "zero" else 1])
    if case == "one_group":  # nothing can be left out, so that noise is hardly known
        assert chosen == SHRINKAGES[-1]


def test_the_noise_of_equal_shifts_is_a_small_share_of_these():
    shifts = np.array([[3.0, 4.0]]).repeat(10, 0)
    shifts[0] += 1e-9  # rounding
    encoder = encoders(sums_of(shifts, np.ones((10, 1))), [1.0])[0][0]
    assert encoder == pytest.approx(np.array([3, 4]) / 25, rel=1e-3)
    assert FLOOR < 1e-3
