"""Training pairs of sparse shifts, and batches of the variants that are trained on them step by step."""

import numpy as np
import torch

from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.training.constrained import Batch
from shiftscope.variants.affine import Affine
from shiftscope.variants.affine_paper import AffinePaper
from shiftscope.variants.ssae import Ssae
from shiftscope.variants.ssae_paper import SsaePaper
from shiftscope.variants.ssae_paper_repaired import SsaePaperRepaired

torch.set_num_threads(1)  # tiny products: two threads that share a busy machine wait for each other

TRAINED = (Ssae, Affine, SsaePaper, SsaePaperRepaired, AffinePaper)
"""variants that are trained on shifts"""
K, D = 4, 9
"""concepts and dimensions of the pairs here"""


def pairs_of(rng, n=300, noise=0.0, concept=None, sign=None, n_concepts=K):
    """Sparse shifts of K concepts in D dimensions."""
    concepts = rng.uniform(0, 1, (n, K)) * (rng.random((n, K)) < 0.5)
    concepts[np.arange(n), rng.integers(K, size=n)] += 0.5  # never all zero
    shifts = concepts @ rng.normal(size=(K, D)) + noise * rng.normal(size=(n, D))
    return TrainingPairs(shifts.astype(np.float32), concept, sign, n_concepts)


def easy(rng, n=2000):
    """Concepts that change one or two at a time, mixed without noise."""
    chosen = np.argsort(rng.random((n, K)), axis=1) < rng.integers(1, 3, size=(n, 1))
    mixing = np.linalg.qr(rng.normal(size=(D, K)))[0]
    return TrainingPairs((rng.uniform(0, 1, (n, K)) * chosen @ mixing.T).astype(np.float32), None, None, K)


def mixed(concepts, rng):
    """Pairs whose shifts are an ill-conditioned mix of concepts `[n, K]`, and the mixing directions `[K, D]`."""
    mixing = rng.normal(size=(K, D)) * [[1], [2], [5], [10]]
    return TrainingPairs((concepts @ mixing).astype(np.float32), None, None, K), mixing


def one_at_a_time(rng, n=1500):
    """Exactly one concept changes in each pair: independent of nothing, but as sparse as can be."""
    concepts = np.zeros((n, K))
    concepts[np.arange(n), rng.integers(K, size=n)] = rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n)
    return concepts


def random_pairs(codes, dimensions, n=400):
    """Two data sets of sparse shifts."""
    rng = np.random.default_rng(codes)
    found = {}
    for data_seed in range(2):
        chosen = rng.random((n, codes)) < 3 / codes
        chosen[np.arange(n), rng.integers(codes, size=n)] = True
        shifts = rng.uniform(0, 1, (n, codes)) * chosen @ rng.normal(size=(codes, dimensions))
        found[data_seed] = TrainingPairs(shifts.astype(np.float32), None, None, codes)
    return found


def batch_of(variant, pairs, replicas=2, **changes):
    """A batch of replicas before its first step, each with one initialisation."""
    setting = variant(**({"n_init": 1} if "n_init" in variant.model_fields else {}) | changes)
    members = [Replica(0, 0, seed) for seed in range(replicas)]
    return Batch(setting, members, {(0, 0): setting.prepare(pairs, K)}, K)


def random_weights(rng, replicas=3, **shapes):
    """Tensors `[replicas, *shape]` by name."""
    return {name: torch.from_numpy(rng.normal(size=(replicas, *shape))).float() for name, shape in shapes.items()}
