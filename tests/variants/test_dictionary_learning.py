"""Dictionary learning: what it finds, step for step as scikit-learn does. What baselines share is in test_base.py."""

import numpy as np
import pytest
from helpers.shifts import D, K, mixed, one_at_a_time
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode

from shiftscope.metrics.correlation import mcc, mcc_of_directions
from shiftscope.metrics.sparsity import reconstruction_error
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.base import decode
from shiftscope.variants.dictionary_learning import DictionaryLearning, lasso, learn, objective
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
    starts = rng.normal(size=(2, K, D))
    starts /= np.linalg.norm(starts, axis=2, keepdims=True)
    every, moved = learn(starts, inputs, DictionaryLearning(alpha=alpha, steps=50), np.random.default_rng(9))
    assert moved.shape == (2,)
    for start, found in zip(starts, every, strict=True):
        peer = MiniBatchDictionaryLearning(K, alpha=alpha, fit_algorithm="cd", dict_init=start.copy())
        generator = np.random.default_rng(9)
        for _ in range(50):
            peer.partial_fit(inputs[generator.choice(len(inputs), 32, replace=False)])
        assert np.abs(found - start).max() > 0.1
        assert found == pytest.approx(peer.components_, abs=1e-4)


def test_lasso_codes_are_scikit_learns():
    rng = np.random.default_rng(10)
    inputs, several = rng.normal(size=(40, D)), rng.normal(size=(2, K, D))
    for atoms, codes in zip(several, lasso(inputs, several, 0.8), strict=True):
        assert (codes == 0).any() and (codes != 0).any()
        assert codes == pytest.approx(sparse_encode(inputs, atoms, algorithm="lasso_cd", alpha=0.8), abs=1e-4)


def test_of_several_starts_the_one_with_the_least_objective_is_kept():
    """Two concepts that often change together: their sum and difference are a worse optimum, where many starts end."""
    rng = np.random.default_rng(4)
    concepts = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])[rng.choice(4, 3000, p=(1 / 3, 1 / 3, 1 / 6, 1 / 6))]
    concepts = concepts * rng.choice([-1, 1], (3000, 1))
    pairs = TrainingPairs((concepts @ rng.normal(size=(2, D))).astype(np.float32), None, None, 2)

    def found(n_init, seed):
        arrays = DictionaryLearning(alpha=0.2, steps=100, n_init=n_init).fit(pairs, 2, seed)
        return mcc(DictionaryLearning.encode(arrays, pairs.shifts), concepts)

    alone = [found(1, seed) for seed in range(6)]
    assert min(alone) < 0.9
    assert min(found(8, seed) for seed in range(6)) > 0.99


def test_the_objective_is_that_of_the_lasso():
    rng = np.random.default_rng(11)
    inputs, atoms, codes = rng.normal(size=(6, D)), rng.normal(size=(2, K, D)), rng.normal(size=(2, 6, K))
    for found, dictionary, each in zip(objective(inputs, atoms, codes, 0.3), atoms, codes, strict=True):
        every = [((x - c @ dictionary) ** 2).sum() / 2 + 0.3 * abs(c).sum() for x, c in zip(inputs, each, strict=True)]
        assert found == pytest.approx(np.mean(every))


def test_what_did_not_converge_is_said_and_kept(caplog):
    rng = np.random.default_rng(5)
    pairs, _ = mixed(rng.normal(size=(300, K)), rng)
    assert np.isfinite(DictionaryLearning(steps=60, tol=1e-9).fit(pairs, K, 0)["decoder"]).all()
    assert "seed 0: after 60 steps an atom still moves" in caplog.text
