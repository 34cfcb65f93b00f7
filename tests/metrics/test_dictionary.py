"""Error, sparsity and dead latents of an autoencoder of activations, and cross-entropy recovered: exact values."""

import numpy as np
import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics.dictionary import Reconstruction, ce_recovered


def counted(activations, codes, outputs, size=None):
    found = Reconstruction()
    for start in range(0, len(activations), size or len(activations)):
        some = slice(start, start + (size or len(activations)))
        found.add(activations[some], codes[some], outputs[some])
    return found


def test_by_hand():
    activations = np.array([[1.0, 0.0], [3.0, 2.0]])  # mean (2, 1), squared distances 2 and 2
    codes = np.array([[0.0, 2.0, 0.0], [0.0, -1.0, 3.0]])
    found = counted(activations, codes, np.array([[1.0, 1.0], [3.0, 2.0]]))
    assert (found.mse, found.fvu, found.l0) == (1 / 4, 1 / 4, 1.5)
    assert found.dead.tolist() == [True, False, False]


def test_the_mean_has_one_and_an_exact_reconstruction_none():
    activations = np.random.default_rng(0).normal(size=(50, 4)) + 3
    codes = np.zeros((50, 2))
    assert counted(activations, codes, np.tile(activations.mean(0), (50, 1))).fvu == pytest.approx(1)
    assert counted(activations, codes, activations).fvu == 0


@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_batches_add_up_whatever_their_size_and_the_mean(mean):
    rng = np.random.default_rng(1)
    activations = rng.normal(size=(101, 5)) + mean
    codes = rng.normal(size=(101, 7)) * (rng.random((101, 7)) > 0.7) * (np.arange(7) > 1)
    outputs = activations + 0.1 * rng.normal(size=(101, 5))
    expected = np.square(outputs - activations).sum() / np.square(activations - activations.mean(0)).sum()
    for size in (7, 101):
        found = counted(activations, codes, outputs, size)
        assert found.fvu == pytest.approx(expected, rel=1e-6)
        assert found.mse == pytest.approx(np.square(outputs - activations).mean(), rel=1e-6)
        assert found.l0 == np.count_nonzero(codes) / 101
        assert found.dead.tolist() == [True, True] + [False] * 5


def test_activations_that_do_not_vary_are_refused():
    with pytest.raises(ShiftScopeError, match="all 3 activations are the same, so there is no variance to explain"):
        _ = counted(np.ones((3, 2)), np.ones((3, 1)), np.ones((3, 2))).fvu


def test_cross_entropy_recovered():
    assert ce_recovered(3.0, 3.0, 8.0) == 1
    assert ce_recovered(3.0, 8.0, 8.0) == 0
    assert ce_recovered(3.0, 4.0, 8.0) == pytest.approx(0.8)
    assert ce_recovered(3.0, 10.0, 8.0) < 0
    with pytest.raises(ShiftScopeError, match=r"cross-entropy is 3 without these activations and 3 with them"):
        ce_recovered(3.0, 3.0, 3.0)
