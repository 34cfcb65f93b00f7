"""`pca`: principal directions of the shifts (a baseline in paper A's steering figure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.variants.base import Arrays, ClosedForm, linear_model

if TYPE_CHECKING:
    from shiftscope.pair_embeddings import TrainingPairs


class Pca(ClosedForm):
    """No hyperparameters."""

    deterministic = True
    system = "pca"

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """The `n_codes` leading eigenvectors of the uncentred second moment, `[k, d]`, largest first.

        Uncentred, because pairs are oriented at random and the mean shift of a one-concept dataset is its signal.
        """
        import numpy as np

        eigenvectors = np.linalg.eigh(pairs.moment)[1][:, ::-1][:, :n_codes].T
        directions = np.zeros((n_codes, pairs.shifts.shape[1]))
        directions[: len(eigenvectors)] = eigenvectors * np.where(eigenvectors.sum(1) < 0, -1.0, 1.0)[:, None]
        return linear_model(directions, directions)
