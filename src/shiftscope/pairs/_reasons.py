"""Why rows were left out, gathered: each reason once, with its count, the values that it found and two examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shiftscope.pairs.base import Rejected
from shiftscope.texts import shown

VALUES, EXAMPLES, REASONS = 8, 2, 5
"""that are named: distinct values of a reason, rows of it, reasons of a file"""
CHARACTERS = 40
"""of a value"""


class Reason(NamedTuple):
    """Why a row cannot be used: what is wrong, the value that is, if one is, and what helps."""

    what: str
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        value = f" ({self.value})" if self.value else ""
        return f"{self.what}{value}" + (f": {self.remedy}" if self.remedy else "")


def gathered(reasons: Iterable[tuple[Rejected, Reason]]) -> list[str]:
    """A line for each reason, the most frequent first: `8 rows: kind is not a number ('quieter' 4 times, …): write … (rows 1, 2, …)`."""
    found: dict[tuple[str, str], list[tuple[Rejected, Reason]]] = {}
    for one, reason in reasons:
        found.setdefault((reason.what, reason.remedy), []).append((one, reason))
    return [_line(*key, those) for key, those in sorted(found.items(), key=lambda item: -len(item[1]))]


def _line(what: str, remedy: str, those: list[tuple[Rejected, Reason]]) -> str:
    values = Counter(reason.value for _, reason in those if reason.value)
    named = [
        f"{shown(value)[:CHARACTERS]}{f' {count} times' if count > 1 else ''}"
        for value, count in values.most_common(VALUES)
    ]
    more = [f"{len(values) - VALUES} other values"] * (len(values) > VALUES)
    said = str(Reason(what, ", ".join(named + more), remedy))
    rows = ", ".join(place_of(one) for one, _ in those[:EXAMPLES])
    count = f"{len(those)} rows" if len(those) > 1 else "1 row"
    return f"{count}: {said} ({'row' if len(those) == 1 else 'rows'} {rows}{', …' if len(those) > EXAMPLES else ''})"


def place_of(one: Rejected) -> str:
    """A row's number, with its file's name where there are several files."""
    return f"{one.row} of {one.file}" if one.file else str(one.row)


def first_lines(lines: Sequence[str]) -> str:
    """The most frequent reasons in one line."""
    more = [f"and {len(lines) - REASONS} more reasons"] * (len(lines) > REASONS)
    return "; ".join([*lines[:REASONS], *more])
