"""Read a user's CSV, JSONL or Parquet file row by row, keeping what cannot be read as a numbered problem."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_parquet
from shiftscope.texts import broken_byte, parquet_cells


@dataclass(frozen=True)
class FileRow:
    """One row: its number from 1 at the first row after the header, its cells by column, or why it has none.

    Bytes that are no UTF-8 stand in a cell as the lone surrogates of Python's `surrogateescape`.
    """

    number: int
    cells: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """The columns and the rows of a file."""

    columns: list[str]
    rows: list[FileRow]


def read_table(path: Path) -> Table:
    """Read a `.csv`, `.jsonl` or `.parquet` file.

    Raises:
        ShiftScopeError: the file is missing, of another kind, empty, damaged as a whole, or in another encoding than
            UTF-8.
    """
    readers: dict[str, Callable[[Path], Table]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise ShiftScopeError(f"{path}: its name must end in one of {', '.join(readers)}, not {path.suffix!r}")
    if not path.is_file():
        raise ShiftScopeError(f"{path} does not exist: correct `path` (relative to the folder of the Snakefile)")
    table = readers[path.suffix.lower()](path)
    if not table.rows:
        raise ShiftScopeError(f"{path} holds no rows")
    _check_encoding(path, table)
    return table


def _check_encoding(path: Path, table: Table) -> None:
    """Refuse a file in which nothing but ASCII is valid UTF-8: it is in another encoding, so every accent is wrong.

    A file that also holds valid accents is UTF-8 with a few damaged rows; those are left to the caller.
    """
    for name in table.columns:
        if broken := broken_byte(name):
            raise ShiftScopeError(f"{path}: the header is not UTF-8 ({broken}): save the file as UTF-8")
    first = ""
    for row in table.rows:
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
        raise ShiftScopeError(
            f"{path} is not UTF-8 but probably Latin-1 or Windows-1252 ({first}, and no valid accent anywhere): "
            "save the file as UTF-8"
        )


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ShiftScopeError(f"{path} is UTF-16 (it begins with byte 0x{data[0]:02x}): save the file as UTF-8")
    if not data.strip():
        raise ShiftScopeError(f"{path} is empty: it needs a header and one row per pair")
    return data.decode("utf-8-sig", "surrogateescape")


def _csv(path: Path) -> Table:
    text = _decoded(path).rstrip("\r\n")
    csv.field_size_limit(sys.maxsize)  # an over-long text is a row to list, not a file to refuse
    lines = _csv_rows(csv.reader(io.StringIO(text, newline=""), strict=True), path)
    _, header = next(lines)
    if isinstance(header, str):
        raise ShiftScopeError(f"{path}: the header {header}")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ShiftScopeError(f"{path}: the header names {', '.join(map(repr, repeated))} twice: rename one")
    return Table(header, [_csv_row(number, cells, header) for number, cells in lines])


def _csv_rows(reader: Any, path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """Number and cells of each record, or what is wrong with it; the header is number 0."""
    number = 0
    while True:
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                where = f"row {number}" if number else "the header"
                raise ShiftScopeError(
                    f"{path}: a quote opens in {where} and never closes: close or double it"
                ) from error
            yield number, f"is not CSV ({error}): double the quotes inside a quoted text"
        number += 1


def _csv_row(number: int, cells: list[str] | str, header: list[str]) -> FileRow:
    if isinstance(cells, str):
        return FileRow(number, {}, f"the row {cells}")
    if not cells:
        return FileRow(number, {}, "the row is blank")
    if len(cells) != len(header):
        problem = f"the row has {len(cells)} cells, the header {len(header)}: quote texts that hold a comma"
        return FileRow(number, dict(zip(header, cells, strict=False)), problem)
    return FileRow(number, dict(zip(header, cells, strict=True)))


def _jsonl(path: Path) -> Table:
    rows = [_jsonl_row(number, line) for number, line in enumerate(_decoded(path).rstrip().split("\n"), start=1)]
    return Table(list(dict.fromkeys(name for row in rows for name in row.cells)), rows)


def _jsonl_row(number: int, line: str) -> FileRow:
    if not line.strip():
        return FileRow(number, {}, "the row is blank")
    try:
        cells = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return FileRow(number, {}, f"the row is not JSON ({error})")
    if not isinstance(cells, dict):
        return FileRow(number, {}, "the row is not a JSON object: write {...} with one key per column")
    return FileRow(number, cells)


def _parquet(path: Path) -> Table:
    import pyarrow as pa

    try:
        table = read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ShiftScopeError(f"{path} is not a readable Parquet file ({error}): write it again") from error
    columns = {name: parquet_cells(table[name]) for name in table.column_names}
    rows = [FileRow(number, {name: cells[number - 1] for name, cells in columns.items()})
            for number in range(1, table.num_rows + 1)]  # fmt: skip
    return Table(list(columns), rows)
