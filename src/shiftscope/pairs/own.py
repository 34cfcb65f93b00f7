"""The user's own pairs: a CSV, JSONL or Parquet file with two columns of text and, if known, what changes between them.

Rows that cannot be used are listed by number with a reason; nothing is dropped silently. See docs/own-pairs.md.
"""

from __future__ import annotations

import logging
import math
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from shiftscope.errors import ShiftScopeError, nearest
from shiftscope.kinds import UserPath
from shiftscope.pairs._split import linked, split_by_group
from shiftscope.pairs._table import FileRow, Table, read_table
from shiftscope.pairs.base import Pair, PairDataset, Pairs, Rejected
from shiftscope.texts import broken_byte

logger = logging.getLogger(__name__)
FEWEST = 4  # usable rows: two groups to train on and two to test on, at the very least
NAMED = 3  # rows that an error message quotes


class Own(PairDataset):
    """The file and the names of its columns.

    `group` names what must not be split between train and test; `concepts` are the columns of shifts, usually -1, 0
    or 1; `max_characters` is the longest text that is accepted.
    """

    path: UserPath
    text_0: str = "text_0"
    text_1: str = "text_1"
    group: str | None = None
    concepts: tuple[str, ...] = ()
    template: str = "{text}"
    max_characters: int = Field(4000, ge=1)

    @model_validator(mode="after")
    def _columns_differ(self) -> Own:
        """Refuse one column in two roles."""
        repeated = [name for name, count in Counter(self._columns).items() if count > 1]
        if repeated:
            raise ValueError(f"column {repeated[0]!r} is named twice among text_0, text_1, group and concepts")
        return self

    @property
    def _columns(self) -> list[str]:
        """Every column that the file must have."""
        return [self.text_0, self.text_1, *([self.group] if self.group else []), *self.concepts]

    def concept_names(self) -> tuple[str, ...]:
        """The label columns."""
        return self.concepts

    @property
    def labelled(self) -> bool:
        """Whether there is a label column."""
        return bool(self.concepts)

    @property
    def user_file(self) -> Path:
        """The file."""
        return self.path

    def build(self) -> Pairs:
        """Read the file, list its bad rows, and split the others by group.

        Raises:
            ShiftScopeError: the file or a column is missing, fewer than four rows are usable, or all form one group.
        """
        table = read_table(self.path)
        _check_columns(table, self)
        reasons = [_why_not(row, self) for row in table.rows]
        usable = [row for row, reason in zip(table.rows, reasons, strict=True) if not reason]
        bad = [(row, reason) for row, reason in zip(table.rows, reasons, strict=True) if reason]
        rejected = [
            Rejected(row.number, reason, _text(row, self.text_0), _text(row, self.text_1)) for row, reason in bad
        ]
        logger.info("%s: %d rows, %d usable, %d rejected", self.path, len(table.rows), len(usable), len(rejected))
        if len(usable) < FEWEST:
            raise ShiftScopeError(_too_few(self.path, len(table.rows), len(usable), rejected))
        return _split(usable, rejected, self)


def _split(usable: list[FileRow], rejected: list[Rejected], params: Own) -> Pairs:
    steering = "concepts" if params.concepts else None
    pairs = [_pair(row, group, params) for row, group in zip(usable, _groups(usable, params), strict=True)]
    splits = split_by_group(pairs, params, steering)
    if params.group:
        _warn_of_shared_texts(splits["train"], splits["test"], params)
    truths = {"concepts": list(params.concepts)} if params.concepts else {}
    unit = params.group or "rows that share a text"
    return Pairs(splits, params.template, unit, truths, steering, params.orientation, rejected)


def _check_columns(table: Table, params: Own) -> None:
    if not table.columns:
        return  # no line could be read at all: the rows' own reasons say why
    for name in params._columns:
        if name not in table.columns:
            lower = {column.lower(): column for column in table.columns if column not in params._columns}
            near = [lower[one] for one in nearest(name.lower(), lower, most=3, likeness=0.5)]
            hint = f"; the nearest is {' or '.join(map(repr, near))}" if near else ""
            raise ShiftScopeError(
                f"{params.path} has no column {name!r}{hint}. Its columns are "
                f"{', '.join(map(repr, table.columns)) or 'none'}: set text_0, text_1, group or concepts to their names"
                + (" and separate the cells by commas" if any(mark in "".join(table.columns) for mark in ";\t") else "")
            )


