"""`ica`: FastICA of shifts (Hyvarinen 1999; scikit-learn's), what a user would try first; a baseline.

Its assumption is another one than sparsity: concepts that vary independently of each other and are not Gaussian. It
runs on shifts whitened to the rank of the code, where it is given every chance: UDR chooses the contrast `fun`, and
whether the mean is removed, among a `grid`, and of several starts the one with the largest contrast is kept. Pairs whose concepts all change in one direction have a mean that carries
signal, and without it the concepts that change together are not independent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from shiftscope.variants.base import Arrays, ClosedForm, linear_model

if TYPE_CHECKING:
    import numpy as np

    from shiftscope.pair_embeddings import TrainingPairs

logger = logging.getLogger(__name__)

GAUSSIAN = {"logcosh": 0.374567207491438, "exp": -(0.5**0.5), "cube": 0.75}
"""E G(ν) of a standard normal ν"""


class Ica(ClosedForm):
    """Hyperparameters of `ica`; UDR can choose `fun` and `centre`."""

    fun: Literal["logcosh", "exp", "cube"] = Field("logcosh", description="contrast function")
    centre: bool = Field(True, description="remove the mean shift before whitening")
    n_init: int = Field(8, ge=1, description="starts per seed, the best of which is kept; at most 32 / k")
    max_iter: int = Field(1000, ge=1, description="most fixed-point iterations")
    tol: float = Field(1e-4, gt=0, description="change of the unmixing matrix at which they end")

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """Unmixing as encoder and mixing as decoder, both `[k, d]`; the seed draws the first unmixing matrices.

        More codes than the shifts have dimensions stay zero, which counts as dead. FastICA that is the best start and
        did not converge is kept, and the log says so.
        """
        import numpy as np

        from shiftscope.variants._starts import starts
        from shiftscope.variants._whitening import whiten

        mean = pairs.shifts.mean(0) if self.centre else 0.0
        white = whiten(pairs.shifts - mean, n_codes, 0.0, n_codes)
        inputs, generator = white.inputs.astype(np.float64), np.random.default_rng(seed)
        firsts = generator.normal(size=(starts(self.n_init, n_codes), inputs.shape[1], inputs.shape[1]))
        unmixed = [self._unmix(inputs, first) for first in firsts]
        rotation, converged = max(unmixed, key=lambda found: contrast(inputs @ found[0].T, self.fun))
        if not converged:
            logger.warning("FastICA with %s, seed %d: not converged after %d iterations", self.fun, seed, self.max_iter)
        found = len(rotation)
        encoder, decoder = np.zeros((2, n_codes, pairs.shifts.shape[1]))
        encoder[:found], decoder[:found] = rotation @ white.forward.T, rotation @ white.backward
        return linear_model(encoder, decoder)

    def _unmix(self, inputs: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, bool]:
        """From a first matrix the rotation `[r, r]`, whose transpose mixes what it unmixes, and whether it converged."""
        import warnings

        from sklearn.decomposition import FastICA
        from sklearn.exceptions import ConvergenceWarning

        ica = FastICA(whiten=False, fun=self.fun, w_init=first, max_iter=self.max_iter, tol=self.tol)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ica.fit(inputs)
        return ica.components_, not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def contrast(sources: np.ndarray, fun: str) -> float:
    """Σ (E G(s) - E G(ν))² over the columns of `[n, r]`, ν standard normal: what FastICA maximises (Hyvarinen 1999, Eq. 7).

    It approximates the sources' negentropy; G is the contrast function `fun`.
    """
    import numpy as np

    if fun == "logcosh":
        values = np.logaddexp(sources, -sources) - np.log(2)
    else:
        values = -np.exp(-(sources**2) / 2) if fun == "exp" else sources**4 / 4
    return float(np.square(values.mean(0) - GAUSSIAN[fun]).sum())
