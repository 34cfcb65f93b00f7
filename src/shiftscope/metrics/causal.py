"""What steering does to the next token, against what the counterfactual text would have done.

A pair's texts differ in one concept. A vector is added while the language model reads the first of them; its law of the next
token should become that of the second: of a grammar the exact one, of any other model its own law after the second text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shiftscope.metrics.base import Metric

KL_REMOVED = Metric(
    "kl_removed", "KL removed",
    "Share of the divergence of the next token's law from that of the counterfactual text that steering removes, over pairs on "
    "which neither direction nor scale nor dose was chosen; below 0 steering leads away.",
    "seed × concept", higher_is_better=True, limits=(float("-inf"), 1),
)  # fmt: skip
LAW_MOVED = Metric(
    "law_moved", "law moved",
    "How far steering moves the next token's law from that after a pair's first text to that after its second, along what tells the two "
    "apart; of pairs in which the vector's own concept changes: 1 arrives.",
    "concept", higher_is_better=True,
)  # fmt: skip
LAW_MOVED_OTHERS = Metric(
    "law_moved_others", "law moved, other concept",
    "The same of pairs in which another concept changes than the vector's own: 0 leaves that one alone.",
    "concept × concept",
)  # fmt: skip
KL_REMOVED_ELSEWHERE = Metric(
    "kl_removed_elsewhere", "KL removed, elsewhere",
    "The same on pairs of another dataset in which the same concept changes, at the scale and dose that were chosen on its own.",
    "concept", higher_is_better=True, limits=(float("-inf"), 1),
)  # fmt: skip
PROBE_MOVED = Metric(
    "probe_moved", "probe moved",
    "How far steering moves the logit of a probe that was fitted on other pairs, as a share of the way from the first text to "
    "the second: 1 arrives.",
    "seed × concept",
)  # fmt: skip
STEERED_SUCCESS = Metric(
    "steered_success", "steered as meant",
    "Share of texts written under steering that are at least twice as probable after the counterfactual text as after the text "
    "itself, by the grammar.",
    "concept", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
STEERED_BROKEN = Metric(
    "steered_broken", "ungrammatical",
    "Share of texts written under steering that the grammar allows after neither of the two texts.",
    "concept", higher_is_better=False, limits=(0, 1),
)  # fmt: skip
STEERED_FLUENCY = Metric(
    "steered_fluency", "log-probability a word",
    "Mean exact log-probability a word, in nats, of what was written under steering, after the counterfactual text, where that "
    "is possible; beside it that of what the model writes there by itself.",
    "concept", higher_is_better=True, limits=(float("-inf"), 0),
)  # fmt: skip


def divergence(target: np.ndarray, log_law: np.ndarray) -> float:
    """Mean KL(target ‖ law) in nats over texts, of probabilities `[n, tokens]` and log-probabilities `[n, tokens]`."""
    return float(divergences(target, log_law).mean())


def divergences(target: np.ndarray, log_law: np.ndarray) -> np.ndarray:
    """The same of every text, `[n]`."""
    target = target.astype(np.float64)
    logs = np.log(np.where(target > 0, target, 1))
    return (target * (logs - log_law)).sum(1)


def removed(target: np.ndarray, unsteered: np.ndarray, steered: np.ndarray) -> float:
    """1 minus the divergence under steering over that without, which must not be 0, of log-probabilities `[n, tokens]`."""
    return 1 - divergence(target, steered) / divergence(target, unsteered)


def law_moved(first: np.ndarray, second: np.ndarray, steered: np.ndarray) -> float:
    """How far a law moved from the first to the second along what tells them apart, of log-probabilities `[n, tokens]` each.

    Σ (q₁ - q₀) (log q - log q₀) over the same of q₁, which is the symmetrised divergence of the two, summed over texts: what
    changes both laws alike counts for nothing.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    apart = np.exp(second) - np.exp(first)
    return float((apart * (steered - first)).sum() / (apart * (second - first)).sum())


class Probe(NamedTuple):
    """What the probes of a concept, each fitted on other pairs than those that it reads, make of shifts."""

    weights: np.ndarray
    """`[d]`, their sum over the pairs that they read"""
    way: float
    """how far their logits rise from the first texts to the second, summed over pairs"""

    def moved(self, vector: np.ndarray) -> float:
        """How far a vector `[d]` moves the logit, as a share of the mean way from the first text to the second."""
        return float(vector.astype(np.float64) @ self.weights) / self.way


def probe_of(before: np.ndarray, after: np.ndarray, group: np.ndarray, folds: int = 4) -> Probe | None:
    """Probes that tell z̃ `[n, d]` from z `[n, d]`: scikit-learn's logistic regression (C = 1), by folds of groups `[n]`.

    None with fewer than two groups, or where they do not tell the texts of other pairs apart.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    groups = len(np.unique(group))
    if groups < 2:
        return None
    weights, way = np.zeros(before.shape[1]), 0.0
    for fit, scored in GroupKFold(min(folds, groups)).split(before, groups=group):
        words = np.concatenate([before[fit], after[fit]]).astype(np.float64)
        scale = max(float(np.sqrt(np.square(words - words.mean(0)).mean())), 1e-12)
        probe = LogisticRegression(max_iter=1000).fit(words / scale, np.repeat([0, 1], len(fit))).coef_[0] / scale
        weights += len(scored) * probe
        way += float(((after[scored] - before[scored]).astype(np.float64) @ probe).sum())
    return Probe(weights, way) if way > 0 else None
