"""How well a trained variant explains pairs that it has not seen: the held-out gain, by which variants are compared without labels.

The gain is the log-likelihood of held-out codes under densities of their own, one a code, over that of a Gaussian of equal
second moment, in nats per pair. It says how much structure a variant has found: codes that are sparse, or that stand in
clusters, are far from Gaussian, those of an arbitrary rotation are not. Pairs are taken to be turned at random, so that
a constant is no structure. A third of the training pairs is left out at a time, with all that share their texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.base import Arrays, Facts, Variant

FOLDS = 3
SEED = 2**31 - 1
"""of the models that are trained on part of the pairs: none of those that are evaluated"""
MOST_CODES = 6
"""with more codes nothing else applies with which the variant could be compared, and no gain is measured"""
MOST_PAIRS = 2000
"""a random sample of so many pairs tells a gain apart"""
FEWEST = 12
"""pairs, or groups of pairs that share texts, below which nothing is measured"""
CLUSTERS = 3
"""most normal densities that a code's is made of; how many, the BIC says"""
FLOOR = 3e-3
"""added to every variance, of densities and of the Gaussian alike, in units of the code's mean square"""

Train = Callable[[Sequence[Replica], dict[tuple[int, int], TrainingPairs]], dict[Replica, tuple[Arrays, Facts]]]


def gains(settings: Sequence[Variant], pairs: dict[int, TrainingPairs], train: Train) -> dict[int, Facts]:
    """`gain` and its standard error `gain_error` by setting; those with too few pairs are left out.

    Args:
        settings: of one variant.
        pairs: by setting.
        train: trains replicas, given pairs by the first two parts of their names.
    """
    parts: dict[tuple[int, int], TrainingPairs] = {}
    held_out: dict[int, list[tuple[TrainingPairs, np.ndarray]]] = {}
    for setting, given in pairs.items():
        group = given.component
        distinct = np.random.default_rng(0).permutation(np.unique(group))[:MOST_PAIRS]
        if len(distinct) < FEWEST:
            continue
        some = np.isin(group, distinct)
        outs = [np.isin(group, distinct[fold::FOLDS]) for fold in range(FOLDS)]
        least = min(int((some & ~out).sum()) for out in outs)  # equal sizes, so that the folds train as one batch
        for fold, out in enumerate(outs):
            parts[setting, fold] = given.some(np.flatnonzero(some & ~out)[:least])
            held_out.setdefault(setting, []).append((given.some(out), group[out]))
    models = train([Replica(*key, SEED) for key in parts], parts)
    found = {}
    for setting, folds in held_out.items():
        arrays = [models[Replica(setting, fold, SEED)][0] for fold in range(FOLDS)]
        encode = type(settings[setting]).encode
        codes = [
            encode(one, out.shifts)[:, order] * sign
            for one, (out, _), (order, sign) in zip(arrays, folds, _matched(arrays), strict=True)
        ]
        mean, error = gain(np.concatenate(codes), np.concatenate([group for _, group in folds]))
        found[setting] = {"gain": mean, "gain_error": error}
    return found


def _matched(arrays: list[Arrays]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Order and sign with which each model's codes follow those of the first, by their directions."""
    from scipy.optimize import linear_sum_assignment

    found = []
    for one in arrays:
        cosines = arrays[0]["decoder"] @ one["decoder"].T
        order = linear_sum_assignment(np.abs(cosines), maximize=True)[1]
        found.append((order, np.where(cosines[np.arange(len(order)), order] < 0, -1.0, 1.0)))
    return found


def gain(codes: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Mean gain of codes `[n, k]` in nats per pair and its standard error over groups `[n]`; densities are cross-fitted."""
    codes = codes[:, np.square(codes).sum(0) > 0].astype(np.float64)
    if not codes.shape[1]:
        return 0.0, 0.0
    codes /= np.sqrt(np.square(codes).mean(0))  # a gain has no unit
    distinct = np.unique(group)
    fold_of = np.random.default_rng(1).permutation(len(distinct)) % 5
    fold = fold_of[np.searchsorted(distinct, group)]
    nats = np.zeros(len(codes))
    for number in range(5):
        out = fold == number
        nats[out] = _densities(codes[~out], codes[out]) - _gaussian(codes[~out], codes[out])
    each = np.bincount(np.searchsorted(distinct, group), nats) / np.bincount(np.searchsorted(distinct, group))
    return float(each.mean()), float(each.std() / np.sqrt(len(each)))


def _densities(known: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Log-likelihood `[n]` of codes that stand either way, under mixtures of normal densities fitted to `known`."""
    from sklearn.mixture import GaussianMixture

    either = np.zeros((2, len(codes)))
    for column in range(known.shape[1]):
        some = known[:, [column]]
        fitted = [
            GaussianMixture(n, reg_covar=FLOOR, n_init=2, random_state=0).fit(some) for n in range(1, CLUSTERS + 1)
        ]
        best = min(fitted, key=lambda one: one.bic(some))
        for side, sign in enumerate((1, -1)):
            either[side] += best.score_samples(sign * codes[:, [column]])
    return np.logaddexp(*either) - np.log(2)


def _gaussian(known: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Log-likelihood `[n]` under the Gaussian with mean 0 and the second moment of `known`."""
    from scipy.stats import multivariate_normal

    moment = known.T @ known / len(known) + FLOOR * np.eye(known.shape[1])
    return multivariate_normal(np.zeros(len(moment)), moment).logpdf(codes).reshape(-1)
