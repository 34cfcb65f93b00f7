"""`probe_direction`: the weight vector of a logistic-regression probe per labelled concept, what a user would try first.

Supervised, as `mean_difference` is: it needs pairs that are known to differ in one concept. The probe tells from a
shift in which direction the concept changed. A shift δz and its mirror image -δz are the two classes, which leaves no
intercept and makes pairs that are all turned one way as good as others. A concept without such pairs has a zero
direction, which counts as dead.

The code of a new shift is its probe's logit over the weights' norm, a length; steering adds the weight vector, though
what reads a concept is not in general what writes it (paper B, Sec. 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants._labelled import Labelled
from shiftscope.variants.base import Arrays, linear_model

if TYPE_CHECKING:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""inverse ridge penalties C to choose from, for shifts of unit mean square"""


class ProbeDirection(Labelled):
    """The ridge is chosen by cross-validation on the labelled training pairs, so nothing is left to set."""

    folds: int = Field(3, ge=2, description="folds of the cross-validation; a concept with fewer pairs takes C = 1")

    def direction(self, shifts: np.ndarray) -> np.ndarray:
        """Weights of scikit-learn's logistic regression that tells the shifts from their mirror images.

        A ridge keeps the weights in the span of the shifts, so they are fitted in its coordinates, which with few pairs
        are far fewer than d. A shift and its image are in the same fold.
        """
        import numpy as np
        from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
        from sklearn.model_selection import PredefinedSplit

        shifts = shifts.astype(np.float64)
        shifts /= np.sqrt(np.square(shifts).sum(1).mean())
        left, values, basis = np.linalg.svd(shifts, full_matrices=False)
        kept = values > 1e-9 * values[0]
        coordinates = left[:, kept] * values[kept]
        both, side = np.concatenate([coordinates, -coordinates]), np.repeat([1, 0], len(shifts))
        how = {"fit_intercept": False, "solver": "newton-cholesky", "tol": 1e-8}
        if len(shifts) < self.folds:
            probe = LogisticRegression(C=1.0, **how)
        else:
            folds = PredefinedSplit(np.tile(np.arange(len(shifts)) % self.folds, 2))
            how |= {"l1_ratios": (0,), "use_legacy_attributes": False}  # a ridge alone
            probe = LogisticRegressionCV(Cs=STRENGTHS, cv=folds, scoring=_log_likelihood, **how)
        return probe.fit(both, side).coef_[0] @ basis[kept]

    def model(self, directions: np.ndarray, shifts: np.ndarray, concept: np.ndarray) -> Arrays:
        """A code is the probe's logit over its weights' norm."""
        import numpy as np

        norms = np.linalg.norm(directions, axis=1, keepdims=True)
        unit = directions / np.where(norms > 0, norms, 1.0)
        return linear_model(unit, unit)


def _log_likelihood(probe: LogisticRegression, shifts: np.ndarray, side: np.ndarray) -> float:
    """Mean log-likelihood of the sides, as "neg_log_loss" scores it, without that name's 5 ms of checks for 0.1 of work."""
    import numpy as np

    return float(-np.logaddexp(0, (1 - 2 * side) * probe.decision_function(shifts)).mean())
