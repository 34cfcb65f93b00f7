"""Which two columns hold the texts, where the user did not say; and what a cell is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from string import Formatter
from typing import Any

from shiftscope.errors import ShiftScopeError, nearest
from shiftscope.files import canonical_json
from shiftscope.pairs._table import FileRow, Table

KNOWN = (
    ("text_0", "text_1"), ("text0", "text1"), ("text_a", "text_b"), ("before", "after"), ("source", "target"), ("src", "tgt"),
    ("negative", "positive"), ("neg", "pos"), ("rejected", "chosen"), ("wrong", "right"), ("incorrect", "correct"),
    ("original", "edited"), ("original", "rewritten"), ("original", "counterfactual"), ("original", "paraphrase"),
    ("factual", "counterfactual"), ("casual", "formal"), ("informal", "formal"), ("toxic", "neutral"),
    ("answer_not_matching_behavior", "answer_matching_behavior"), ("sent_less", "sent_more"), ("input", "output"),
    ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("first", "second"), ("a", "b"), ("x", "y"),
)  # fmt: skip
"""names that people give the two columns, before and after"""
SAMPLE = 200
"""rows by which columns are judged"""
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def guessed(table: Table, taken: Sequence[str], given: tuple[str | None, str | None] = (None, None)) -> tuple[str, str]:
    """The columns of the texts: by their names, else the only two that hold text; `taken` are columns with another role.

    If one of both is `given`, the other is the one that usually goes with it, or the only one that is left.

    Raises:
        ShiftScopeError: it cannot be told; names the columns that could be.
    """
    free = [name for name in table.columns if name not in taken]
    plain = {re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_"): name for name in reversed(free)}
    for before, after in KNOWN:
        found = plain.get(before), plain.get(after)
        if all(found) and all(one in (None, other) for one, other in zip(given, found, strict=True)):
            return found
    texts = [name for name in free if holds_text(table, name) and name not in given]
    if len(texts) == 2 - sum(map(bool, given)):
        rest = iter(texts)
        return tuple(name or next(rest) for name in given)
    columns = ", ".join(map(repr, table.columns)) or "none"
    could = f"of these {', '.join(map(repr, texts)) or 'none'} hold{'s' * (len(texts) < 2)} text"
    raise ShiftScopeError(
        f"which columns hold the two texts of a pair cannot be told: its columns are {columns}; {could}: set text_0 and "
        "text_1 to the names of the text before and the one after (make vectors: TEXT_0=… TEXT_1=…)"
    )


def holds_text(table: Table, name: str) -> bool:
    """Whether most cells are texts of more than a number, and not all the same few words."""
    cells = [row.cells.get(name) for row in table.rows[:SAMPLE]]
    given = [cell for cell in cells if cell not in (None, "")]
    texts = [
        cell for cell in given if chat_of(cell) or (isinstance(cell, str) and not is_number(cell) and cell.strip())
    ]
    if len(texts) * 2 <= len(given) or not given:
        return False
    distinct = {cell if isinstance(cell, str) else canonical_json(cell) for cell in texts}
    return len(distinct) > 2 or any(chat_of(cell) or " " in cell.strip() for cell in texts)


def missing_column(table: Table, name: str, taken: Sequence[str], what: str) -> str:
    """What is said of a column that is not there."""
    lower = {column.lower(): column for column in table.columns if column not in taken}
    near = [lower[one] for one in nearest(name.lower(), lower, most=3, likeness=0.5)]
    hint = f"; the nearest is {' or '.join(map(repr, near))}" if near else ""
    return f"has no column {name!r}{hint}. Its columns are {', '.join(map(repr, table.columns)) or 'none'}: {what}"


def text_of(row: FileRow, name: str) -> Any:
    """A row's cell where a text belongs: messages that stand in it as JSON, as CSV can only have them, are read."""
    cell = cell_of(row, name)
    if isinstance(cell, str) and cell.lstrip().startswith("[{") and '"role"' in cell:
        try:
            read = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        return read if chat_of(read) else cell
    return cell


def cell_of(row: FileRow, name: str) -> Any:
    """A row's cell; of a nested one, `labels.0` or `meta.topic`, a part of it."""
    if name in row.cells or "." not in name:
        return row.cells.get(name)
    column, _, rest = name.partition(".")
    found = row.cells.get(column)
    for part in rest.split("."):
        if isinstance(found, list | tuple) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found


def has_column(table: Table, name: str) -> bool:
    """Whether the table has a column, or one that a nested name begins with."""
    return name in table.columns or ("." in name and name.partition(".")[0] in table.columns)


def chat_of(cell: Any) -> bool:
    """Whether a cell is a list of messages, as chat models have them: `{"role": …, "content": …}`."""
    return (
        isinstance(cell, list | tuple)
        and bool(cell)
        and all(isinstance(one, dict) and isinstance(one.get("role"), str) and isinstance(one.get("content"), str) for one in cell)
    )  # fmt: skip


def is_number(text: str) -> bool:
    """Whether a text is a number, also with a decimal comma."""
    try:
        float(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text.strip()) else text)
    except ValueError:
        return False
    return True


def placeholders(template: str) -> list[str]:
    """The names in braces, in their order.

    Raises:
        ValueError: a brace does not close, or a name has a conversion or a format.
    """
    found = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    odd = [name for name, spec, conversion in found if spec or conversion]
    if odd:
        raise ValueError(f"{{{odd[0]}}} may have no conversion and no format")
    return [name for name, _, _ in found]


def filled(template: str, values: dict[str, str]) -> str:
    """A template with a value in the place of every name, to the letter: what stands in a value is no placeholder."""
    parts = Formatter().parse(template)
    return "".join(literal + ("" if name is None else values[name]) for literal, name, _, _ in parts)
