"""Synthetic pairs with known concepts: δz = A δc, a random part of δc changed, the rest 0 (paper A, App. B.4).

`support` and `amplitude` choose laws that satisfy the paper's Assumption 4 or break it on purpose:

    support    subset      1 … max_changed concepts, a uniformly random subset       (satisfies 4.1)
               exact       always max_changed of them                                (4.1 iff max_changed < n_varying)
               together    as subset, but the first two change only together         (breaks 4.1)
    amplitude  uniform     U(0, 1) each                                              (4.2)
               signed      U(-1, 1) each                                             (4.2)
               gaussian    correlated normal, full rank                              (4.2)
               low_rank    normal on a line through each support                     (breaks 4.2 once two change)
               finite      -1 or 1                                                   (breaks 4.2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from shiftscope.synthetic.base import Assumptions, Law, Sample

if TYPE_CHECKING:
    import numpy as np


def mixing_matrix(law: LinearShifts, rng: np.random.Generator) -> np.ndarray:
    """A `[d, |V|]`: normal, orthonormal columns, or the published generator's integers (badly conditioned)."""
    import numpy as np

    shape = (law.d_model, law.n_varying)
    if law.mixing == "gaussian":
        return rng.normal(size=shape) / np.sqrt(law.d_model)
    if law.mixing == "orthogonal":
        return np.linalg.qr(rng.normal(size=shape))[0]
    while True:
        matrix = rng.integers(1, max(3, law.n_varying), size=shape).astype(float)
        if np.linalg.matrix_rank(matrix) == law.n_varying:
            return matrix


def supports(law: LinearShifts, n: int, rng: np.random.Generator) -> np.ndarray:
    """Which concepts change in each of n pairs, bool `[n, |V|]`."""
    import numpy as np

    varying, most = law.n_varying, law.max_changed
    units = varying - 1 if law.support == "together" else varying  # the first two count as one unit
    most = min(most - 1 if law.support == "together" else most, units)
    sizes = np.full(n, most) if law.support == "exact" else rng.integers(1, most + 1, size=n)
    ranks = np.argsort(np.argsort(rng.random((n, units)), axis=1), axis=1)
    chosen = ranks < sizes[:, None]
    return np.concatenate([chosen[:, :1], chosen], axis=1) if law.support == "together" else chosen


def amplitudes(law: LinearShifts, changed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By how much each concept would change, `[n, |V|]`; entries outside the support are not used."""
    import numpy as np

    shape = changed.shape
    if law.amplitude == "uniform":
        return rng.uniform(0, 1, shape)
    if law.amplitude == "signed":
        return rng.uniform(-1, 1, shape)
    if law.amplitude == "finite":
        return rng.choice([-1.0, 1.0], shape)
    if law.amplitude == "gaussian":
        root = rng.normal(size=(shape[1], shape[1])) / np.sqrt(shape[1]) + np.eye(shape[1])
        return rng.normal(size=shape) @ root.T
    return rng.normal(size=(shape[0], 1)) * rng.uniform(0.5, 1.5, shape[1])


class LinearShifts(Law):
    """One law of synthetic pairs."""

    mixing: Literal["gaussian", "orthogonal", "integer"] = Field("gaussian", description="law of the matrix A")
    support: Literal["subset", "exact", "together"] = Field("subset", description="which concepts change")
    amplitude: Literal["uniform", "signed", "gaussian", "low_rank", "finite"] = Field("uniform", description="by what")
    noise: float = Field(0.0, ge=0, description="standard deviation of noise on δz, relative to its own")

    @model_validator(mode="after")
    def _possible(self) -> LinearShifts:
        if self.max_changed > self.n_varying:
            raise ValueError(f"max_changed is {self.max_changed}, but only n_varying = {self.n_varying} concepts vary")
        if self.d_model < self.n_varying:
            raise ValueError(
                f"d_model is {self.d_model}: it must be at least n_varying = {self.n_varying}, or A is not injective"
            )
        if self.support == "together" and (self.n_varying < 3 or self.max_changed < 2):
            raise ValueError("support together needs n_varying >= 3 and max_changed >= 2")
        return self

    def assumptions(self) -> Assumptions:
        """4.1: for every concept the supports without it cover all others. 4.2: δc given S has a density on R^|S|."""
        fixed = self.support == "exact" and self.max_changed == self.n_varying and self.n_varying > 1
        degenerate = self.amplitude == "finite" or (self.amplitude == "low_rank" and self.max_changed > 1)
        return Assumptions(not fixed and self.support != "together", not degenerate)

    def sample(self, data_seed: int) -> Sample:
        """Draw training, held-out and single-concept pairs, in this order, of data set number `data_seed`."""
        import numpy as np

        rng = np.random.default_rng([self.seed, data_seed])
        matrix = mixing_matrix(self, rng)
        n = self.n_train + self.n_test
        changed = supports(self, n, rng)
        alone = np.eye(self.n_varying, dtype=bool)[rng.integers(self.n_varying, size=self.n_single)]
        changed = np.concatenate([changed, alone])
        shift = changed * amplitudes(self, changed, rng)
        concepts = rng.normal(size=shift.shape)
        delta = shift @ matrix.T
        delta += self.noise * np.sqrt(np.square(delta[:n]).mean()) * rng.normal(size=delta.shape)
        before = concepts @ matrix.T
        return Sample(before, before + delta, shift, matrix)
