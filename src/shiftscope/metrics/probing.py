"""What linear probes read of concepts in the representations of simulated worlds, against the best that is possible.

Paper B, Sec. 6 and App. G.1: scikit-learn's logistic regression on the features of a network that predicts masked bits.
"""

from __future__ import annotations

import numpy as np

from shiftscope.metrics.base import Metric

SIMULATION_ACCURACY = Metric(
    "simulation_accuracy",
    "probe accuracy",
    "Share of contexts of which a linear probe tells a concept's value, fitted on samples of the same contexts (paper B, G.1).",
    per="seed and concept",
    higher_is_better=True,
    limits=(0, 1),
)
SIMULATION_ACCURACY_HELDOUT = Metric(
    "simulation_accuracy_heldout",
    "probe accuracy, other bits masked",
    "The same where the probe was fitted on contexts in which other bits are masked: one half of the bits, and then the other.",
    per="seed and concept",
    higher_is_better=True,
    limits=(0, 1),
)
INVERSION_ERROR = Metric(
    "inversion_error",
    "ε",
    "How far the most probable joint state is from certain in a context, on average (paper B, Definition 2.1), by enumeration.",
    per="world",
    higher_is_better=False,
    limits=(0, 1),
)
EXCESS_LOSS = Metric(
    "excess_loss",
    "loss above the least, nats",
    "Cross-entropy of a masked bit minus its entropy given the context, both by enumeration: what a network has left to learn.",
    per="seed",
    higher_is_better=False,
    limits=(0, float("inf")),
)


def probe_predictions(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, others: np.ndarray) -> np.ndarray:
    """What scikit-learn's logistic regression, with its default ridge (C = 1), says of each label, bool `[n, k]`.

    Args:
        features: `[m, d]` to fit on.
        labels: `[m, k]` bool.
        weights: `[m]`, how often each of the rows was drawn; a row that was not drawn has 0.
        others: `[n, d]` of which the labels are predicted; a label that has one value where it is fitted is predicted so.
    """
    from sklearn.linear_model import LogisticRegression

    drawn = weights > 0
    features, labels, weights = features[drawn].astype(np.float64), labels[drawn], weights[drawn]
    found = np.zeros((len(others), labels.shape[1]), bool)
    for place, label in enumerate(labels.T):
        if label.all() or not label.any():
            found[:, place] = label[0]
            continue
        probe = LogisticRegression(solver="newton-cholesky", tol=1e-6)
        found[:, place] = probe.fit(features, label, weights).decision_function(others.astype(np.float64)) > 0
    return found
