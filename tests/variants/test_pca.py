import numpy as np
import pytest
from helpers.shifts import D, K, pairs_of

from shiftscope.metrics.sparsity import reconstruction_error
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.base import decode
from shiftscope.variants.pca import Pca


def test_pca_directions_are_orthonormal_and_leave_the_least_error():
    rng = np.random.default_rng(0)
    pairs = pairs_of(rng, noise=0.3)
    arrays = Pca().fit(pairs, 3, 0)
    assert arrays["decoder"] @ arrays["decoder"].T == pytest.approx(np.eye(3), abs=1e-6)
    eigenvalues = np.linalg.eigvalsh(pairs.shifts.T.astype(np.float64) @ pairs.shifts)[::-1]
    error = reconstruction_error(Pca, arrays, 0 * pairs.shifts, pairs.shifts)
    assert error == pytest.approx(eigenvalues[3:].sum() / eigenvalues.sum(), rel=1e-4)


def test_pca_spans_exact_data_and_fills_up_with_nothing():
    pairs = pairs_of(np.random.default_rng(1))
    arrays = Pca().fit(pairs, D + 3, 0)
    assert decode(arrays, Pca.encode(arrays, pairs.shifts)) == pytest.approx(pairs.shifts, abs=1e-5)
    assert (arrays["decoder"][D:] == 0).all()
    backwards = TrainingPairs(-pairs.shifts, None, None, K)
    assert (Pca().fit(backwards, K, 0)["decoder"] == Pca().fit(pairs, K, 0)["decoder"]).all()
