"""Shrinkage whitening and its residual floor against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftscope.variants._whitening import residual_floor, whiten

random_states = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def low_rank(rng, rank=4, dimensions=9, n=500):
    """Shifts of exact rank, badly conditioned."""
    return (rng.uniform(size=(n, rank)) * 10.0 ** np.arange(rank) @ rng.normal(size=(rank, dimensions)) / 50).astype(
        np.float32
    )


def moment(rows):
    return rows.T.astype(np.float64) @ rows / len(rows)


@settings(max_examples=20, deadline=None)
@given(random_states)
def test_without_shrinkage_the_second_moment_becomes_the_identity(rng):
    mixing = np.linalg.qr(rng.normal(size=(9, 4)))[0]
    shifts = (rng.uniform(size=(500, 4)) * [1, 2, 5, 10]) @ mixing.T
    found = whiten(shifts.astype(np.float32), 4, 0, 200)
    assert found.inputs.shape == (500, 4)
    assert moment(found.inputs) == pytest.approx(np.eye(4), abs=1e-3)


@pytest.mark.parametrize("shrinkage", [0, 0.1, 1])
def test_backward_undoes_forward(shrinkage):
    shifts = low_rank(np.random.default_rng(0))
    found = whiten(shifts, 4, shrinkage, 200)
    size = float(np.abs(shifts).max())
    assert shifts @ found.forward @ found.backward == pytest.approx(shifts, abs=1e-3 * size)
    assert found.inputs @ found.backward == pytest.approx(shifts, abs=1e-3 * size)
    rank = found.forward.shape[1]
    assert found.backward @ found.forward == pytest.approx(np.eye(rank), abs=1e-9)


def test_shrinkage_scales_each_principal_direction_by_its_own_share():
    rng = np.random.default_rng(1)
    shifts = (rng.normal(size=(2000, 5)) * [9, 4, 2, 1, 0.5]).astype(np.float32)
    eigenvalues = np.sort(np.linalg.eigvalsh(moment(shifts)))[::-1]
    found = whiten(shifts, 2, 0.1, 200)
    expected = eigenvalues / (eigenvalues + 0.1 * eigenvalues[0])
    assert np.diag(moment(found.inputs)) == pytest.approx(expected, rel=1e-4)
    assert moment(found.inputs) == pytest.approx(np.diag(expected), abs=1e-4)


def test_rank_is_that_of_the_data_the_codes_or_the_limit():
    rng = np.random.default_rng(2)
    shifts, full = low_rank(rng), rng.normal(size=(300, 9)).astype(np.float32)
    assert whiten(shifts, 3, 0, 200).inputs.shape[1] == 3  # no shrinkage: only as many as there are codes
    assert whiten(shifts, 6, 0, 200).inputs.shape[1] == 4  # nor more than the data have
    assert whiten(full, 3, 0.1, 200).inputs.shape[1] == 9
    assert whiten(full, 3, 0.1, 5).inputs.shape[1] == 5


def test_the_second_moment_is_not_centred():
    shifts = np.random.default_rng(3).normal(size=(400, 6)).astype(np.float32) * 0.01
    shifts[:, 2] += 5  # a concept that every pair changes alike: its mean is its signal
    found = whiten(shifts, 1, 0, 200)
    assert found.backward[0] / np.linalg.norm(found.backward[0]) == pytest.approx(np.eye(6)[2], abs=1e-3)


def test_the_sign_of_each_direction_is_fixed():
    shifts = low_rank(np.random.default_rng(4))
    found, again, mirrored = (whiten(rows, 4, 0.1, 200) for rows in (shifts, shifts.copy(), -shifts))
    assert (found.backward.sum(1) > 0).all()
    assert (again.inputs == found.inputs).all()
    assert (mirrored.forward == found.forward).all()  # pairs the other way round whiten alike


@settings(max_examples=20, deadline=None)
@given(random_states, st.integers(1, 6))
def test_the_floor_is_what_the_best_directions_leave(rng, codes):
    inputs = (rng.normal(size=(80, 6)) * rng.uniform(0.1, 3, 6)).astype(np.float32)
    left, values, right = np.linalg.svd(inputs.astype(np.float64), full_matrices=False)
    best = (left[:, :codes] * values[:codes]) @ right[:codes]
    share = np.square(inputs - best).sum() / np.square(inputs, dtype=np.float64).sum()
    assert residual_floor(inputs, codes) == pytest.approx(share, abs=1e-9)
    worse = rng.normal(size=(6, codes))
    projector = worse @ np.linalg.pinv(worse)
    assert np.square(inputs - inputs @ projector).sum() >= np.square(inputs - best).sum() - 1e-9


def test_whitened_exact_data_have_no_floor():
    found = whiten(low_rank(np.random.default_rng(5)), 4, 0, 200)
    assert residual_floor(found.inputs, 4) == pytest.approx(0, abs=1e-12)
