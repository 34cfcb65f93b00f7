"""What is written of steering vectors and of the pairs behind them: `card.json` and the diagnosis (docs/file-formats.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from shiftscope.files import read_json

if TYPE_CHECKING:
    from shiftscope.steering.vectors import VectorFacts

DOSES = (0.5, 1.0, 2.0, 4.0)
"""multiples of a vector"""


class Finding(TypedDict):
    """Where pairs are not what the theory presumes."""

    check: str
    sentence: str
    advice: str


class Diagnosis(TypedDict):
    """What was found of one dataset on one language model (docs/file-formats.md)."""

    lm: str
    dataset: str
    pairs: int
    """training pairs that were looked at"""
    findings: list[Finding]


class StrongPair(TypedDict):
    """A pair that a vector tells most of, as it was given, and how far it goes along it, in lengths of the vector; below 0 against it."""

    text_0: str
    text_1: str
    times: float


class Rival(TypedDict):
    """Another direction of the same length on the same held-out pairs; of random ones the mean and the largest."""

    name: str
    removed: float | None
    forward: float | None
    largest: float | None


class VectorCard(TypedDict):
    """What is known of one vector (docs/file-formats.md)."""

    name: str
    length: float
    pairs: int
    forward: float
    forward_held_out: float | None
    along: float
    """share of all held-out pairs, as given, whose shift has a positive projection on the vector itself"""
    carriers: int
    """held-out pairs that carry it, by the code that training pairs are counted by"""
    measured: int
    """of those that go its way, a random sample on which its effect was measured"""
    energy: float
    """share of the training shifts' energy that lies along it"""
    stability: float | None
    """median over other seeds of the absolute cosine of the one of their vectors that is matched to it; None of what all pairs share"""
    to_mean: float
    """cosine to the mean difference"""
    near: list[tuple[str, float]]
    strongest: list[StrongPair]
    raises: list[str]
    lowers: list[str]
    removed: dict[str, float | None]
    """share of the divergence of the next token's law from that after the second text that each dose removes; below 0 it grows"""
    removed_error: float | None
    """standard error of that at scale 1, over pairs"""
    perplexity: dict[str, float | None]
    """of neutral texts under each dose, as a multiple of that without"""
    rivals: list[Rival]


class VectorsCard(TypedDict):
    """What is known of the vectors of one dataset on one language model."""

    about: VectorFacts
    width: int
    manifest: dict[str, Any]
    held_out: int
    largest_group: int
    perplexity: float | None
    vectors: list[VectorCard]
    unfollowed: list[str]
    """label columns that no vector follows"""
    caveats: list[str]


def read_card(path: Path) -> VectorsCard:
    """What `scripts/describe_vectors.py` wrote."""
    return read_json(path)


def read_diagnosis(path: Path) -> Diagnosis:
    """What `scripts/diagnose_pairs.py` wrote."""
    return read_json(path)
