"""`ica`: FastICA of shifts (Hyvarinen 1999; scikit-learn's), what a user would try first; a baseline.

Its assumption is another one than sparsity: concepts that vary independently of each other and are not Gaussian. It
runs on shifts whitened to the rank of the code, where it is given every chance: UDR chooses the contrast `fun`, and
whether the mean is removed, among a `grid`. Pairs whose concepts all change in one direction have a mean that carries
signal, and without it the concepts that change together are not independent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from shiftscope.variants.base import Arrays, ClosedForm, linear_model

if TYPE_CHECKING:
    from shiftscope.pair_embeddings import TrainingPairs

logger = logging.getLogger(__name__)


class Ica(ClosedForm):
    """Hyperparameters of `ica`; UDR can choose `fun` and `centre`."""

    fun: Literal["logcosh", "exp", "cube"] = Field("logcosh", description="contrast function")
    centre: bool = Field(True, description="remove the mean shift before whitening")
    max_iter: int = Field(1000, ge=1, description="most fixed-point iterations")
    tol: float = Field(1e-4, gt=0, description="change of the unmixing matrix at which they end")

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """Unmixing as encoder and mixing as decoder, both `[k, d]`; the seed draws the first unmixing matrix.

        More codes than the shifts have dimensions stay zero, which counts as dead. FastICA that does not converge is
        kept, and the log says so.
        """
        import warnings

        import numpy as np
        from sklearn.decomposition import FastICA
        from sklearn.exceptions import ConvergenceWarning

        from shiftscope.variants._whitening import whiten

        mean = pairs.shifts.mean(0) if self.centre else 0.0
        white = whiten(pairs.shifts - mean, n_codes, 0.0, n_codes)
        ica = FastICA(whiten=False, fun=self.fun, random_state=seed, max_iter=self.max_iter, tol=self.tol)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ica.fit(white.inputs.astype(np.float64))
        if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
            logger.warning("FastICA with %s, seed %d: not converged after %d iterations", self.fun, seed, self.max_iter)
        rotation = ica.components_  # orthogonal, so its transpose mixes what it unmixes
        found = len(rotation)
        encoder, decoder = np.zeros((2, n_codes, pairs.shifts.shape[1]))
        encoder[:found], decoder[:found] = rotation @ white.forward.T, rotation @ white.backward
        return linear_model(encoder, decoder)
