"""What a row of a user's file may be, and what the language model reads of it."""

from __future__ import annotations

import logging
import math
import unicodedata
from typing import Any, Protocol

from shiftscope.errors import ShiftScopeError
from shiftscope.files import canonical_json
from shiftscope.pairs import _columns
from shiftscope.pairs._reasons import Reason
from shiftscope.pairs._table import FileRow
from shiftscope.texts import broken_byte

logger = logging.getLogger(__name__)
IDENTICAL = "the two texts are identical"


class Wanted(Protocol):
    """What of a dataset's parameters decides about a row."""

    template: str
    max_characters: int
    group: str | None
    concepts: tuple[str, ...]
    labels: dict[str, float]
    _beside: list[str]


def why_not(row: FileRow, names: tuple[str, str], params: Wanted) -> Reason | None:
    """Why a row cannot be used, or None."""
    if row.problem:
        what, _, remedy = row.problem.partition(": ")
        return Reason(what, "", remedy)
    texts = [_columns.text_of(row, name) for name in names]
    problems = [_bad_text(name, text, params.max_characters) for name, text in zip(names, texts, strict=True)]
    problems += [_bad_beside(name, _columns.cell_of(row, name)) for name in params._beside]
    problems += [_bad_label(name, _columns.cell_of(row, name), params.labels) for name in params.concepts]
    first = next((problem for problem in problems if problem is not None), None)
    if first is not None:
        return first
    seen = [plain(text) for text in texts]
    if unicodedata.normalize("NFC", str(texts[0])) == unicodedata.normalize("NFC", str(texts[1])):
        return Reason(IDENTICAL)
    if seen[0].split() == seen[1].split():
        return Reason("the two texts differ only by spaces", "", "a template puts words around both alike")
    group = _columns.cell_of(row, params.group) if params.group else "none"
    return None if group is not None and str(group).strip() else Reason(f"{params.group} is empty")


def _bad_text(name: str, text: Any, max_characters: int) -> Reason | None:
    if text is None:
        return Reason(f"{name} is missing")
    if _columns.chat_of(text):
        return _bad_text(name, "\n".join(message["content"] for message in text), max_characters)
    if not isinstance(text, str):
        return Reason(
            f"{name} is not text", type(text).__name__, "write it in quotes, or as a list of {role, content} messages"
        )
    if broken := broken_byte(text):
        return Reason(f"{name} is not UTF-8", broken, "save the file as UTF-8")
    if not text.strip():
        return Reason(f"{name} is empty")
    if "\0" in text:
        return Reason(f"{name} holds a NUL character")
    if len(text) > max_characters:
        return Reason(f"{name} has more than max_characters {max_characters}", f"{len(text)} characters")
    return None


def _bad_beside(name: str, cell: Any) -> Reason | None:
    """Of a column that the template puts beside the text."""
    if cell is None or isinstance(cell, list | dict):
        return Reason(
            f"{name} is missing" if cell is None else f"{name} is not text", "" if cell is None else type(cell).__name__
        )
    broken = broken_byte(str(cell))
    return Reason(f"{name} is not UTF-8", broken, "save the file as UTF-8") if broken else None


def _bad_label(name: str, label: Any, labels: dict[str, float]) -> Reason | None:
    if number_of(label, labels) is not None:
        return None
    if isinstance(label, list):
        entries = ", ".join(f"{name}.{place}" for place in range(len(label)))
        return Reason(f"{name} is a list", canonical_json(label), f"name its entries: concepts: [{entries}]")
    remedy = "write -1, 0 or 1, or say in the config what each means: labels: {word: number}"
    return Reason(f"{name} is not a number", repr(_key(label)), remedy)


def _key(label: Any) -> str:
    """A label as a key of `labels`; truth values as JSON has them."""
    return "" if label is None else str(label).lower() if isinstance(label, bool) else str(label).strip()


def number_of(label: Any, labels: dict[str, float]) -> float | None:
    """What a label means, also with a decimal comma; None if nothing says it."""
    key = _key(label)
    if key in labels:
        return labels[key]
    if isinstance(label, bool) or not _columns.is_number(key):
        return None
    value = float(key.replace(",", ".") if _columns.DECIMAL_COMMA.fullmatch(key) else key)
    return value if math.isfinite(value) else None


def plain(text: Any) -> str:
    """A text as a reader sees it: without spaces around it, accents composed."""
    return unicodedata.normalize("NFC", text if isinstance(text, str) else canonical_json(text)).strip()


def text_of(row: FileRow, column: str) -> str:
    """A cell of a rejected row, whatever it holds."""
    cell = _columns.cell_of(row, column)
    return "" if cell is None else str(cell)


def chat_in(usable: list[FileRow], names: tuple[str, str], template: str) -> bool:
    """Whether texts are messages, which the model's own chat template joins.

    Raises:
        ShiftScopeError: some are and others not, or a template would go around them.
    """
    kinds = {_columns.chat_of(_columns.text_of(row, name)) for row in usable for name in names}
    if len(kinds) > 1:
        raise ShiftScopeError("some texts are chat messages and others plain text: give one or the other")
    if True in kinds and template != "{text}":
        raise ShiftScopeError("chat messages are joined by the model's own chat template: leave `template` out")
    if True in kinds:
        logger.warning(
            "texts are chat messages, which the language model's chat template joins; they are read where the last message ends"
        )
    return True in kinds


def filled_in(row: FileRow, name: str, params: Wanted, chat: bool) -> str:
    """What the language model reads, to the letter; messages as JSON until the model is known that joins them."""
    text = _columns.text_of(row, name)
    if chat:
        return canonical_json([{"role": one["role"], "content": one["content"]} for one in text])
    beside = {column: str(_columns.cell_of(row, column)) for column in params._beside}
    return _columns.filled(params.template, beside | {"text": text})
