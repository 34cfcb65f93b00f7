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

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, model_validator

from shiftscope.schema import Strict

if TYPE_CHECKING:
    import numpy as np


class Params(Strict):
    """One law of synthetic pairs."""

    n_varying: int = Field(ge=1, description="|V|, concepts that vary")
    max_changed: int = Field(ge=1, description="max|S|, most concepts that change in one pair")
    d_model: int = Field(16, ge=1, description="embedding dimensions d; at least |V|, or concepts are not injective")
    n_train: int = Field(8000, ge=2, description="training pairs per data seed")
    n_test: int = Field(2000, ge=2, description="held-out pairs per data seed")
    n_single: int = Field(500, ge=0, description="held-out pairs in which one concept changes, for steering")
    mixing: Literal["gaussian", "orthogonal", "integer"] = Field("gaussian", description="law of the matrix A")
    support: Literal["subset", "exact", "together"] = Field("subset", description="which concepts change")
    amplitude: Literal["uniform", "signed", "gaussian", "low_rank", "finite"] = Field("uniform", description="by what")
    noise: float = Field(0.0, ge=0, description="standard deviation of noise on δz, relative to its own")
    data_seeds: int = Field(3, ge=1, description="independent data sets (mixing and pairs)")
    seed: int = Field(0, ge=0, description="seed of the first data set")

    @model_validator(mode="after")
    def _possible(self) -> Params:
        if self.max_changed > self.n_varying:
            raise ValueError(f"max_changed is {self.max_changed}, but only n_varying = {self.n_varying} concepts vary")
        if self.d_model < self.n_varying:
            raise ValueError(
                f"d_model is {self.d_model}: it must be at least n_varying = {self.n_varying}, or A is not injective"
            )
        if self.support == "together" and (self.n_varying < 3 or self.max_changed < 2):
            raise ValueError("support together needs n_varying >= 3 and max_changed >= 2")
        return self


class Assumptions(NamedTuple):
    """Which parts of the paper's Assumption 4 a law satisfies."""

    support_variability: bool
    density: bool


def assumptions(params: Params) -> Assumptions:
    """4.1: for every concept the supports without it cover all others. 4.2: δc given S has a density on R^|S|."""
    fixed = params.support == "exact" and params.max_changed == params.n_varying and params.n_varying > 1
    degenerate = params.amplitude == "finite" or (params.amplitude == "low_rank" and params.max_changed > 1)
    return Assumptions(not fixed and params.support != "together", not degenerate)


class Sample(NamedTuple):
    """One data set: `embedding_0`, `embedding_1` `[n, d]`, `shift` δc `[n, |V|]`, `mixing` `[d, |V|]`."""

    embedding_0: np.ndarray
    embedding_1: np.ndarray
    shift: np.ndarray
    mixing: np.ndarray


def sample(params: Params, data_seed: int) -> Sample:
    """Draw training, held-out and single-concept pairs, in this order, of data set number `data_seed`."""
    import numpy as np

    rng = np.random.default_rng([params.seed, data_seed])
    matrix = mixing_matrix(params, rng)
    n = params.n_train + params.n_test
    changed = supports(params, n, rng)
    alone = np.eye(params.n_varying, dtype=bool)[rng.integers(params.n_varying, size=params.n_single)]
    changed = np.concatenate([changed, alone])
    shift = changed * amplitudes(params, changed, rng)
    concepts = rng.normal(size=shift.shape)
    delta = shift @ matrix.T
    delta += params.noise * np.sqrt(np.square(delta[:n]).mean()) * rng.normal(size=delta.shape)
    before = concepts @ matrix.T
    return Sample(before, before + delta, shift, matrix)


def mixing_matrix(params: Params, rng: np.random.Generator) -> np.ndarray:
    """A `[d, |V|]`: normal, orthonormal columns, or the published generator's integers (badly conditioned)."""
    import numpy as np

    shape = (params.d_model, params.n_varying)
    if params.mixing == "gaussian":
        return rng.normal(size=shape) / np.sqrt(params.d_model)
    if params.mixing == "orthogonal":
        return np.linalg.qr(rng.normal(size=shape))[0]
    while True:
        matrix = rng.integers(1, max(3, params.n_varying), size=shape).astype(float)
        if np.linalg.matrix_rank(matrix) == params.n_varying:
            return matrix


def supports(params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
    """Which concepts change in each of n pairs, bool `[n, |V|]`."""
    import numpy as np

    varying, most = params.n_varying, params.max_changed
    units = varying - 1 if params.support == "together" else varying  # the first two count as one unit
    most = min(most - 1 if params.support == "together" else most, units)
    sizes = np.full(n, most) if params.support == "exact" else rng.integers(1, most + 1, size=n)
    ranks = np.argsort(np.argsort(rng.random((n, units)), axis=1), axis=1)
    chosen = ranks < sizes[:, None]
    return np.concatenate([chosen[:, :1], chosen], axis=1) if params.support == "together" else chosen


def amplitudes(params: Params, changed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By how much each concept would change, `[n, |V|]`; entries outside the support are not used."""
    import numpy as np

    shape = changed.shape
    if params.amplitude == "uniform":
        return rng.uniform(0, 1, shape)
    if params.amplitude == "signed":
        return rng.uniform(-1, 1, shape)
    if params.amplitude == "finite":
        return rng.choice([-1.0, 1.0], shape)
    if params.amplitude == "gaussian":
        root = rng.normal(size=(shape[1], shape[1])) / np.sqrt(shape[1]) + np.eye(shape[1])
        return rng.normal(size=shape) @ root.T
    return rng.normal(size=(shape[0], 1)) * rng.uniform(0.5, 1.5, shape[1])
