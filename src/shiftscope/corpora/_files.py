"""Documents of a user's file or folder, one after the other in constant memory, whatever is wrong with some of them.

    .txt        one document a file
    .jsonl      one document a line, a JSON object with a column of text
    .parquet    one document a row, with a column of text

The first two may be packed: `.jsonl.zst`, `.txt.gz`, of several frames, too.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from shiftscope.corpora._text import Batch, Item, Place, in_batches
from shiftscope.errors import ShiftScopeError
from shiftscope.texts import parquet_cells

PACKED = {".zst": "zstd", ".gz": "gzip"}
BLOCK = 1 << 16
"""bytes that are read at once"""
ROWS = 500
"""rows of a Parquet file that are read at once"""
CUT = "cut off or damaged"


def files_at(path: Path) -> dict[str, Path]:
    """A folder's files by their names in it, in the order of the names, or the one file.

    Raises:
        ShiftScopeError: there is none, or a folder in it cannot be read; names the path.
    """
    if not path.exists():
        raise ShiftScopeError(f"{path} does not exist: correct `path` (relative to the folder of the Snakefile)")
    if not path.is_dir():
        return {_readable(path.name): path}
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_refuse):
        # a link to a folder is followed by nobody, so it stands among the files, and is reported as one
        found += [Path(folder, name) for name in [*names, *(one for one in folders if Path(folder, one).is_symlink())]]
    if not found:
        raise ShiftScopeError(f"{path} holds no files: put text into it, or correct `path`")
    return dict(sorted((_readable(file.relative_to(path).as_posix()), file) for file in found))


def _refuse(error: OSError) -> None:
    raise ShiftScopeError(f"cannot read {error.filename} ({error.strerror}): make it readable, or name another `path`")


def _readable(name: str) -> str:
    """A file's name as UTF-8, whatever bytes it has."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def read_files(path: Path, column: str, after: Place | None) -> Iterator[Item]:
    """Every document of a file or folder, in order, from behind the place `after`; what is none says why.

    Args:
        path: the file or folder.
        column: of the text, in files that have columns.
        after: the place of the last document that is not wanted anew, of a file that is done without a number; None for all.
    """
    for name, file in files_at(path).items():
        if after is None or name > after[0]:
            yield from _documents(name, file, column, 0)
        elif name == after[0] and after[1] is not None:
            yield from _documents(name, file, column, after[1])


def _documents(name: str, file: Path, column: str, seen: int) -> Iterator[Item]:
    """The documents of one file behind the first `seen`; the number at which it ends too early is one, too."""
    codec = PACKED.get(file.suffix.lower())
    kind = file.with_suffix("").suffix.lower() if codec else file.suffix.lower()
    if file.exists() and not file.is_file():
        yield Item(name, None, "", "no regular file")
        return
    if kind not in READERS or (codec and kind == ".parquet"):
        yield Item(name, None, "", f"unknown suffix (none of {', '.join(READERS)})")
        return
    number = seen
    try:
        for number, text, problem in READERS[kind](file, codec, column, seen):
            yield Item(name, number, text, problem)
    except OSError as error:
        if error.errno is not None and not number:
            yield Item(name, None, "", f"cannot be read ({os.strerror(error.errno)})")
        else:
            yield Item(name, number + 1, "", f"{CUT} ({error}; what follows is lost)")
    except _WholeFileError as error:
        yield Item(name, None, "", str(error))
    else:
        if not number:
            yield Item(name, None, "", "no documents (the file is empty)")


class _WholeFileError(Exception):
    """Why a file has no documents."""


Numbered = tuple[int, Any, str]
"""a document's number in its file, its text, and what is wrong with it"""


def _text(file: Path, codec: str | None, column: str, seen: int) -> Iterator[Numbered]:
    if seen:
        return
    content = b"".join(_pieces(file, codec))
    yield 1, _decoded(content), ""


def _json_lines(file: Path, codec: str | None, column: str, seen: int) -> Iterator[Numbered]:
    for number, line in enumerate(_lines(_pieces(file, codec)), start=1):
        if number > seen:
            yield number, *_of_json(_decoded(line), column)


def _of_json(line: str, column: str) -> tuple[Any, str]:
    if not line.strip():
        return line, "empty"
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError) as error:
        return line, f"not JSON ({error})"
    if not isinstance(cells, dict):
        return line, "not a JSON object"
    return (cells[column], "") if column in cells else (line, f"no {column}")


def _parquet(file: Path, codec: str | None, column: str, seen: int) -> Iterator[Numbered]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise _WholeFileError(f"not a readable Parquet file ({error})") from error
    with opened:
        if column not in opened.schema_arrow.names:
            raise _WholeFileError(f"no column {column} (it has {', '.join(opened.schema_arrow.names)})")
        number = 0
        for batch in opened.iter_batches(ROWS, columns=[column]):
            cells = parquet_cells(batch.column(0)) if number + len(batch) > seen else ()
            yield from ((one, cell, "") for one, cell in enumerate(cells, start=number + 1) if one > seen)
            number += len(batch)


READERS: dict[str, Callable[[Path, str | None, str, int], Iterator[Numbered]]] = {
    ".parquet": _parquet, ".txt": _text, ".jsonl": _json_lines
}  # fmt: skip
"""by suffix: the documents of a file behind the first `seen`"""


def _decoded(content: bytes) -> str:
    """Text with what is no UTF-8 as lone surrogates, without the mark that some editors put before it."""
    return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
    if any(begun):
        yield b"".join(begun)


def _pieces(file: Path, codec: str | None) -> Iterator[bytes]:
    """The bytes of a file, unpacked.

    Raises:
        OSError: it cannot be read; of an archive that is cut off, after everything before the cut.
    """
    import pyarrow as pa

    whole = 0
    try:
        with pa.input_stream(file, compression=codec) as stream:
            while piece := stream.read(BLOCK):
                yield piece
                whole += 1
    except OSError:
        if codec and file.is_file():
            yield from _last_bytes(file, codec, whole)
        raise


def _last_bytes(file: Path, codec: str, whole: int) -> Iterator[bytes]:
    """What there is behind so many whole blocks: pyarrow keeps nothing of a read in whose middle an archive ends."""
    import pyarrow as pa

    with suppress(OSError), pa.input_stream(file, compression=codec) as stream:
        for _ in range(whole):
            stream.read(BLOCK)
        while byte := stream.read(1):
            yield byte


def batches_of_files(path: Path, column: str, after: Place | None) -> Iterator[Batch]:
    """`read_files` in batches, each with the place of its last document."""
    for items in in_batches(read_files(path, column, after)):
        last = items[-1]
        yield items, (last.source, None if last.reason == CUT else last.document)
