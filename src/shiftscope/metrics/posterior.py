"""How linear representations are in the exact log-posterior of concepts (paper B, Theorem 3.1 and Corollary 4.3).

A log-posterior is taken as log p_i minus its mean over i, `[n, values]`, since a representation is linear in it up to a
constant of each context that no prediction depends on. Everything is fitted on some contexts and scored on others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shiftscope.metrics.base import Metric

POSTERIOR_R2 = Metric(
    "posterior_r2", "log-posterior from representation, R²",
    "Share of the variance of the exact log-posterior that a ridge regression tells from the representation of other contexts, "
    "among contexts after which the same words can follow.",
    "random half × concept", higher_is_better=True, limits=(float("-inf"), 1), held_out=True,
)  # fmt: skip
REPRESENTATION_R2 = Metric(
    "representation_r2", "representation from log-posterior, R²",
    "The other way round: the share of the variance of the representation that the exact log-posterior tells.",
    "random half × concept", higher_is_better=True, limits=(float("-inf"), 1), held_out=True,
)  # fmt: skip
POSTERIOR_CALIBRATION = Metric(
    "posterior_calibration", "probe's error of probability",
    "Mean absolute difference between what a logistic probe, fitted to the concept's values in other documents, says of each "
    "value and its exact probability.",
    "random half × concept", higher_is_better=False, limits=(0, 1), held_out=True,
)  # fmt: skip
POSTERIOR_EXCLUDED = Metric(
    "posterior_excluded", "excluded",
    "Share of the drawn contexts that are left out: a value is impossible or certain there, or too few others can be followed by "
    "the same words; of a joint posterior also those that other words can follow than most.",
    "concept", limits=(0, 1),
)  # fmt: skip
POSTERIOR_ERROR = Metric(
    "posterior_error_*", "error",
    "Mean squared error of the prediction of `posterior_r2` over the variance, in a third of the contexts: by the `entropy` of the "
    "posterior, by `depth` (words read), or by `rarity` (probability of the context), each low, middle or high.",
    "random half × concept", higher_is_better=False, limits=(0, float("inf")), held_out=True,
)  # fmt: skip

THIRDS = ("low", "middle", "high")
"""how names of `POSTERIOR_ERROR` end"""
ALPHAS = tuple(10.0**power for power in range(-6, 3))
"""ridges to choose from, by leaving out one row, as shares of the inputs' energy"""
CONSTANT = 1e-9
"""variance below which nothing is there to tell"""


def centred(posterior: np.ndarray) -> np.ndarray:
    """log p minus its mean over values, of probabilities `[n, values]` above 0."""
    logs = np.log(posterior)
    return logs - logs.mean(1, keepdims=True)


class Prediction(NamedTuple):
    """What a regression says of the contexts that it was not fitted on, all with the mean of their slot taken away."""

    found: np.ndarray
    """`[n, m]`"""
    true: np.ndarray
    """`[n, m]`"""
    weights: np.ndarray
    """`[n]`"""

    @property
    def errors(self) -> np.ndarray:
        """Squared error of each context over the mean of its targets' squares, `[n]`: 1 is what the mean alone has."""
        energy = self.weights @ np.square(self.true).sum(1) / self.weights.sum()
        return np.square(self.found - self.true).sum(1) / energy

    @property
    def r2(self) -> float:
        """1 minus the mean error."""
        return float(1 - self.weights @ self.errors / self.weights.sum())


def predict(
    inputs: np.ndarray, targets: np.ndarray, fit: np.ndarray, slot: np.ndarray, weights: np.ndarray | None = None
) -> Prediction | None:
    """Ridge regression on the contexts `fit`, its strength chosen there by leaving one out, tried on the others.

    Means of each slot over the contexts that are fitted are taken away first, from both sides. None where targets do not vary.

    Args:
        inputs: `[n, d]`; targets: `[n, m]`.
        fit: bool `[n]`.
        slot: `[n]`: which contexts have a mean of their own; each must have some of either kind.
        weights: how much each context counts `[n]`; None: equally.
    """
    from sklearn.linear_model import RidgeCV

    weights = np.ones(len(inputs)) if weights is None else weights
    x, y = (_without_means(array.astype(np.float64), fit, slot, weights) for array in (inputs, targets))
    if min(np.square(y[which]).mean() for which in (fit, ~fit)) < CONSTANT:
        return None
    energy = np.square(x[fit]).sum() / x.shape[1]
    if energy < CONSTANT:
        return Prediction(np.zeros_like(y[~fit]), y[~fit], weights[~fit])
    ridge = RidgeCV(alphas=energy * np.array(ALPHAS), fit_intercept=False)
    ridge.fit(x[fit], y[fit], sample_weight=weights[fit] / weights[fit].mean())
    return Prediction(ridge.predict(x[~fit]).reshape(y[~fit].shape), y[~fit], weights[~fit])


def _without_means(array: np.ndarray, fit: np.ndarray, slot: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each row without the weighted mean of the fitted rows of its slot."""
    numbers = np.unique(slot, return_inverse=True)[1]
    mass = np.bincount(numbers[fit], weights[fit])
    sums = np.zeros((numbers.max() + 1, array.shape[1]))
    np.add.at(sums, numbers[fit], weights[fit, None] * array[fit])
    return array - (sums / np.maximum(mass, 1e-300)[:, None])[numbers]


def probability_error(inputs: np.ndarray, drawn: np.ndarray, posterior: np.ndarray, fit: np.ndarray) -> float:
    """Mean absolute difference between a logistic probe's probabilities and the exact ones, on the contexts not `fit`.

    The probe is scikit-learn's logistic regression with its default ridge (C = 1), of inputs scaled to unit mean square.

    Args:
        inputs: `[n, d]`.
        drawn: the value that the concept has in each context's document `[n]`, a number below the columns of `posterior`.
        posterior: exact probabilities `[n, values]`.
        fit: bool `[n]`.
    """
    from sklearn.linear_model import LogisticRegression

    x = inputs.astype(np.float64) - inputs[fit].mean(0)
    x /= max(float(np.sqrt(np.square(x[fit]).mean())), 1e-12)
    said = np.zeros_like(posterior[~fit])
    values = np.unique(drawn[fit])
    if len(values) == 1:
        said[:, values[0]] = 1
    else:
        probe = LogisticRegression(max_iter=1000).fit(x[fit], drawn[fit])
        said[:, probe.classes_] = probe.predict_proba(x[~fit])
    return float(np.abs(said - posterior[~fit]).mean())
