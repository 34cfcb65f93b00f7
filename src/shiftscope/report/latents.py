"""The page of latents: a card for each that was matched to a concept, in one self-contained HTML file."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shiftscope.evaluation.card_file import Card, Cards, Histogram, VariantCards, read_cards
from shiftscope.report.templating import FOLDER, environment, static
from shiftscope.tables.numbers import number

LATENT_TEMPLATES = [FOLDER / name for name in ("latents.html", "head.html", "page.css", "latents.css", "latents.js")]
"""files the page is made of besides Python: a rule that writes it declares them as its code"""
AT_ONCE = 5
"""contexts of a latent that are shown before one asks for the others"""
HEIGHT = 40
"""of a histogram's largest bar, in the units of its drawing"""
SIGNS = {"\n": "↵", "\t": "⇥", " ": "␣", "\x7f": "␡"}
"""what is shown of characters that cannot be seen"""


class Bars(NamedTuple):
    """A histogram as it is drawn."""

    heights: list[float]
    """from 0 to `HEIGHT`; of a bin with any code at least 1"""
    low: str
    high: str
    words: str
    """the same for those who cannot see it"""


class ShownCard(NamedTuple):
    """A card as the page shows it."""

    anchor: str
    card: Card
    concepts: list[int]
    """numbers of the concepts to which it was matched"""
    frequency: str
    bars: Bars | None
    nearest_is_match: bool


class ShownVariant(NamedTuple):
    """The cards of one autoencoder."""

    anchor: str
    about: VariantCards
    setting: str
    cards: list[ShownCard]


class ShownStore(NamedTuple):
    """All cards of one language model on one store."""

    anchor: str
    about: Cards
    held_out: str
    looked_at: str
    variants: list[ShownVariant]
    matrix: list[tuple[str, list[ShownCard | None]]]
    """by concept the card of every variant"""


def render_latents(files: Sequence[Path], page: Path, report: Path) -> str:
    """The page as HTML text.

    Args:
        files: cards, as `shiftscope.evaluation.card_file.write_cards` writes them.
        page: where the page will stand; links are relative to it.
        report: where the report stands.

    Raises:
        ShiftScopeError: a file holds no cards.
    """
    found = [read_cards(file) for file in sorted(files)]
    datasets = {dataset for store in found for dataset in store.words}
    named = ((dataset, name) for store in found for dataset, names in store.words.items() for name in names)
    concepts = {name: place for place, name in enumerate(dict.fromkeys(itertools.starmap(_concept, named)))}
    stores = [_store(store, place, concepts) for place, store in enumerate(found)]
    filters = (visible, token, number, grouped, signed, significant)
    filled = environment()
    filled.filters |= {one.__name__: one for one in filters} | {
        "concept": _concept_of,
        "short": lambda name: name.partition(": ")[2] if len(datasets) == 1 else name,
    }
    return filled.get_template("latents.html").render(
        stores=stores,
        concepts=concepts,
        variants=list(dict.fromkeys(one.about.variant for store in stores for one in store.variants)),
        lms=list(dict.fromkeys(store.about.lm for store in stores)),
        total=sum(len(one.cards) for store in stores for one in store.variants),
        at_once=AT_ONCE,
        height=HEIGHT,
        report=os.path.relpath(report, page.parent),
        style="\n".join(static(name) for name in ("page.css", "latents.css")),
        script=static("latents.js"),
    )


def _concept(dataset: str, concept: str) -> str:
    return f"{dataset}: {concept}"


def _concept_of(one: Any) -> str:
    """The concept of a match, for a template."""
    return _concept(one.dataset, one.concept)


def _store(about: Cards, place: int, concepts: dict[str, int]) -> ShownStore:
    anchor = f"store-{place}"
    variants = [
        _variant(one, f"{anchor}-{number}", about.looked_at["test"], concepts)
        for number, one in enumerate(about.variants)
    ]
    here = [{_concept_of(one): card for card in shown.cards for one in card.card.matched} for shown in variants]
    rows = [(name, [cards.get(name) for cards in here]) for name in concepts]
    held, more = (about.looked_at[split] for split in ("test", "train"))
    looked_at = f"{grouped(held)} held-out" + (f" and {grouped(more)} training tokens" if more else " tokens")
    shown_rows = [(name, cards) for name, cards in rows if any(cards)]
    return ShownStore(anchor, about, f"{grouped(held)} tokens", looked_at, variants, shown_rows)


def _variant(about: VariantCards, anchor: str, held_out: int, concepts: dict[str, int]) -> ShownVariant:
    cards = [
        ShownCard(
            f"{anchor}-{card.latent}", card, [concepts[_concept_of(one)] for one in card.matched],
            percent(card.active, held_out), bars(card.histogram),
            _concept_of(card.nearest) in map(_concept_of, card.matched),
        )
        for card in sorted(about.cards, key=lambda card: concepts[_concept_of(card.matched[0])])
    ]  # fmt: skip
    setting = ", ".join(f"{name} {value}" for name, value in sorted(about.params.items()) if value is not None)
    return ShownVariant(anchor, about, setting, cards)


def bars(histogram: Histogram) -> Bars | None:
    """A histogram as bars; None if it is empty."""
    if not histogram.counts:
        return None
    total, largest = sum(histogram.counts), max(histogram.counts)
    heights = [round(max(HEIGHT * n / largest, 1.0), 1) if n else 0.0 for n in histogram.counts]
    edges = [significant(edge) for edge in histogram.edges]
    peak = histogram.counts.index(largest)
    words = (
        f"Histogram of {grouped(total)} codes from {edges[0]} to {edges[-1]}; most, {grouped(largest)}, are from "
        f"{edges[peak]} to {edges[peak + 1]}"
    )
    return Bars(heights, edges[0], edges[-1], words)


def percent(part: int, whole: int) -> str:
    """A share in per cent with two digits that mean something, however small.

    >>> percent(1, 3), percent(7, 60000), percent(0, 5)
    ('33 %', '0.012 %', '0 %')
    """
    return f"{significant(100 * part / whole, 2)} %"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many digits that mean something, a true minus sign, and no exponent unless it is very small."""
    return (
        f"{value:.{digits}g}".replace("-", "−", 1)
        if abs(value) < 10**digits
        else grouped(round(value)).replace("-", "−")
    )


def signed(value: float) -> str:
    """A change with its sign."""
    return ("+" if value > 0 else "") + significant(value)


def grouped(value: int) -> str:
    """A whole number with its thousands apart.

    >>> grouped(40000)
    '40,000'
    """
    return f"{value:,}"


def visible(text: str) -> str:
    """A text of the corpus in which nothing is hidden: line ends, control and formatting characters have a sign.

    Those that turn the direction of writing, or join what stands beside them, would change what is read around them.
    """
    return "".join(_sign(character) for character in text)


def _sign(character: str) -> str:
    if character in SIGNS and character != " ":
        return SIGNS[character]
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
    return f"⟨U+{ord(character):04X}⟩" if hidden else character


def token(text: str) -> str:
    """A token by itself: as `visible`, and the spaces at its ends have a sign, too; of an empty text a word."""
    bare = text.strip(" ")
    ahead = len(text) - len(text.lstrip(" "))
    behind = len(text) - len(bare) - ahead if bare else 0
    return SIGNS[" "] * ahead + visible(bare) + SIGNS[" "] * behind or "(nothing)"
