"""A user's files as one table: rows by number with their cells, and what of them cannot be read as a numbered problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_parquet
from shiftscope.pairs._content import Content, likely_encodings, read_content
from shiftscope.pairs._csv import SEPARATORS, Record, read_csv, usable_columns
from shiftscope.pairs._json import read_json_rows
from shiftscope.texts import broken_byte, parquet_cells

ALIGNED = ("text_0", "text_1")
"""columns of two files whose lines belong together"""
TABLES = ("csv", "tsv", "tab", "psv", "json", "jsonl", "ndjson", "parquet")
"""what names of files with columns end in; others may be lines of text"""
MOST_ROWS = 5_000_000


@dataclass(frozen=True)
class FileRow:
    """One row: its number from 1 at the first row after the header, its cells by column, or why it has none.

    Bytes that are no UTF-8 stand in a cell as the lone surrogates of Python's `surrogateescape`.
    """

    number: int
    cells: dict[str, Any]
    problem: str = ""
    file: str = ""


@dataclass(frozen=True)
class Table:
    """The columns and the rows of some files."""

    columns: list[str]
    rows: list[FileRow]


def read_table(
    paths: Sequence[Path], encoding: str | None = None, separator: str | None = None, in_order: bool = True
) -> Table:
    """Read CSV, JSON, JSONL or Parquet files, packed or not, one below the other; or two files of text, line by line.

    What a file is, its content tells: names only decide between what would do.

    Args:
        paths: of the files.
        encoding: of their text; None: UTF-8, or as its byte order mark says.
        separator: between the cells of CSV; None: as the header has it.
        in_order: whether the user named the files one by one, so that of two files of text the first comes before.

    Raises:
        ShiftScopeError: a file is missing, of no kind that holds rows, empty, damaged as a whole, or in another encoding;
            or files have other columns than the first.
    """
    contents = [read_content(path, encoding) for path in paths]
    if len(paths) == 2 and all(_is_plain(content) for content in contents) and not _same_header(contents):
        if not in_order:
            raise ShiftScopeError(
                f"{paths[0]} and {paths[1]} are lines of text, and a pattern does not say which come before: name both in their order: "
                "path: [before.txt, after.txt] (make vectors: PAIRS=before.txt AFTER=after.txt)"
            )
        return _aligned(paths, contents)
    tables = [_read(path, content, separator) for path, content in zip(paths, contents, strict=True)]
    for path, table in zip(paths, tables, strict=True):
        if not table.rows:
            raise ShiftScopeError(f"{path} holds no rows")
        if not encoding:
            _check_encoding(path, table)
        if sorted(table.columns) != sorted(tables[0].columns):
            only = sorted(set(table.columns) ^ set(tables[0].columns))
            raise ShiftScopeError(f"{path} has other columns than {paths[0]} ({', '.join(map(repr, only[:5]))}): name files of one kind")  # fmt: skip
    if len(tables) == 1:
        return tables[0]
    rows = [
        FileRow(row.number, row.cells, row.problem, path.name)
        for path, table in zip(paths, tables, strict=True)
        for row in table.rows
    ]
    return Table(tables[0].columns, rows)


def _is_plain(content: Content) -> bool:
    return not content.parquet and content.kind not in TABLES


def _same_header(contents: Sequence[Content]) -> bool:
    """Whether files begin with the same line of several cells: parts of one table, whatever they are called."""
    first = {content.text.lstrip("\r\n").split("\n", 1)[0].strip() for content in contents}
    return len(first) == 1 and any(separator in next(iter(first)) for separator in SEPARATORS)


def _aligned(paths: Sequence[Path], contents: Sequence[Content]) -> Table:
    """Two files whose lines belong together: the first has the texts before, the second those after."""
    sides = [[line.removesuffix("\r") for line in content.text.rstrip("\r\n").split("\n")] for content in contents]
    if len(sides[0]) != len(sides[1]):
        raise ShiftScopeError(
            f"{paths[0]} has {len(sides[0])} lines and {paths[1]} {len(sides[1])}: of two files of text, each line of one "
            "belongs to the same of the other"
        )
    rows = [FileRow(number, dict(zip(ALIGNED, texts, strict=True))) for number, texts in enumerate(zip(*sides, strict=True), 1)]  # fmt: skip
    return Table(list(ALIGNED), rows)


def _read(path: Path, content: Content, separator: str | None) -> Table:
    if content.parquet:
        return _parquet(path)
    try:
        if content.kind in ("json", "jsonl", "ndjson") or (
            content.kind not in TABLES and _looks_like_json(content.text)
        ):
            return _json(content.text)
        return _csv(path, content, separator)
    except ShiftScopeError as error:
        raise ShiftScopeError(f"{path}: {error}") from error


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _json(text: str) -> Table:
    rows = [FileRow(*row) for row in read_json_rows(text)]
    return Table(list(dict.fromkeys(name for row in rows for name in row.cells)), rows)


def _csv(path: Path, content: Content, separator: str | None) -> Table:
    found = read_csv(content.text, separator or {"tsv": "\t", "tab": "\t", "psv": "|"}.get(content.kind))
    if len(found.header) < 2:
        raise ShiftScopeError(
            f"its first line {found.header[0][:60]!r} names one column only: cells are separated by commas, semicolons, tabs or "
            "bars, or as `separator` says; two files of text, line by line, are named together: path: [before.txt, after.txt]"
        )
    places = usable_columns(found.header, found.records)
    rows = [
        _csv_row(number, record, places, len(found.header), found.separator)
        for number, record in enumerate(found.records, start=1)
    ]
    return Table(list(places), rows)


def _csv_row(number: int, record: Record, places: dict[str, int], columns: int, separator: str) -> FileRow:
    cells = record.cells
    while len(cells) > columns and not cells[-1].strip():
        cells = cells[:-1]
    found = {name: cells[place] for name, place in places.items() if place < len(cells)}
    if record.problem:
        return FileRow(number, {}, record.problem)
    if not any(cell.strip() for cell in cells):
        return FileRow(number, {}, "the row is blank")
    counts = f"the row has {len(cells)} cells, the header {columns}"
    if len(cells) < columns:
        return FileRow(number, found, f"a cell is missing: {counts}")
    if len(cells) > columns:
        return FileRow(number, found, f"{counts}: quote texts that hold a {SEPARATORS.get(separator, separator)}")
    return FileRow(number, found)


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(path)
        if about.num_rows > MOST_ROWS or about.num_columns > 10_000:
            raise ShiftScopeError(
                f"{path} has {about.num_rows:,} rows and {about.num_columns:,} columns: a few thousand pairs are enough, so "
                "write the two columns of some rows to a file of their own"
            )
        table = read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ShiftScopeError(f"{path} is not a readable Parquet file ({error}): write it again") from error
    return of_columns({name: parquet_cells(table[name]) for name in table.column_names})


def of_columns(columns: dict[str, list[Any]]) -> Table:
    """A table of columns of equal length."""
    rows = [FileRow(number, dict(zip(columns, cells, strict=True))) for number, cells in enumerate(zip(*columns.values(), strict=True), 1)]  # fmt: skip
    return Table(list(columns), rows)


def _check_encoding(path: Path, table: Table) -> None:
    """Refuse a file in which nothing but ASCII is valid UTF-8: it is in another encoding, so every accent is wrong.

    A file that also holds valid accents is UTF-8 with a few damaged rows; those are left to the caller.
    """
    first = ""
    for name in table.columns:
        if broken := broken_byte(name):
            first = f"the header, {broken}"
    for row in table.rows if not first else ():
        for name, cell in row.cells.items():
            if not isinstance(cell, str) or cell.isascii():
                continue
            broken = broken_byte(cell)
            if not broken:
                return
            if not broken.startswith("byte"):
                continue  # written as an escape, which says nothing about the file's bytes
            first = first or f"row {row.number}, column {name}, {broken}"
    if first:
        read = ", ".join(f"{name} reads {text!r}" for name, text in likely_encodings(path).items())
        probably = f"; {read}" if read else ""
        say = "say `encoding: …` as is right (make vectors: ENCODING=…), or " if read else ""
        raise ShiftScopeError(f"{path} is not UTF-8{probably} ({first}, and no valid accent anywhere): {say}save the file as UTF-8")  # fmt: skip


def long_to_pairs(table: Table, pair: str, side: str, text: str, sides: tuple[str, str]) -> Table:
    """One text per row made pairs: rows with the same `pair` are one, and `side` says which text each holds.

    The columns are then called as the sides; of the others a pair has those of its first row. What cannot be matched is a row
    with its problem.
    """
    groups: dict[Any, dict[str, FileRow]] = {}
    rows: list[FileRow] = []
    for row in table.rows:
        key, which = row.cells.get(pair), str(row.cells.get(side, "")).strip()
        if row.problem or key in (None, ""):
            rows.append(FileRow(row.number, row.cells, row.problem or f"{pair} is missing", row.file))
        elif which not in sides:
            rows.append(FileRow(row.number, row.cells, f"{side} is {which!r}, neither {sides[0]!r} nor {sides[1]!r}", row.file))  # fmt: skip
        elif which in groups.setdefault(str(key), {}):
            rows.append(FileRow(row.number, row.cells, f"{pair} has two texts for the same {side}", row.file))
        else:
            groups[str(key)][which] = row
    for found in groups.values():
        first = next(iter(found.values()))
        cells = first.cells | {which: row.cells.get(text) for which, row in found.items()}
        missing = [which for which in sides if which not in found]
        rows.append(
            FileRow(first.number, cells, f"the pair has no text for {missing[0]!r}" if missing else "", first.file)
        )
    others = [name for name in table.columns if name not in (side, text, *sides)]
    return Table([*sides, *others], sorted(rows, key=lambda row: (row.file, row.number)))


def values_of(table: Table, column: str, most: int = 8) -> list[str]:
    """The most frequent values of a column, as texts."""
    return [value for value, _ in Counter(str(row.cells.get(column, "")) for row in table.rows).most_common(most)]
