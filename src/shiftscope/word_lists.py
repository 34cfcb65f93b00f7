"""Word lists: `data/words/{name}.csv`, one item a row, one form a column; `data/word_pairs/{name}.csv`, one pair a row."""

import csv
from collections.abc import Sequence
from pathlib import Path

from shiftscope.errors import ShiftScopeError

DATA = Path(__file__).resolve().parents[2] / "data"
PAIR = ["before", "after"]
"""the columns of a list of `data/word_pairs`"""


def word_files(names: Sequence[str]) -> list[Path]:
    """The files of word lists: inputs of the rule of whatever reads them.

    They are in `data/words`, unless the name says another folder of `data`: `word_pairs/verb_ved`.
    """
    return [DATA / f"{name if '/' in name else f'words/{name}'}.csv" for name in names]


def read_words(name: str, columns: list[str]) -> list[list[str]]:
    """The items of a word list `[items, columns]`, every word in it once.

    Raises:
        ShiftScopeError: the file is missing, its columns differ, a cell is empty, or a word stands twice. A word in
            two items would stand on both sides of the split; twice in one item, its true shift would be ambiguous.
    """
    path, items = _items(name, columns)
    seen: dict[str, int] = {}
    for row, item in enumerate(items, start=1):
        for word in item:
            if word in seen:
                raise ShiftScopeError(f"{path}, row {row}: {word!r} stands in row {seen[word]} too: remove one")
            seen[word] = row
    return items


def read_word_pairs(name: str) -> list[list[str]]:
    """The pairs of a list of `data/word_pairs` `[pairs, 2]`; a word may stand in several pairs.

    Raises:
        ShiftScopeError: the file is missing, its columns differ, a cell is empty, a pair stands twice, or its words are
            the same, so that nothing changes.
    """
    path, items = _items(f"word_pairs/{name}", PAIR)
    seen: dict[frozenset[str], int] = {}
    for row, item in enumerate(items, start=1):
        two = frozenset(item)
        if len(two) < 2:
            raise ShiftScopeError(f"{path}, row {row}: both words are {item[0]!r}: nothing changes, remove the row")
        if two in seen:
            raise ShiftScopeError(f"{path}, row {row}: {', '.join(item)} stand in row {seen[two]} too: remove one")
        seen[two] = row
    return items


def _items(name: str, columns: list[str]) -> tuple[Path, list[list[str]]]:
    (path,) = word_files([name])
    if not path.is_file():
        raise ShiftScopeError(f"{path} does not exist: restore it, with the columns {', '.join(columns)}")
    with path.open(encoding="utf-8", newline="") as opened:
        header, *items = csv.reader(opened)
    if header != columns:
        raise ShiftScopeError(f"{path} has the columns {', '.join(header)}: they must be {', '.join(columns)}")
    for row, item in enumerate(items, start=1):
        if len(item) != len(columns) or not all(word.strip() == word != "" for word in item):
            raise ShiftScopeError(f"{path}, row {row}: needs {len(columns)} words, without spaces around them: {item}")
    return path, items


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
