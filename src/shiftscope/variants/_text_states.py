"""Texts as states of a few concepts: which texts pairs share, and the mixture that explains their shifts.

A text's embedding is z = m + s D + e: what it shares with the texts that it is paired with, the states s ∈ {-1, 0, 1}^k of
its concepts relative to the first of these, and noise e of its own. So the shift of a pair is c D + e' - e with c the
difference of two states, and the noise of a text is in every pair that has it: pairs that share texts tell more together
than alone, and codes around a circle of pairs add up to zero.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

from shiftscope.pair_embeddings import components
from shiftscope.variants._discriminant import residual

MOST_STATES = 20_000
"""joint states of the texts of a component that are enumerated; with more of them, or none, its pairs stand alone"""


ALONE = ((0, 1),)
"""the links of a pair that shares no text"""


class Family(NamedTuple):
    """Components of texts whose pairs link them alike. Shifts and states are decorrelated: the noise of rows is independent.

    `shifts` `[g, t, d]` and `states` `[q, t, k]` are of the t texts other than the component's first, relative to it;
    `codes` `[q, e]` numbers the pattern of each of its e pairs, `rows` `[g, e]` the pairs.
    """

    shifts: np.ndarray
    states: np.ndarray
    codes: np.ndarray
    rows: np.ndarray

    def some(self, which: np.ndarray) -> Family:
        """The components `which`, bool `[g]`."""
        return self._replace(shifts=self.shifts[which], rows=self.rows[which])


def patterns(n_codes: int) -> np.ndarray:
    """All codes of a pair `[3^k - 1, k]`: every concept falls, stays or rises, and one at least does not stay."""
    return np.array([code for code in itertools.product((-1, 0, 1), repeat=n_codes) if any(code)], float)


def families(shifts: np.ndarray, texts: np.ndarray | None, n_codes: int) -> list[Family]:
    """The components of pairs by how they are linked; one that has no states, or too many, is taken apart into its pairs.

    A triangle has none with one code, for a concept of two values cannot change three times around it.

    Args:
        shifts: δz `[n, d]`; texts: the numbers of the two texts of each pair `[n, 2]`, None: all differ.
        n_codes: k.
    """
    shapes: dict[tuple, list[tuple[np.ndarray, list[int]]]] = {}
    alone = np.arange(len(shifts)) if texts is None else components(texts)
    for rows in np.split(np.argsort(alone, kind="stable"), np.flatnonzero(np.diff(np.sort(alone))) + 1):
        ends = ALONE if texts is None or len(rows) == 1 else texts[rows].tolist()
        links = _links(ends)
        if len(_states(links, n_codes)[0]):
            shapes.setdefault(links, []).append((_relative(shifts[rows], links), rows.tolist()))
        else:
            shapes.setdefault(ALONE, []).extend((_relative(shifts[[row]], ALONE), [row]) for row in rows.tolist())
    return [_family(those, *_states(links, n_codes)) for links, those in shapes.items()]


def _family(those: list[tuple[np.ndarray, list[int]]], states: np.ndarray, codes: np.ndarray) -> Family:
    """Components of equal links, decorrelated."""
    decorrelate = np.linalg.inv(np.linalg.cholesky(np.eye(states.shape[1]) + 1))
    relative = np.stack([relative for relative, _ in those])
    return Family(
        np.einsum("st,gtd->gsd", decorrelate, relative),
        np.einsum("st,qtk->qsk", decorrelate, states),
        codes,
        np.array([members for _, members in those]),
    )


def _links(ends: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The pairs of a component with its texts numbered from 0 in the order in which they come."""
    place: dict[int, int] = {}
    for text in itertools.chain.from_iterable(ends):
        place.setdefault(text, len(place))
    return tuple((place[first], place[second]) for first, second in ends)


