"""Shrinkage whitening: directions of large variance no longer drown the small ones, noise is not made as loud as both."""

from typing import NamedTuple

import numpy as np


class Whitening(NamedTuple):
    """`inputs` `[n, r]` = shifts @ `forward`; `forward` `[d, r]` whitens, `backward` `[r, d]` maps decoder rows back."""

    inputs: np.ndarray
    forward: np.ndarray
    backward: np.ndarray


def whiten(
    shifts: np.ndarray, n_codes: int, shrinkage: float, max_rank: int, moment: np.ndarray | None = None
) -> Whitening:
    """PCA of the uncentred second moment, each direction scaled by 1/√(w + λ w_max).

    With `shrinkage` λ = 0 only the `n_codes` leading directions are kept (exact, low-rank data); with λ > 0 up to
    `max_rank` of them, because differences of language-model embeddings are not low-rank and whitening them all
    alike makes noise as loud as concepts.

    Args:
        shifts: δz `[n, d]`.
        n_codes: code size k.
        shrinkage: λ, relative to the largest eigenvalue.
        max_rank: largest r.
        moment: the mean of δz δzᵀ `[d, d]`, if it is known (`TrainingPairs.moment`).
    """
    if moment is None:
        moment = shifts.T.astype(np.float64) @ shifts / len(shifts)
    eigenvalues, vectors = np.linalg.eigh(moment)
    eigenvalues, vectors = eigenvalues[::-1].clip(0), vectors[:, ::-1]
    vectors = vectors * np.where(vectors.sum(0) < 0, -1.0, 1.0)  # an eigenvector's sign is arbitrary: fix it
    rank = min(int((eigenvalues > 1e-9 * eigenvalues[0]).sum()), n_codes if shrinkage == 0 else max_rank)
    scale = np.sqrt(eigenvalues[:rank] + shrinkage * eigenvalues[0])
    forward, backward = vectors[:, :rank] / scale, (vectors[:, :rank] * scale).T
    return Whitening(shifts.astype(np.float32, copy=False) @ forward.astype(np.float32), forward, backward)


def residual_floor(inputs: np.ndarray, n_codes: int) -> float:
    """The share of `inputs`' energy `[n, r]` that the best `n_codes` directions cannot reconstruct (PCA, closed form)."""
    energy = np.linalg.eigvalsh(inputs.T.astype(np.float64) @ inputs)[::-1]
    return float(energy[n_codes:].sum() / energy.sum())
