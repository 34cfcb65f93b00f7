"""Reading codes whose directions are known among noise: generalised least squares with a shrunk covariance.

With D the directions `[k, d]` and Σ the noise's covariance the code of a shift is (D Σ⁻¹ Dᵀ)⁻¹ D Σ⁻¹ δz; with one direction in
every pair that is Fisher's discriminant. With few pairs Σ needs shrinkage, Σ + α tr(Σ)/d: α is the one with which codes of
pairs that are left out are read best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""α to choose from"""
FLOOR = 1e-6
"""least mean variance of the noise, relative to that of the shifts: equal shifts have none"""
FOLDS = 5


class Sums(NamedTuple):
    """What of some pairs enters: Σ x xᵀ `[d, d]`, Σ c cᵀ `[k, k]`, Σ c xᵀ `[k, d]`, and how many rows."""

    moment: np.ndarray
    second: np.ndarray
    cross: np.ndarray
    rows: int

    def minus(self, other: Sums) -> Sums:
        """Without the pairs of `other`."""
        return Sums(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


def directions_of(sums: Sums) -> np.ndarray:
    """Least squares `[k, d]`; zero for a code that is in no pair."""
    used = np.diag(sums.second) > 1e-9 * max(float(np.trace(sums.second)), 1e-30)
    found = np.zeros_like(sums.cross)
    found[used] = np.linalg.lstsq(sums.second[np.ix_(used, used)], sums.cross[used], rcond=None)[0]
    return found


def residual(moment: np.ndarray, second: np.ndarray, cross: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Σ E[(x - c D)ᵀ (x - c D)] `[d, d]` from Σ x xᵀ, E[c cᵀ] and E[c] xᵀ, each summed (see `Sums`)."""
    mixed = cross.T @ directions
    return moment - mixed - mixed.T + directions.T @ second @ directions


def encoders(sums: Sums, shrinkages: Sequence[float]) -> list[np.ndarray]:
    """The encoder `[k, d]` at every shrinkage; a code without a direction has a zero one."""
    directions = directions_of(sums)
    noise = residual(sums.moment, sums.second, sums.cross, directions) / max(sums.rows, 1)
    values, vectors = np.linalg.eigh(noise)
    least = FLOOR * float(np.trace(sums.moment)) / max(sums.rows, 1) / len(values)
    typical = max(float(values.clip(0).mean()), least, np.finfo(float).tiny)
    along = directions @ vectors
    live = np.linalg.norm(directions, axis=1) > 0
    found = []
    for shrinkage in shrinkages:
        precise = along / (values.clip(0) + shrinkage * typical)
        encoder = np.zeros_like(directions)
        encoder[live] = np.linalg.pinv(precise[live] @ along[live].T, rcond=1e-9) @ precise[live] @ vectors.T
        found.append(encoder)
    return found


def read(
    shifts: np.ndarray, codes: np.ndarray, whole: Sums, left_out: Callable[[np.ndarray], Sums], group: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Encoder and directions, both `[k, d]`, and the α that was chosen: the largest if no group can be left out.

    Args:
        shifts: δz `[n, d]`, and `codes` `[n, k]`, what is to be read of them.
        codes: see `shifts`.
        whole: the sums of all pairs, and `left_out` those of the groups that it is given.
        left_out: see `whole`.
        group: of each pair `[n]`; a group is left out as a whole.
    """
    groups = np.unique(group)
    fold = np.random.default_rng(0).permutation(len(groups)) % min(FOLDS, len(groups))
    products, squares = np.zeros((2, len(SHRINKAGES), codes.shape[1]))
    for number in range(fold.max() + 1 if len(groups) > 1 else 0):
        out = groups[fold == number]
        rows = np.isin(group, out)
        for place, encoder in enumerate(encoders(whole.minus(left_out(out)), SHRINKAGES)):
            found = shifts[rows] @ encoder.T
            products[place] += (found * codes[rows]).sum(0)
            squares[place] += np.square(found).sum(0)
    score = (products / np.sqrt(np.where(squares > 0, squares, np.inf))) @ (
        1 / np.sqrt(np.maximum(np.square(codes).sum(0), 1e-30))
    )
    best = SHRINKAGES[int(score.argmax())] if len(groups) > 1 else SHRINKAGES[-1]
    return encoders(whole, [best])[0], directions_of(whole), best
