"""The page of steering vectors: what each rests on, what it does and how it compares, in one self-contained HTML file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from shiftscope.evaluation.vector_card_file import DOSES, Diagnosis, VectorCard, VectorsCard, read_card, read_diagnosis
from shiftscope.report.templating import FOLDER, environment, static
from shiftscope.report.vector_readme import share

VECTOR_TEMPLATES = [FOLDER / name for name in ("vectors.html", "head.html", "page.css", "latents.css")]
"""files the page is made of besides Python: a rule that writes it declares them as its code"""
WIDTH, HEIGHT = 150, 44
"""of a curve's drawing"""


class Curve(NamedTuple):
    """A quantity over doses as it is drawn."""

    title: str
    points: str
    dots: list[tuple[float, float]]
    base: float
    """height of the line that stands for no effect"""
    words: str
    """the same for those who cannot see it"""


class ShownVectors(NamedTuple):
    """The vectors of one dataset on one language model."""

    anchor: str
    card: VectorsCard
    diagnosis: Diagnosis
    file: str
    path: str
    curves: list[list[Curve]]
    """of each vector"""


def render_vectors(
    cards: Sequence[Path],
    diagnoses: Sequence[Path],
    vectors: Sequence[Path],
    figure: Sequence[Path],
    page: Path,
    report: Path,
) -> str:
    """The page as HTML text.

    Args:
        cards: what `scripts/describe_vectors.py` writes.
        diagnoses: what was said of the same datasets before training.
        vectors: the files that the cards are about.
        figure: the SVG of gain and agreement over numbers of codes, if there is one.
        page: where the page will stand; links are relative to it.
        report: where the report stands.
    """
    shown = [
        _shown(read_card(card), read_diagnosis(diagnosis), file, page)
        for card, diagnosis, file in zip(cards, diagnoses, vectors, strict=True)
    ]
    filled = environment()
    filled.filters |= {"share": share, "plain": _plain, "token": _token}
    return filled.get_template("vectors.html").render(
        places=shown,
        figure=figure[0].read_text(encoding="utf-8") if figure else "",
        report=os.path.relpath(report, page.parent),
        width=WIDTH,
        height=HEIGHT,
        style=static("page.css") + "\n" + static("latents.css"),
    )


def _shown(card: VectorsCard, diagnosis: Diagnosis, file: Path, page: Path) -> ShownVectors:
    anchor = f"{card['about']['lm']}-{card['about']['dataset']}".replace("@", "-")
    link = os.path.relpath(file, page.parent)
    return ShownVectors(anchor, card, diagnosis, link, str(file.parent), [_curves(one) for one in card["vectors"]])


def _curves(one: VectorCard) -> list[Curve]:
    removed = [one["removed"][str(dose)] for dose in DOSES]
    found = []
    if all(value is not None for value in removed):
        drawn = [max(value, -1.0) for value in removed]
        found.append(_curve("KL removed", [0.0, *drawn], 0.0, [share(value) for value in removed]))
    perplexity = [one["perplexity"][str(dose)] for dose in DOSES]
    if any(value is None for value in perplexity):
        return found
    heights = [min(math.log10(max(value, 1e-3)), 3.0) for value in perplexity]
    return [*found, _curve("perplexity", [0.0, *heights], 0.0, [f"×{value:.3g}" for value in perplexity])]


def _curve(title: str, values: Sequence[float], base: float, told: list[str]) -> Curve:
    """Values at doses 0 and `DOSES`; the axis holds `base` and at least as much above it."""
    low, high = min(base, *values), max(base + 1.0, *values)
    xs = [0.0, *DOSES]
    dots = [
        (round(4 + (WIDTH - 8) * x / xs[-1], 1), round(HEIGHT - 4 - (HEIGHT - 8) * (value - low) / (high - low), 1))
        for x, value in zip(xs, values, strict=True)
    ]
    words = ", ".join(f"{dose:g}: {text}" for dose, text in zip(DOSES, told, strict=True))
    height = round(HEIGHT - 4 - (HEIGHT - 8) * (base - low) / (high - low), 1)
    return Curve(title, " ".join(f"{x},{y}" for x, y in dots), dots, height, words)


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _token(text: str) -> str:
    return text.replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣", 1) if text.strip() != text else text
