"""Dictionary learning: what it finds, step for step as scikit-learn does. What baselines share is in test_base.py."""

import numpy as np
import pytest
from helpers.shifts import D, K, mixed, one_at_a_time
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode

from shiftscope.metrics.correlation import mcc, mcc_of_directions
from shiftscope.metrics.sparsity import reconstruction_error
from shiftscope.variants.base import decode
from shiftscope.variants.dictionary_learning import DictionaryLearning, lasso, learn
from shiftscope.variants.pca import Pca


@pytest.mark.parametrize("seed", [0, 1])
def test_dictionary_learning_finds_concepts_that_change_one_at_a_time(seed):
    rng = np.random.default_rng(seed)
    concepts = one_at_a_time(rng)
    pairs, mixing = mixed(concepts, rng)
    arrays = DictionaryLearning(steps=60).fit(pairs, K, seed)
    codes = DictionaryLearning.encode(arrays, pairs.shifts)
    assert mcc(codes, concepts) > 0.99
    assert mcc_of_directions(arrays["decoder"], mixing) > 0.99
    assert reconstruction_error(DictionaryLearning, arrays, 0 * pairs.shifts, pairs.shifts) < 0.05
    assert np.linalg.norm(decode(arrays, codes)) == pytest.approx(
        np.linalg.norm(pairs.shifts), rel=0.05
    )  # no shrinkage
    assert mcc(Pca.encode(Pca().fit(pairs, K, 0), pairs.shifts), concepts) < 0.95  # what sparsity adds


@pytest.mark.parametrize("alpha", [0.05, 0.2])  # so small that no atom goes unused, which would draw another at random
def test_dictionary_learning_is_scikit_learns_step_for_step(alpha):
    rng = np.random.default_rng(8)
    inputs = one_at_a_time(rng) @ rng.normal(size=(K, D)) + 0.1 * rng.normal(size=(1500, D))
    start = rng.normal(size=(K, D))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    found, _ = learn(start, inputs, DictionaryLearning(alpha=alpha, steps=50), np.random.default_rng(9))
    peer = MiniBatchDictionaryLearning(K, alpha=alpha, fit_algorithm="cd", dict_init=start.copy())
    generator = np.random.default_rng(9)
    for _ in range(50):
        peer.partial_fit(inputs[generator.choice(len(inputs), 32, replace=False)])
    assert np.abs(found - start).max() > 0.1
    assert found == pytest.approx(peer.components_, abs=1e-4)


def test_lasso_codes_are_scikit_learns():
    rng = np.random.default_rng(10)
    inputs, atoms = rng.normal(size=(40, D)), rng.normal(size=(K, D))
    codes = lasso(inputs, atoms, 0.8)
    assert (codes == 0).any() and (codes != 0).any()
    assert codes == pytest.approx(sparse_encode(inputs, atoms, algorithm="lasso_cd", alpha=0.8), abs=1e-4)


def test_what_did_not_converge_is_said_and_kept(caplog):
    rng = np.random.default_rng(5)
    pairs, _ = mixed(rng.normal(size=(300, K)), rng)
    assert np.isfinite(DictionaryLearning(steps=60, tol=1e-9).fit(pairs, K, 0)["decoder"]).all()
    assert "seed 0: after 60 steps an atom still moves" in caplog.text