def _why_not(row: FileRow, params: Own) -> str:
    """Why a row cannot be used, or an empty string."""
    if row.problem:
        return row.problem
    for name in params._columns:
        if row.cells.get(name) is None:
            return f"{name} is missing"
    reasons = (
        *(_bad_text(name, row.cells[name], params.max_characters) for name in (params.text_0, params.text_1)),
        *(_bad_label(name, row.cells[name]) for name in params.concepts),
    )
    first = next(filter(None, reasons), "")
    if not first and _plain(row.cells[params.text_0]) == _plain(row.cells[params.text_1]):
        return "the two texts are identical"
    if not first and params.group and not str(row.cells[params.group]).strip():
        return f"{params.group} is empty"
    return first


def _bad_text(name: str, text: Any, max_characters: int) -> str:
    if not isinstance(text, str):
        return f"{name} is not text ({type(text).__name__})"
    if broken := broken_byte(text):
        return f"{name} is not UTF-8 ({broken}): save the file as UTF-8"
    if not text.strip():
        return f"{name} is empty"
    if "\0" in text:
        return f"{name} holds a NUL character"
    if len(text) > max_characters:
        return f"{name} has {len(text)} characters, more than max_characters ({max_characters})"
    return ""


def _bad_label(name: str, label: Any) -> str:
    try:
        finite = not isinstance(label, bool) and math.isfinite(float(label))
    except (TypeError, ValueError):
        finite = False
    return "" if finite else f"{name} is not a number ({str(label)!r}): write -1, 0 or 1"


def _plain(text: str) -> str:
    """A text as a reader sees it: without spaces around it, accents composed."""
    return unicodedata.normalize("NFC", text).strip()


def _text(row: FileRow, column: str) -> str:
    """A cell of a rejected row, whatever it holds."""
    cell = row.cells.get(column)
    return "" if cell is None else str(cell)


def _too_few(path: Path, rows: int, usable: int, rejected: list[Rejected]) -> str:
    if rejected and all(one.reason == "the two texts are identical" for one in rejected) and not usable:
        return f"{path}: in all {rows} rows the two texts are identical, so nothing changes: give pairs that differ"
    named = "; ".join(f"row {one.row}: {one.reason}" for one in rejected[:NAMED])
    more = f" and {len(rejected) - NAMED} more" if len(rejected) > NAMED else ""
    why = f" ({named}{more})" if named else ""
    return f"{path} has {usable} usable rows of {rows}{why}: at least {FEWEST} are needed, a few dozen to learn from"


def _groups(usable: list[FileRow], params: Own) -> list[int]:
    """The group of each row: by the user's column, else rows that share a text, even through others, are one."""
    if params.group:
        names = [str(row.cells[params.group]).strip() for row in usable]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return [numbers[name] for name in names]
    return linked([tuple(_plain(row.cells[name]) for name in (params.text_0, params.text_1)) for row in usable])


def _pair(row: FileRow, group: int, params: Own) -> Pair:
    texts = [params.template.format(text=row.cells[name]) for name in (params.text_0, params.text_1)]
    labels = {column: float(row.cells[name]) for column, name in enumerate(params.concepts)}
    changed = {column: value for column, value in labels.items() if value}
    return Pair(*texts, group, {"concepts": changed} if params.concepts else {})


def _warn_of_shared_texts(train: list[Pair], test: list[Pair], params: Own) -> None:
    """The user's groups are kept as they are, but a text on both sides of the split is said."""
    sides = [{_plain(text) for pair in side for text in (pair.text_0, pair.text_1)} for side in (train, test)]
    shared = sorted(sides[0] & sides[1])
    if shared:
        logger.warning(
            "%s: %d texts stand in both training and held-out groups of column %r, such as %r: "
            "held-out scores are then too good",
            params.path, len(shared), params.group, shared[0],
        )  # fmt: skip
