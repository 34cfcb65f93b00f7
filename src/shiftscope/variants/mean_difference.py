"""`mean_difference`: the mean shift of single-concept training pairs, one per concept (paper A, Sec. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.variants._labelled import Labelled
from shiftscope.variants.base import Arrays, linear_model

if TYPE_CHECKING:
    import numpy as np


class MeanDifference(Labelled):
    """No hyperparameters."""

    system = "mean_difference"

    def direction(self, shifts: np.ndarray) -> np.ndarray:
        """Their mean."""
        return shifts.mean(0)

    def model(self, directions: np.ndarray) -> Arrays:
        """The encoder is the pseudo-inverse, so that codes of concepts that are not orthogonal add up to the shift."""
        import numpy as np

        return linear_model(np.linalg.pinv(directions).T, directions)
