"""How numbers are written for people: in Markdown, in figures and in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable

ABSENT = "–"


def known(value: float | None) -> bool:
    """Whether there is a number at all."""
    return value is not None and not math.isnan(value)


def number(value: float | None, decimals: int = 3, signed: bool = False) -> str:
    """A number without its leading zero and with a true minus sign; a dash where there is none.

    >>> number(0.5584), number(1.0), number(-0.0312), number(None)
    ('.558', '1.000', '−.031', '–')
    """
    if value is None or math.isnan(value):
        return ABSENT
    text = f"{abs(value):.{decimals}f}"
    text = text.removeprefix("0") if text.startswith("0.") else text
    sign = "" if not float(text) else "−" if value < 0 else "+" if signed else ""
    return sign + text


def spoken(value: float) -> str:
    """A number as a sentence says it: two decimals, and a third near 1, where it matters."""
    return number(value, _decimals([value]))


def _decimals(values: list[float]) -> int:
    return 3 if any(0.985 <= abs(value) < 1.0005 for value in values) else 2


def span(values: Iterable[float]) -> str:
    """The range of several numbers in words, without those that are absent.

    >>> span([0.42, 0.881, 0.6])
    '.42 to .88'
    """
    found = sorted(value for value in values if known(value))
    if not found:
        return ABSENT
    texts = [number(value, _decimals(found)) for value in found]
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def interval(low: float | None, high: float | None) -> str:
    """`[low, high]`, empty where there is no interval."""
    return f"[{number(low)}, {number(high)}]" if known(low) and known(high) else ""


def count(number_of: int, noun: str) -> str:
    """`1 dataset`, `3 datasets`."""
    return f"{number_of} {noun}" + ("" if number_of == 1 else "s")


def series(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
