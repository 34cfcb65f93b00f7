"""Two cosine scores of steering, the published one and one that holds out what it fits (paper A, Sec. 3 and Fig. 2).

Both compare the embedding z̃ of the target text with the steered embedding of the source text, over held-out pairs in
which one concept changes.
"""

from typing import NamedTuple

import numpy as np

from shiftscope.metrics.base import Metric

COSINE_PUBLISHED = Metric(
    "cosine_published", "cosine, as published",
    "Cosine between target and steered embedding with the best column chosen anew for every pair, as the authors' code "
    "does it; choosing inflates it. Signs of columns, which are arbitrary, are fixed on one half of the pairs.",
    "seed × concept", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
COSINE_PUBLISHED_SD = Metric(
    "cosine_published_sd",
    "cosine_published_sd",
    "Standard deviation over pairs of `cosine_published`.",
    "seed × concept",
)
COSINE_HELDOUT = Metric(
    "cosine_heldout", "cosine, held out",
    "Direction, sign and scale are chosen on one half of the single-concept pairs and scored on the other.",
    "seed × concept", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
COSINE_HELDOUT_SD = Metric(
    "cosine_heldout_sd", "cosine_heldout_sd", "Standard deviation over pairs of `cosine_heldout`.", "seed × concept"
)


class Score(NamedTuple):
    """Mean and standard deviation of the cosine over pairs, and how many pairs."""

    mean: float
    sd: float
    pairs: int


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


def _score(cosines: np.ndarray) -> Score:
    return Score(float(cosines.mean()), float(cosines.std(ddof=1)) if len(cosines) > 1 else 0.0, len(cosines))


def turned(source: np.ndarray, target: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Directions `[k, d]`, each with the sign for which the mean projection of δz on it is not negative.

    A learned sign is arbitrary, and with one direction it alone decided `cosine_published`: .93 or -.11 on grammar_lang,
    by the seed.

    Args:
        source: z `[n, d]` of the pairs that signs are fixed on; target: z̃ `[n, d]`.
        directions: see above.
    """
    along = directions.astype(np.float64) @ (target.astype(np.float64) - source).mean(0)
    return directions * np.where(along < 0, -1, 1)[:, None].astype(directions.dtype)


def cosine_published(
    source: np.ndarray, target: np.ndarray, directions: np.ndarray, decoder_bias: np.ndarray | None = None
) -> Score:
    """The authors' score: z and z̃ unit-normalised, the best direction of each pair.

    cosine(z̃, z + direction + bias / ‖bias‖), maximised **per pair over all directions**: a method with more
    directions has more to choose from, so a random dictionary of equal size belongs beside it. Signs count: see
    `turned`.

    Args:
        source: z `[n, d]`; target: z̃ `[n, d]`.
        directions: unit decoder directions `[k, d]`.
        decoder_bias: `[d]` or None.
    """
    source, target = _unit(source.astype(np.float64)), _unit(target.astype(np.float64))
    offset = 0.0 if decoder_bias is None or not decoder_bias.any() else _unit(decoder_bias.astype(np.float64))
    moved = directions.astype(np.float64) + offset
    # cosine(t, s + m) = (t·s + t·m) / |s + m|, without forming the [n, k, d] array of steered embeddings
    numerator = (target * source).sum(1)[:, None] + target @ moved.T
    square = 1 + 2 * source @ moved.T + np.square(moved).sum(1)[None]
    return _score((numerator / np.sqrt(np.maximum(square, 1e-12))).max(1))


class Fitted(NamedTuple):
    """Which direction steers a concept, its sign, and the scale by which it is added."""

    direction: int
    scale: float


def fit_direction(source: np.ndarray, target: np.ndarray, directions: np.ndarray) -> Fitted:
    """The direction, sign and scale with the highest mean cosine on the given pairs.

    For each unit direction the scale is the mean projection of δz on it (least squares; its sign comes with it).
    """
    source, target, directions = (array.astype(np.float64) for array in (source, target, directions))
    scales = directions @ (target - source).mean(0)
    # cosine(t, s + a v) = (t·s + a t·v) / (|t| |s + a v|), without forming the [n, k, d] array of steered embeddings
    numerator = (target * source).sum(1)[:, None] + scales * (target @ directions.T)
    norms = np.square(directions).sum(1)
    square = np.square(source).sum(1)[:, None] + 2 * scales * (source @ directions.T) + scales**2 * norms
    cosines = numerator / (np.linalg.norm(target, axis=1)[:, None] * np.sqrt(np.maximum(square, 1e-12)))
    best = int(np.argmax(cosines.mean(0)))
    return Fitted(best, float(scales[best]))


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (_unit(left.astype(np.float64)) * _unit(right)).sum(1)


def cosine_heldout(source: np.ndarray, target: np.ndarray, fit: np.ndarray, directions: np.ndarray) -> Score:
    """cosine(z̃, z + scale · direction), fitted on the pairs where `fit` is True, scored on the others.

    z is not normalised; every method is fitted alike. The two halves must not share a group (word, combination).

    Args:
        source: z `[n, d]`; target: z̃ `[n, d]`; fit: bool `[n]`.
        directions: unit decoder directions `[k, d]`.
    """
    best = fit_direction(source[fit], target[fit], directions)
    return cosine_moved(source[~fit], target[~fit], best, directions)


def cosine_moved(source: np.ndarray, target: np.ndarray, best: Fitted, directions: np.ndarray) -> Score:
    """cosine(z̃, z + scale · direction) of pairs, for a direction and scale that were fitted on others."""
    return _score(_cosines(target, source + best.scale * directions[best.direction].astype(np.float64)))


def no_steering(source: np.ndarray, target: np.ndarray) -> Score:
    """cosine(z̃, z): what doing nothing scores, already high."""
    return _score(_cosines(target, source))


def halves(group: np.ndarray, seed: int = 0) -> np.ndarray:
    """Which pairs belong to the fitting half, by group: bool `[n]`; one group alone cannot be halved and gives all False."""
    groups = np.unique(group)
    shuffled = np.random.default_rng(seed).permutation(groups)
    return np.isin(group, shuffled[: len(groups) // 2])
