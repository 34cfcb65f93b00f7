"""JSON as people have it: one object a line, an array of objects, or an object that holds such an array."""

from __future__ import annotations

import json
from typing import Any

from shiftscope.errors import ShiftScopeError

Numbered = tuple[int, dict[str, Any], str]
"""a row's number from 1, its cells, and what is wrong with it"""


def read_json_rows(text: str) -> list[Numbered]:
    """Every row of a JSON file's text, whichever of the three it is."""
    array = _array(text)
    if array is not None:
        return [_row(number, cells) for number, cells in enumerate(array, start=1)]
    return [_line(number, line) for number, line in enumerate(text.rstrip().split("\n"), start=1)]


def _array(text: str) -> list[Any] | None:
    """The rows of an array, of the only array of objects in an object, or of columns; None if the text is no such.

    Raises:
        ShiftScopeError: an array is cut off or broken.
    """
    begun, first = text.lstrip()[:1], text.lstrip().partition("\n")[0]
    if begun not in ("[", "{"):
        return None
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        if begun == "[" and not _is_json(first):
            raise ShiftScopeError(f"the JSON array is cut off or broken ({error}): write the file again") from error
        return None
    if isinstance(whole, list):
        return whole
    arrays = [value for value in whole.values() if isinstance(value, list)]
    if len(arrays) == len(whole) > 1 and len({len(array) for array in arrays}) == 1 and not _is_chat(arrays[0]):
        return [dict(zip(whole, row, strict=True)) for row in zip(*arrays, strict=True)]
    tables = [array for array in arrays if array and isinstance(array[0], dict) and not _is_chat(array)]
    return tables[0] if len(tables) == 1 else [whole]


def _is_chat(array: list[Any]) -> bool:
    return bool(array) and isinstance(array[0], dict) and "role" in array[0]


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _line(number: int, line: str) -> Numbered:
    if not line.strip():
        return number, {}, "the row is blank"
    try:
        return _row(number, json.loads(line))
    except (ValueError, RecursionError) as error:
        said = str(error).split(": line ")[0]
        return number, {}, f"the row is not JSON ({said})"


def _row(number: int, cells: Any) -> Numbered:
    if not isinstance(cells, dict):
        return number, {}, "the row is not a JSON object: write {...} with one key per column"
    return number, cells, ""
