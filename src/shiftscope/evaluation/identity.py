"""Rows of the identity check of paper B: A·W over the concepts of word pairs, as published and held out, with permuted labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Row, common
from shiftscope.kinds import Strict
from shiftscope.metrics import identity
from shiftscope.pair_embeddings import PairEmbeddings, components

logger = logging.getLogger(__name__)

HALVINGS, PERMUTED_HALVINGS = 3, 2
"""random halves of the words, each a value of the scores held out; and of the words with permuted labels"""
LEAST = 2
"""components of words of a concept below which it cannot be halved"""


class Sides(NamedTuple):
    """The pairs of one concept."""

    name: str
    before: np.ndarray
    """`[n, d]`"""
    after: np.ndarray
    component: np.ndarray
    """`[n]`: pairs that share a word have one number"""

    def some(self, which: np.ndarray) -> Sides:
        """The pairs `which`."""
        return self._replace(before=self.before[which], after=self.after[which], component=self.component[which])

    def permuted(self, seed: int) -> Sides:
        """With the two sides of a random half of the components exchanged: no label means anything."""
        back = np.random.default_rng(seed).random(self.component.max() + 1) < 0.5
        swapped = back[self.component][:, None]
        both = np.where(swapped, self.after, self.before), np.where(swapped, self.before, self.after)
        return self._replace(before=both[0], after=both[1])


def sides_of(data: PairEmbeddings) -> list[Sides]:
    """The pairs of every concept of a dataset, turned so that its value rises.

    Raises:
        ShiftScopeError: a pair changes several concepts or none, or a concept has no pair; names it.
    """
    name = data.facts["primary_truth"]
    truth, names = data.truths[name][0], data.facts["truths"][name]
    rows = np.concatenate([data.rows("train"), data.rows("test")])
    changes = truth[rows]
    if not ((changes != 0).sum(1) == 1).all():
        raise ShiftScopeError(f"{data.facts['dataset']}: the identity check needs pairs that change one concept each")
    found = []
    for column, concept in enumerate(names):
        mine = rows[changes[:, column] != 0]
        if not len(mine):
            raise ShiftScopeError(
                f"{data.facts['dataset']}: concept {concept!r} has no pairs: give it some, or leave it out"
            )
        up = truth[mine, column][:, None] > 0
        both = data.embedding_0[0, mine], data.embedding_1[0, mine]
        texts = np.arange(2 * len(mine)).reshape(-1, 2) if data.text is None else data.text[:, mine].T
        found.append(Sides(concept, np.where(up, *both), np.where(up, *both[::-1]), components(texts)))
    return found


class IdentitySlice(Strict):
    """The slice of the config: of a checkpoint the language model whose it is, and the step."""

    of: str | None = None
    step: int | None = None


def evaluate(data: PairEmbeddings, of: str | None = None, step: int | None = None) -> list[Row]:
    """Rows of one dataset of words on one language model.

    Those of its untrained twin are a control, and those of a checkpoint of `of` that model's at a `step`: they have none of their
    own.
    """
    base = common(data, data.facts["dataset"], "test") | {"codes": 0}
    if of:
        base |= {"lm": of, "step": step}
    concepts = sides_of(data)
    rows = [base | row for row in _rows(concepts)]
    if not (data.facts["untrained_of"] or of):
        permuted = [one.permuted(number) for number, one in enumerate(concepts)]
        rows += [
            base | row | {"control": "permuted_labels"}
            for row in _rows(permuted, PERMUTED_HALVINGS)
            if "concept_2" not in row
        ]
    return rows


def _rows(concepts: list[Sides], halvings: int = HALVINGS) -> Iterator[Row]:
    names = [one.name for one in concepts]
    directions = np.stack([identity.mean_difference(one.before, one.after) for one in concepts])
    weights = np.stack([identity.probe_weights(one.before, one.after, None) for one in concepts])
    products = directions @ weights.T
    about = {"split": "train"}
    yield from _cells(identity.IDENTITY.name, names, products, about)
    yield from _scores(identity.IDENTITY_TOP.name, names, identity.top(products), about)
    yield from _scores(identity.IDENTITY_GAP.name, names, identity.gap(products), about)
    whole = [one for one in concepts if one.component.max() + 1 >= LEAST]
    for one in concepts:
        if one.component.max() + 1 < LEAST:
            logger.warning(
                "concept %s: all of its pairs share words, so they cannot be halved: left out of A·W held out", one.name
            )
    for seed in range(halvings if len(whole) > 1 else 0):
        yield from _held_out(whole, seed)


def _held_out(concepts: list[Sides], seed: int) -> Iterator[Row]:
    """Differences of one half of each concept's words against probes of the other."""
    names = [one.name for one in concepts]
    halves = [_half(one, seed, number) for number, one in enumerate(concepts)]
    first = [one.some(half) for one, half in zip(concepts, halves, strict=True)]
    second = [one.some(~half) for one, half in zip(concepts, halves, strict=True)]
    directions = np.stack([identity.mean_difference(one.before, one.after) for one in first])
    chosen = np.stack([identity.probe_weights(one.before, one.after, one.component) for one in second])
    source = np.stack([identity.probe_weights(one.before, one.after, None) for one in second])
    products = directions @ chosen.T
    about = {"split": "test", "seed": seed}
    yield from _cells(identity.IDENTITY_HELDOUT.name, names, products, about)
    yield from _scores(identity.IDENTITY_TOP_HELDOUT.name, names, identity.top(products), about)
    yield from _scores(identity.IDENTITY_GAP_HELDOUT.name, names, identity.gap(products), about)
    yield from _scores(identity.IDENTITY_GAP_SOURCE_C.name, names, identity.gap(directions @ source.T), about)


def _half(one: Sides, seed: int, number: int) -> np.ndarray:
    """Which pairs are of the first half, bool `[n]`: half of the components at random, at least one of each side."""
    count = one.component.max() + 1
    order = np.random.default_rng([seed, number]).permutation(count)
    return np.isin(one.component, order[: count // 2])


def _cells(metric: str, names: list[str], products: np.ndarray, about: Row) -> Iterator[Row]:
    for row, concept in enumerate(names):
        for column, other in enumerate(names):
            value = float(products[row, column])
            yield about | {"metric": metric, "concept": concept, "concept_2": other, "value": value}


def _scores(metric: str, names: list[str], values: np.ndarray, about: Row) -> Iterator[Row]:
    for concept, value in zip(names, values, strict=True):
        yield about | {"metric": metric, "concept": concept, "value": float(value)}
