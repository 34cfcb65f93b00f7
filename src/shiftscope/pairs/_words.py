"""Word lists: `data/words/{kind}.csv`, one item a row, one form a column."""

import csv
from pathlib import Path

from shiftscope.errors import ShiftScopeError

FOLDER = Path(__file__).resolve().parents[3] / "data" / "words"
TEMPLATE = 'The word "{text}"'
"""One frame for all word lists, so that a vector learned on one can be used on another. It is read at the closing
quotation mark: on SmolLM2 held-out gender correlates .85 with its linear readout there, .71 at a bare word's last token;
gender of four-form items .72 and .26."""


def word_files(kind: str) -> list[Path]:
    """The word lists that the dataset `kind` reads, which are inputs of its rule: the file of its name, if any."""
    path = FOLDER / f"{kind}.csv"
    return [path] if path.is_file() else []


def read_words(kind: str, columns: list[str]) -> list[list[str]]:
    """The items of a word list `[items, columns]`, every word in it once.

    Raises:
        ShiftScopeError: the file is missing, its columns differ, a cell is empty, or a word stands twice. A word in
            two items would stand on both sides of the split; twice in one item, its true shift would be ambiguous.
    """
    path = FOLDER / f"{kind}.csv"
    if not path.is_file():
        raise ShiftScopeError(f"{path} does not exist: restore it, with the columns {', '.join(columns)}")
    with path.open(encoding="utf-8", newline="") as opened:
        header, *items = csv.reader(opened)
    if header != columns:
        raise ShiftScopeError(f"{path} has the columns {', '.join(header)}: they must be {', '.join(columns)}")
    seen: dict[str, int] = {}
    for row, item in enumerate(items, start=1):
        if len(item) != len(columns) or not all(word.strip() == word != "" for word in item):
            raise ShiftScopeError(f"{path}, row {row}: needs {len(columns)} words, without spaces around them: {item}")
        for word in item:
            if word in seen:
                raise ShiftScopeError(f"{path}, row {row}: {word!r} stands in row {seen[word]} too: remove one")
            seen[word] = row
    return items
