"""`results/cards`: what is known of single latents of sparse autoencoders, written and read here (docs/file-formats.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from shiftscope.errors import ShiftScopeError
from shiftscope.files import canonical_json, read_json, write_text
from shiftscope.kinds import Strict


class OnConcept(Strict):
    """A latent against the logit of a concept's probe, over the held-out half of the concept's words."""

    dataset: str
    concept: str
    correlation: float
    """signed: above 0 it is larger for words after than before"""
    words: int
    """over how many; of few, any latent may correlate strongly"""


class MatchedTo(OnConcept):
    """The concept to which a latent was matched."""

    pcc_heldout: float
    """the score of the table: the correlation in the direction that it has on the half that chose"""


class Histogram(Strict):
    """Codes that differ from zero, over held-out tokens: `counts[i]` lie in `[edges[i], edges[i + 1])`; both may be empty."""

    edges: list[float]
    counts: list[int]


class TopContext(Strict):
    """One of the tokens on which a latent is strongest, the only one of its document."""

    before: str
    token: str
    after: str
    code: float
    split: Literal["train", "test"]
    document: int
    """row of the corpus"""
    position: int
    """tokens of the document before this one"""


class TokenChange(Strict):
    """What a latent's direction does to one next token."""

    id: int
    token: str
    change: float
    """in the unit of the file"""


class Card(Strict):
    """One latent."""

    latent: int
    matched: list[MatchedTo]
    nearest: OnConcept
    """whose probe's logit it correlates with most strongly, of all concepts"""
    active: int
    """held-out tokens on which its code differs from zero"""
    frequency: float
    """the same as a share of all that were looked at"""
    size: float | None
    """mean of its codes that differ from zero, over all tokens that were looked at; none if it never fired"""
    histogram: Histogram
    contexts: list[TopContext]
    """strongest first"""
    raised: list[TokenChange]
    """next tokens, by `size` times its decoder direction, most changed first; empty without a size"""
    lowered: list[TokenChange]


class VariantCards(Strict):
    """The cards of one autoencoder."""

    variant: str
    kind: str
    codes: int
    params: dict[str, Any]
    """its setting"""
    seed: int
    unmatched: list[str]
    """concepts, as `dataset: concept`, for which there was no latent left"""
    cards: list[Card]


class Effect(Strict):
    """How `change` of next tokens was found."""

    unit: Literal["logits", "nats"]
    """logits: the unembedding times the direction; nats: mean change of log-probability, measured"""
    tokens: int
    """on which it was measured, 0 if it was computed"""


class Cards(Strict):
    """All cards of one language model on one store of activations."""

    lm: str
    layer: str
    dataset: str
    corpus: str
    looked_at: dict[str, int]
    """tokens of each split; frequencies and histograms are of `test` alone"""
    effect: Effect
    words: dict[str, list[str]]
    """the concepts of every dataset of words, in its order"""
    variants: list[VariantCards]


def write_cards(path: Path, cards: Cards) -> None:
    """Write cards as JSON without spaces, atomically: a small file, whose content Snakemake compares."""
    write_text(path, canonical_json(cards.model_dump(mode="json")) + "\n")


def read_cards(path: Path) -> Cards:
    """Read what `write_cards` wrote.

    Raises:
        ShiftScopeError: it is not that; names the file and the first place.
    """
    try:
        return Cards.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ShiftScopeError(
            f"{path} holds no cards of latents ({where}: {first['msg']}): delete it, and `make run` makes it again"
        ) from error
