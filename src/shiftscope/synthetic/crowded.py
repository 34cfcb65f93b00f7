"""Synthetic pairs of texts with more concepts than dimensions: z = A c, |C| > d, of which only |V| ≤ d vary in pairs.

The argument of the talk as an experiment (T-2): z is not injective in the concepts, the shift δz = A_V δc_V is in those
that vary. A hostile reader answers that few concepts are active in a text, and that sparse codes of z can then be told.
So the law covers both: with `active` small and `signed` false it is the world that sparse autoencoders of embeddings are
made for (superposition: few concepts, none negative), with `active` 1 one that nothing can tell from single embeddings.
Two things make pairs harder: `single`, the share of pairs in which one concept changes, and `unintended`, the share of
pairs in which, besides, a concept changes that was not meant to.

`sweep` draws worlds that differ in one of these each, into one file, so that all are trained in one job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, ValidationError, model_validator

from shiftscope.synthetic.base import Assumptions, Law, Sample

if TYPE_CHECKING:
    import numpy as np

Swept = Literal["active", "n_concepts", "single", "unintended", "max_changed", "signed"]
"""fields that worlds may differ in: data sets of one file have equal shapes"""


def alone(varying: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """One concept each, bool `[n, |V|]`."""
    import numpy as np

    return np.eye(varying, dtype=bool)[rng.integers(varying, size=n)]


def supports(law: Crowded, n: int, rng: np.random.Generator) -> np.ndarray:
    """Which concepts of V change in each of n pairs, bool `[n, |V|]`: one by `single`, else 2 … max_changed of them."""
    import numpy as np

    sizes = np.where(rng.random(n) < law.single, 1, rng.integers(2, law.max_changed + 1, size=n))
    ranks = np.argsort(np.argsort(rng.random((n, law.n_varying)), axis=1), axis=1)
    return ranks < sizes[:, None]


class Crowded(Law):
    """One law of synthetic pairs of a crowded world, or a sweep of such laws."""

    parts = "crowded"  # shown in tables of its own

    n_concepts: int = Field(64, ge=2, description="|C|, concepts that a text has")
    n_varying: int = Field(10, ge=2, description="|V|, concepts that are meant to change")
    max_changed: int = Field(5, ge=2, description="max|S|, most of them that change in one pair")
    d_model: int = Field(24, ge=1, description="embedding dimensions d")
    active: float = Field(1.0, gt=0, le=1, description="share of a text's concepts that are not 0")
    signed: bool = Field(True, description="whether active concepts are N(0, 1); else U(0, 1), none negative")
    single: float = Field(0.2, ge=0, le=1, description="share of training and held-out pairs with one change")
    unintended: float = Field(0.0, ge=0, le=1, description="share of pairs in which one concept outside V changes too")
    sweep: dict[Swept, list[float]] = Field(
        default_factory=dict, description="for each of these fields a world per value, the others as they are"
    )

    @model_validator(mode="after")
    def _possible(self) -> Crowded:
        if not self.max_changed <= self.n_varying <= self.n_concepts:
            raise ValueError("max_changed ≤ n_varying ≤ n_concepts must hold")
        if self.d_model < self.n_varying:
            raise ValueError(f"d_model must be at least n_varying = {self.n_varying}, or shifts are not injective")
        return self

    def worlds(self) -> dict[str, Self]:
        """The laws of `sweep`, such as `active 0.1`; two that are equal, where an axis has the law's own value, are one.

        Raises:
            ValueError: a value cannot be.
        """
        base = self.model_dump(exclude={"sweep"})
        found = {}
        for field, values in self.sweep.items():
            for value in values:
                try:
                    found[f"{field} {value:g}"] = type(self)(**base | {field: value})
                except ValidationError as error:
                    raise ValueError(f"sweep: {field} {value:g}: {error.errors()[0]['msg']}") from None
        return found

    def assumptions(self) -> Assumptions:
        """Subsets of every size up to max_changed, uniform amplitudes: both hold, but for what changes unintended."""
        return Assumptions(self.unintended == 0, True)

    def sample(self, data_seed: int) -> Sample:
        """Draw training, held-out and single-concept pairs, in this order; `shift` has the concepts of V alone."""
        import numpy as np

        rng = np.random.default_rng([self.seed, data_seed])
        matrix = rng.normal(size=(self.d_model, self.n_concepts)) / np.sqrt(self.d_model)
        n = self.n_train + self.n_test
        changed = np.concatenate([supports(self, n, rng), alone(self.n_varying, self.n_single, rng)])
        shift = changed * rng.uniform(0, 1, changed.shape)
        shape = (len(shift), self.n_concepts)
        concepts = rng.normal(size=shape) if self.signed else rng.uniform(0, 1, shape)
        concepts *= rng.random(shape) < self.active
        whole = np.zeros_like(concepts)
        whole[:, : self.n_varying] = shift
        others = self.n_concepts - self.n_varying
        if others:
            surprised = np.flatnonzero(rng.random(n) < self.unintended)  # single-concept pairs stay what they are
            whole[surprised, self.n_varying + rng.integers(others, size=len(surprised))] = rng.uniform(
                0, 1, len(surprised)
            )
        return Sample(concepts @ matrix.T, (concepts + whole) @ matrix.T, shift, matrix[:, : self.n_varying])