def _relative(shifts: np.ndarray, links: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The shifts `[t, d]` from a component's first text to its others, along its pairs' `[e, d]`."""
    texts = max(itertools.chain.from_iterable(links)) + 1
    known = {0: np.zeros(shifts.shape[1])}
    while len(known) < texts:
        for (first, second), shift in zip(links, shifts.astype(float), strict=True):
            if first in known and second not in known:
                known[second] = known[first] + shift
            elif second in known and first not in known:
                known[first] = known[second] - shift
    return np.stack([known[text] for text in range(1, texts)])


@functools.cache
def _states(links: tuple[tuple[int, int], ...], n_codes: int) -> tuple[np.ndarray, np.ndarray]:
    """Joint states `[q, t, k]` of the texts beside the first for which every pair has a pattern, and these `[q, e]`."""
    texts = max(itertools.chain.from_iterable(links))
    if texts > 1 and 3 ** (n_codes * texts) > MOST_STATES:
        return np.empty((0, texts, n_codes)), np.empty((0, len(links)), int)
    known = patterns(n_codes)
    number = {tuple(pattern): place for place, pattern in enumerate(known)}
    values = np.concatenate([np.zeros((1, n_codes)), known])
    states, codes = [], []
    for choice in itertools.product(range(len(values)), repeat=texts):
        state = np.concatenate([np.zeros((1, n_codes)), values[list(choice)]])
        found = [number.get(tuple(state[second] - state[first])) for first, second in links]
        if None not in found:
            states.append(state[1:])
            codes.append(found)
    return np.array(states), np.array(codes)


def rows_of(those: list[Family]) -> np.ndarray:
    """The decorrelated shifts of all texts `[n, d]`."""
    return np.concatenate([one.shifts.reshape(-1, one.shifts.shape[2]) for one in those])


class Mixture(NamedTuple):
    """A mixture in `r` dimensions: `likelihood` (nats per text), `directions` `[k, r]`, `weights` of patterns, `noise` `[r, r]`."""

    likelihood: float
    directions: np.ndarray
    weights: np.ndarray
    noise: np.ndarray
    shares: list[np.ndarray]
    """by family the posterior of its joint states `[g, q]`"""


def fit(those: list[Family], start: np.ndarray, penalty: np.ndarray, floor: float, steps: int) -> Mixture:
    """EM from the directions `start` `[k, r]`; `penalty` is the log prior of each pattern, `floor` is added to noise variances."""
    rows = rows_of(those)
    moment, weights = rows.T @ rows, np.exp(penalty) / np.exp(penalty).sum()
    directions, noise = start, moment / len(rows)
    for step in range(steps + 1):
        likelihood, shares = posterior(those, directions, weights, noise, floor)
        if step == steps:
            break
        second, cross, counts = sufficient(those, shares, len(penalty))
        directions = np.linalg.solve(second + 1e-6 * np.eye(len(second)), cross)
        noise = residual(moment, second, cross, directions) / len(rows)
        weights = counts * np.exp(penalty)
        weights /= weights.sum()
    return Mixture(sum(each.sum() for each in likelihood) / len(rows), directions, weights, noise, shares)


def posterior(
    those: list[Family], directions: np.ndarray, weights: np.ndarray, noise: np.ndarray, floor: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """By family the log-likelihood of its components `[g]` and the posterior of their joint states `[g, q]`."""
    whitener, volume = whitening(noise, floor)
    likelihood, shares = [], []
    log_weights = np.log(weights + 1e-300)
    for one in those:
        prior = log_weights[one.codes].sum(1)
        prior = prior - np.logaddexp.reduce(prior)
        shifts, means = one.shifts @ whitener, one.states @ (directions @ whitener)
        joint = prior - np.square(means).sum((1, 2)) / 2 + _flat(shifts) @ _flat(means).T
        top = joint.max(1, keepdims=True)
        share = np.exp(joint - top)
        total = share.sum(1)
        shares.append(share / total[:, None])
        energy = np.square(shifts).sum((1, 2)) / 2
        likelihood.append(top[:, 0] + np.log(total) - energy - shifts.shape[1] * volume)
    return likelihood, shares


def whitening(noise: np.ndarray, floor: float) -> tuple[np.ndarray, float]:
    """The map `[r, r]` that whitens noise of this covariance plus `floor`, and half the logarithm of its determinant."""
    values, vectors = np.linalg.eigh(noise)
    values = values.clip(0) + floor
    return vectors / np.sqrt(values), float(np.log(values).sum() / 2)


def sufficient(
    those: list[Family], shares: list[np.ndarray], n_patterns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected E[s sᵀ] `[k, k]`, E[s] xᵀ `[k, d]`, and how often each pattern occurs `[p]`, summed over all texts."""
    second, cross, counts = 0.0, 0.0, np.zeros(n_patterns)
    for one, share in zip(those, shares, strict=True):
        each, states = share.sum(0), one.states.reshape(-1, one.states.shape[2])
        second = second + (states * np.repeat(each, one.states.shape[1])[:, None]).T @ states
        expected = (share @ _flat(one.states)).reshape(-1, states.shape[1])
        cross = cross + expected.T @ one.shifts.reshape(len(expected), one.shifts.shape[2])
        for pair in one.codes.T:
            counts += np.bincount(pair, each, n_patterns)
    return second, cross, counts


def _flat(many: np.ndarray) -> np.ndarray:
    """Each of many arrays as one row: `einsum` plans every product anew, which takes longer than these small ones."""
    return many.reshape(len(many), many.shape[1] * many.shape[2])
