"""What single latents do on a stream of tokens, in constant memory: how often, how strongly, and on which tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from shiftscope.activations.store import Chunk, Store
from shiftscope.evaluation.base import few_at_a_time

LOOKED_AT = 2**18
"""tokens that are looked at: held-out ones first, then of the training stream, both random samples"""
BINS = 32
"""bins of a histogram between zero and the power of two above the largest code"""
TOP = 10
"""contexts that are kept of each latent, one per document"""


def stream(store: Store, most: int = LOOKED_AT) -> Iterator[tuple[str, Chunk]]:
    """The first `most` tokens of a store, those that are held out before those of training, few at a time, with their split."""
    left = most
    for split in ("test", "train"):
        for part in few_at_a_time(store, split):
            if not left:
                return
            some = Chunk(*(column[:left] for column in part))
            left -= len(some.token)
            yield split, some


class Strongest(NamedTuple):
    """Tokens on which a latent is strongest, at most one of each document, strongest first."""

    code: np.ndarray
    document: np.ndarray
    position: np.ndarray
    held: np.ndarray
    """bool: whether it is of a held-out document"""

    def with_others(self, others: Strongest) -> Strongest:
        """The `TOP` of both; of equal codes those of earlier documents."""
        every = Strongest(*(np.concatenate(both) for both in zip(self, others, strict=True)))
        order = np.lexsort((every.position, every.document, -np.abs(every.code)))
        first = np.unique(every.document[order], return_index=True)[1]
        kept = order[np.sort(first)[:TOP]]
        return Strongest(*(column[kept] for column in every))


class Counts:
    """A histogram whose range doubles when a value lies outside, so that nothing but the values decides its bins."""

    def __init__(self) -> None:
        self.exponent: int | None = None
        self.counts = np.zeros(2 * BINS, np.int64)
        """of equal bins from -2^exponent to 2^exponent"""

    def add(self, values: np.ndarray) -> None:
        """Count values `[n]`, none of them zero; n > 0."""
        exponent = math.frexp(float(np.abs(values).max()))[1]
        if self.exponent is None:
            self.exponent = exponent
        while self.exponent < exponent:
            doubled = np.zeros_like(self.counts)
            doubled[BINS // 2 : BINS // 2 + BINS] = self.counts.reshape(BINS, 2).sum(1)
            self.counts, self.exponent = doubled, self.exponent + 1
        place = np.floor(values / 2.0**self.exponent * BINS).astype(int) + BINS
        self.counts += np.bincount(place, minlength=2 * BINS)

    def filled(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges `[bins + 1]` and counts `[bins]` from zero to the last bin that is not empty, on either side of zero."""
        if self.exponent is None:
            return np.zeros(0), np.zeros(0, np.int64)
        full = np.flatnonzero(self.counts)
        first, last = min(full[0], BINS), max(full[-1] + 1, BINS)
        edges = np.arange(first - BINS, last - BINS + 1) * 2.0**self.exponent / BINS
        return edges, self.counts[first:last]


class Activity:
    """What one latent did so far."""

    def __init__(self) -> None:
        self.fired = {"test": 0, "train": 0}
        """tokens on which its code differs from zero"""
        self.histogram = Counts()
        """of held-out tokens"""
        self.strongest = Strongest(np.zeros(0), *(np.zeros(0, np.int64) for _ in "dp"), np.zeros(0, bool))
        self._sum = 0.0

    @property
    def size(self) -> float | None:
        """Mean code that differs from zero; None if none does."""
        fired = sum(self.fired.values())
        return self._sum / fired if fired else None

    def add(self, codes: np.ndarray, split: str, chunk: Chunk) -> None:
        """Codes `[n]` of some tokens of a split."""
        on = np.flatnonzero(codes)
        if not len(on):
            return
        values = codes[on].astype(np.float64)
        self.fired[split] += len(on)
        self._sum += float(values.sum())
        if split == "test":
            self.histogram.add(values)
        here = Strongest(values, chunk.document[on], chunk.position[on], np.full(len(on), split == "test"))
        self.strongest = self.strongest.with_others(here)
