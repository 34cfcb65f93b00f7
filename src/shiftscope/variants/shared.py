"""`shared`: what all pairs have in common, in closed form; ours.

Where one concept changes in every pair no sparsity can help (paper A's Assumption 4.1 asks that supports vary), and the first
principal direction of the shifts is mostly noise of words. Their mean is the concept, and the code that tells it from the
noise is the whitened mean, Σ⁻¹ μ with the shifts' own covariance Σ (`_discriminant`). Whether there is anything that pairs
share is tested by flipping signs: if there is not, a mean as long comes from pairs that are turned at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants.base import Arrays, ClosedForm, Facts, linear_model
from shiftscope.vocabulary import SHARED

if TYPE_CHECKING:
    import numpy as np

    from shiftscope.pair_embeddings import TrainingPairs


class Shared(ClosedForm):
    """One code, the first; the others stay zero, which counts as dead."""

    candidate = True
    most_codes = 1
    deterministic = True
    vector_name = SHARED

    flips: int = Field(999, ge=99, description="random flips of signs in the test of what is shared")

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """Encoder and decoder `[k, d]`, of which all rows but the first are zero; no seed enters."""
        return self.fit_seeds(pairs, n_codes, [seed])[0][0]

    def fit_seeds(self, pairs: TrainingPairs, n_codes: int, seeds: list[int]) -> list[tuple[Arrays, Facts]]:
        """The one model, and the p-value of the test."""
        import numpy as np

        from shiftscope.variants._discriminant import Sums, read
        from shiftscope.variants._sign_flips import significance

        shifts = pairs.shifts.astype(np.float64)
        group = pairs.component
        ones = np.ones((len(shifts), 1))

        def sums(which: np.ndarray) -> Sums:
            rows = shifts[np.isin(group, which)]
            return Sums(rows.T @ rows, np.array([[len(rows)]], float), rows.sum(0)[None], len(rows))

        read_by, direction, _ = read(shifts, ones, sums(np.unique(group)), sums, group)
        encoder, decoder = np.zeros((2, n_codes, shifts.shape[1]))
        encoder[0], decoder[0] = read_by[0], direction[0]
        facts = {"p_shared": significance(shifts, group, self.flips)}
        return [(linear_model(encoder, decoder), facts) for _ in seeds]
