"""Word lists: `data/words/{name}.csv`, one item a row, one form a column."""

import csv
from collections.abc import Sequence
from pathlib import Path

from shiftscope.errors import ShiftScopeError

FOLDER = Path(__file__).resolve().parents[2] / "data" / "words"


def word_files(names: Sequence[str]) -> list[Path]:
    """The files of word lists: inputs of the rule of whatever reads them."""
    return [FOLDER / f"{name}.csv" for name in names]


def read_words(name: str, columns: list[str]) -> list[list[str]]:
    """The items of a word list `[items, columns]`, every word in it once.

    Raises:
        ShiftScopeError: the file is missing, its columns differ, a cell is empty, or a word stands twice. A word in
            two items would stand on both sides of the split; twice in one item, its true shift would be ambiguous.
    """
    path = FOLDER / f"{name}.csv"
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


def check_words(given: Sequence[Path], names: Sequence[str]) -> None:
    """Compare the word lists that a rule declares with those that are read.

    Raises:
        ShiftScopeError: they differ.
    """
    wanted = word_files(names)
    if {path.resolve() for path in given} != set(wanted):
        raise ShiftScopeError(
            f"--words must name the word lists that are read, which are: {', '.join(map(str, wanted)) or 'none'}"
        )
