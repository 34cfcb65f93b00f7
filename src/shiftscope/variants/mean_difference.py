"""`mean_difference`: the mean shift of single-concept training pairs, one per concept (paper A, Sec. 3).

Decoder directions are the means. The source says nothing of an encoder. Here a shift is read as δz = c D + ε, D the
means and ε what labelled pairs differ in from them, and a code is the generalised least-squares estimate of c with a
ridge,

    encoder = (D Σ⁻¹ Dᵀ + λ w I)⁻¹ D Σ⁻¹,

Σ the covariance of ε, shrunk (Ledoit and Wolf 2004), and w the largest eigenvalue of D Σ⁻¹ Dᵀ. The means of many
concepts are nearly dependent (135 contrasts of 3 × 10 values span 27 dimensions), and their plain pseudo-inverse reads
noise. λ is chosen by cross-validation on the labelled training pairs, and the shrinkage of codes undone by one number.
MCC with the truth, against that of the pseudo-inverse: .78 (.24) on cat_135_3, .86 (.74) on gender_1_1, .82 (.71) on
binary_2_2, .92 (.82) on corr_2_1, all of SmolLM2; the decoder, and so steering, is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants._labelled import Labelled
from shiftscope.variants.base import Arrays, linear_model

if TYPE_CHECKING:
    import numpy as np

STRENGTHS = tuple(10 ** (half / 2) for half in range(-16, 3))
"""λ to choose from"""
UNTRIED = STRENGTHS[12]
"""the one where there is nothing to choose by: .01, near what real embeddings choose"""
LEAST_SHRINKAGE = 0.01
"""with very few pairs the estimated shrinkage may be 0, and the covariance of fewer pairs than dimensions has no inverse"""


class MeanDifference(Labelled):
    """The ridge is chosen by cross-validation on the labelled training pairs, so nothing is left to set."""

    folds: int = Field(3, ge=2, description="folds of the cross-validation, over each concept's pairs")

    system = "mean_difference"

    def direction(self, shifts: np.ndarray) -> np.ndarray:
        """Their mean."""
        return shifts.mean(0)

    def model(self, directions: np.ndarray, shifts: np.ndarray, concept: np.ndarray) -> Arrays:
        """The encoder whose codes of pairs left out come closest to 1 for their own concept and 0 for others.

        Where no concept has two pairs, none can be left out, and λ is `UNTRIED`.
        """
        import numpy as np

        from shiftscope.variants._unshrunk import unshrunk

        shifts, number = shifts.astype(np.float64), np.zeros(len(concept), int)
        for one in range(len(directions)):
            number[concept == one] = np.arange((concept == one).sum())
        errors = np.zeros(len(STRENGTHS))
        for fold in range(self.folds):
            left = number % self.folds == fold
            if left.any() and not left.all():
                told = np.eye(len(directions))[concept[left]]
                rivals = encoders(shifts[~left], concept[~left], len(directions))
                errors += [np.square(shifts[left] @ encoder.T - told).sum() for encoder in rivals]
        best = errors.argmin() if errors.any() else STRENGTHS.index(UNTRIED)
        encoder = encoders(shifts, concept, len(directions))[best]
        return linear_model(unshrunk(encoder, directions, shifts), directions)


def encoders(shifts: np.ndarray, concept: np.ndarray, n_concepts: int) -> list[np.ndarray]:
    """For each of `STRENGTHS` the encoder `[concepts, d]` whose code of a concept's mean shift is about 1.

    Args:
        shifts: single-concept shifts `[n, d]` float64, all of a concept turned one way.
        concept: the concept of each, `[n]`.
        n_concepts: how many there are; one without shifts has a zero encoder.
    """
    import numpy as np
    from sklearn.covariance import ledoit_wolf_shrinkage

    belongs = np.eye(n_concepts)[concept]
    means = belongs.T @ shifts / belongs.sum(0).clip(1)[:, None]
    rest = shifts - means[concept]
    noise = np.eye(shifts.shape[1])  # where every pair is its concept's mean
    if rest.any():
        share = max(ledoit_wolf_shrinkage(rest, assume_centered=True), LEAST_SHRINKAGE)
        covariance = rest.T @ rest / len(rest)
        noise = (1 - share) * covariance + share * np.diag(covariance).mean() * noise
    read = np.linalg.solve(noise, means.T).T
    values, vectors = np.linalg.eigh(read @ means.T)
    rotated, top = vectors.T @ read, values[-1] or 1.0
    return [vectors @ (rotated / (values.clip(0) + strength * top)[:, None]) for strength in STRENGTHS]
