"""How near A·W is to the identity: directions in which concepts change against the weights of probes that read them.

Paper B, Sec. 6 and App. G.2 (Figure 3): of Theorem 3.1 and Corollary 4.3 follows that A_s, the difference of two
representations that differ in concept s alone, and W_t, the weights of a linear probe of concept t, have a product of 1 where
s = t and of 0 elsewhere, up to their lengths.
"""

from __future__ import annotations

import numpy as np

from shiftscope.metrics.base import Metric

IDENTITY = Metric(
    "identity", "A·W",
    "Cosine of the mean difference of a concept's pairs with the weights of another's probe, both of all words and with C = 1e-4, "
    "as paper B's code computes it: the fewer words, the nearer to the identity, whatever they are.",
    "pair of concepts", limits=(-1, 1),
)  # fmt: skip
IDENTITY_HELDOUT = Metric(
    "identity_heldout", "A·W, held out",
    "The same with differences of one half of the words and probes of the other, C chosen by cross-validation there.",
    "random half × pair of concepts", limits=(-1, 1),
)  # fmt: skip
IDENTITY_TOP = Metric(
    "identity_top", "own probe first",
    "Share of concepts whose row of A·W (`identity`) is largest on the diagonal.",
    "concept", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
IDENTITY_TOP_HELDOUT = Metric(
    "identity_top_heldout", "own probe first, held out", "As `identity_top`, of `identity_heldout`.",
    "random half × concept", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
IDENTITY_GAP = Metric(
    "identity_gap", "diagonal above the rest",
    "A row's entry on the diagonal of `identity` minus the mean of the others' absolute values: 1 for the identity.",
    "concept", higher_is_better=True, limits=(-2, 1),
)  # fmt: skip
IDENTITY_GAP_HELDOUT = Metric(
    "identity_gap_heldout", "diagonal above the rest, held out", "As `identity_gap`, of `identity_heldout`.",
    "random half × concept", higher_is_better=True, limits=(-2, 1),
)  # fmt: skip
IDENTITY_GAP_SOURCE_C = Metric(
    "identity_gap_source_c", "the same with the source's C",
    "As `identity_gap_heldout`, with paper B's C = 1e-4 in place of one chosen by cross-validation.",
    "random half × concept", higher_is_better=True, limits=(-2, 1),
)  # fmt: skip

SOURCE_C = 1e-4
"""inverse ridge of the probes in the source's public code"""
STRENGTHS = (1e-4, 1e-2, 1.0, 1e2)
"""inverse ridges C to choose from"""
FOLDS = 3


def mean_difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A_s of unit norm `[d]`, of the two sides `[n, d]` of a concept's pairs."""
    return unit((after.astype(np.float64) - before).mean(0))


def probe_weights(before: np.ndarray, after: np.ndarray, group: np.ndarray | None) -> np.ndarray:
    """W_s of unit norm `[d]`: scikit-learn's logistic regression that tells after from before, with an intercept.

    The ridge keeps weights in the span of the centred words, so they are fitted in its coordinates.

    Args:
        before: `[n, d]`; after: `[n, d]`.
        group: of each pair `[n]`: C is chosen by cross-validation that keeps groups together, 1 with fewer than three of
            them. None: the source's C.
    """
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.model_selection import GroupKFold

    words = np.concatenate([before, after]).astype(np.float64)
    centred = words - words.mean(0)
    left, values, basis = np.linalg.svd(centred, full_matrices=False)
    kept = values > 1e-9 * max(float(values[0]), 1e-300)
    if not kept.any():
        return np.zeros(words.shape[1])  # all words are equal
    inputs, side = left[:, kept] * values[kept], np.repeat([0, 1], len(before))
    how = {"solver": "newton-cholesky", "tol": 1e-6}
    groups = None if group is None else np.tile(group, 2)
    if groups is None or len(np.unique(groups)) < FOLDS:
        probe = LogisticRegression(C=SOURCE_C if groups is None else 1.0, **how)
    else:
        folds = list(GroupKFold(FOLDS).split(inputs, side, groups))
        how |= {"l1_ratios": (0,), "use_legacy_attributes": False}  # a ridge alone
        probe = LogisticRegressionCV(Cs=STRENGTHS, cv=folds, scoring="neg_log_loss", **how)
    return unit(probe.fit(inputs, side).coef_[0] @ basis[kept])


def unit(vector: np.ndarray) -> np.ndarray:
    """A vector over its norm; zero if that is 0."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def gap(products: np.ndarray) -> np.ndarray:
    """Of A·W `[s, s]` each row's entry on the diagonal minus the mean of the others' absolute values, `[s]`."""
    diagonal = np.diag(products)
    others = np.abs(products).sum(1) - np.abs(diagonal)
    return diagonal - others / max(len(products) - 1, 1)


def top(products: np.ndarray) -> np.ndarray:
    """Whether each row of A·W `[s, s]` is largest on the diagonal, bool `[s]`."""
    return products.argmax(1) == np.arange(len(products))
