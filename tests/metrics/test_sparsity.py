"""Error, sparsity and live codes: exact values."""

import numpy as np
import pytest

from shiftscope.metrics import sparsity
from shiftscope.variants.base import linear_model
from shiftscope.variants.pca import Pca


def test_l0_counts_codes_above_one_percent_of_the_sample():
    codes = np.array([[1.0, 0.005, 0.0], [3.0, -4.0, 1.0], [0.0, 0.0, 0.0]])
    assert sparsity.l0(codes) == pytest.approx((1 + 3 + 0) / 3)
    assert sparsity.l0(codes * -1e-7) == sparsity.l0(codes)


def test_l1_is_relative_to_the_sample():
    codes = np.array([[3.0, -4.0], [0.0, 2.0], [0.0, 0.0]])
    assert sparsity.l1(codes) == pytest.approx((3.5 / 5 + 0.5 + 0) / 3)
    assert sparsity.l1(100 * codes) == pytest.approx(sparsity.l1(codes))


def test_reconstruction_error_is_the_share_that_is_lost():
    rng = np.random.default_rng(12)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    shifts = (rng.normal(size=(200, 6)) * [3, 2, 1, 1, 1, 1]) @ basis.T
    kept = linear_model(basis[:, :2].T, basis[:, :2].T)
    lost = np.square(shifts @ basis[:, 2:]).sum() / np.square(shifts).sum()
    assert sparsity.reconstruction_error(Pca, kept, 0 * shifts, shifts) == pytest.approx(lost, rel=1e-5)
    everything = linear_model(basis.T, basis.T)
    assert sparsity.reconstruction_error(Pca, everything, 0 * shifts, shifts) == pytest.approx(0, abs=1e-10)
    nothing = linear_model(0 * basis.T, 0 * basis.T)
    assert sparsity.reconstruction_error(Pca, nothing, 0 * shifts, shifts) == 1
