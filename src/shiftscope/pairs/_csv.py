"""CSV as people have it, record by record, so that each bad one is told by its number and its lines.

Python's own `csv` splits a record into cells. pyarrow and pandas would, too, but neither can say which record a lone quote
swallowed: with them the rows behind it are gone, or the file is refused.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from shiftscope.errors import ShiftScopeError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""between cells, and what they are called; where two would do, the first"""
SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""Excel's first line, which says what separates cells"""
LONGEST = 2000
"""lines of a record: a quote that is open for longer was forgotten"""
MOST_COLUMNS = 10_000


class Record(NamedTuple):
    """One record: its cells, or what is wrong with it; `first` and `last` are its lines, from 1."""

    cells: list[str]
    problem: str
    first: int
    last: int


class Csv(NamedTuple):
    """A file's header and the records behind it."""

    header: list[str]
    records: list[Record]
    separator: str


class _Lines:
    """Lines to read on from, no further than a record may be long."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.at, self.end = lines, 0, 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.at >= min(self.end, len(self.lines)):
            raise StopIteration
        self.at += 1
        return self.lines[self.at - 1]


def read_csv(text: str, separator: str | None = None) -> Csv:
    """The header and all records of a CSV file's text.

    Args:
        text: of the file.
        separator: between cells; None: as Excel's `sep=` line says, else the one that makes most columns of the header.

    Raises:
        ShiftScopeError: the header cannot be read, or has more columns than any table of texts.
    """
    csv.field_size_limit(sys.maxsize)  # an over-long text is a row to list, not a file to refuse
    lines = list(io.StringIO(text.rstrip("\r\n"), newline=""))
    skipped, said = _sep_line(lines)
    separator = separator or said or _separator(lines[skipped:])
    records = _records(lines[skipped:], separator, skipped)
    header = next(records)
    if header.problem:
        raise ShiftScopeError(f"the header cannot be read: {header.problem}")
    if len(header.cells) > MOST_COLUMNS:
        raise ShiftScopeError(
            f"the header has {len(header.cells):,} columns: give those of the texts alone: cut -d '{separator}' -f 1,2"
        )
    return Csv([name.strip() for name in header.cells], list(records), separator)


def _sep_line(lines: list[str]) -> tuple[int, str | None]:
    """How many lines go before the header, blank ones among them, and what the last of them says of separators."""
    blank = next((place for place, line in enumerate(lines) if line.strip("\r\n")), 0)
    found = SEP_LINE.fullmatch(lines[blank].rstrip("\r\n"))
    return (blank + 1, found[1]) if found and len(lines) > blank + 1 else (blank, None)


def _separator(lines: list[str]) -> str:
    """The separator that makes most columns of the header."""
    columns = {one: len(next(csv.reader(lines[:1], delimiter=one), [])) for one in SEPARATORS}
    return max(columns, key=columns.__getitem__)


def _records(lines: list[str], separator: str, skipped: int) -> Iterator[Record]:
    """Every record. Of one that a quote spreads over several lines, wrongly or so that it may be, no line is taken for a row."""
    source, columns, broken = _Lines(lines), 0, False
    while source.at < len(lines):
        first = source.at
        source.end = first + LONGEST
        problem, cells = "", []
        try:
            cells = next(csv.reader(source, strict=True, delimiter=separator))
        except (csv.Error, StopIteration) as error:
            problem = _said(str(error))
        where = f"lines {skipped + first + 1} to {skipped + source.at}"
        if problem.startswith(OPEN):
            source.at = first + 1  # nothing closes it, so what follows is not its own
        elif problem and source.at - first > 1:
            problem = f"a quote opens in line {skipped + first + 1} and is closed wrongly ({where}): close it in its line, or double it"
        elif not problem and source.at - first > 1 and _are_rows(lines[first : source.at], separator, columns):
            problem = (
                f"{where} are one quoted text, and each looks like a row of its own: if a quote was forgotten close it in its line, else "
                "write the file as JSONL"
            )
        elif not problem and broken and lines[first].count('"') % 2:
            problem = "a quote closes what no quote opened: see the row before"
        columns, broken = columns or len(cells), bool(problem)
        yield Record([] if problem else cells, problem, skipped + first + 1, skipped + source.at)


OPEN = "a quote opens and never closes"


def _said(error: str) -> str:
    if "unexpected end of data" in error:
        return f"{OPEN}: close or double it"
    return f"the row is not CSV ({error}): double the quotes inside a quoted text"


def _are_rows(lines: list[str], separator: str, columns: int) -> bool:
    """Whether every line of a record is a whole row if its quotes are taken as they stand."""
    counts = (len(cells) for cells in csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE))
    return columns > 1 and all(count == columns for count in counts)


def usable_columns(header: list[str], records: list[Record]) -> dict[str, int]:
    """Names of columns with their places; nameless ones that are empty throughout are passed over, others called by number.

    Raises:
        ShiftScopeError: a name is there twice.
    """
    filled = {place for record in records for place, cell in enumerate(record.cells) if cell.strip()}
    names = {place: name or f"column_{place + 1}" for place, name in enumerate(header) if name or place in filled}
    repeated = sorted(name for name, same in itertools.groupby(sorted(names.values())) if len(list(same)) > 1)
    if repeated:
        raise ShiftScopeError(f"the header names {', '.join(map(repr, repeated))} twice: rename one")
    return {name: place for place, name in names.items()}
