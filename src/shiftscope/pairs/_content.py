"""What a user's file holds, told by its first bytes, not by its name: text, packed or not, Parquet, or what is refused by name."""

from __future__ import annotations

import lzma
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from shiftscope.errors import ShiftScopeError
from shiftscope.files import shown_bytes

LARGEST = 500_000_000
"""bytes of text, unpacked: more pairs than anybody embeds"""
HEAD = 4096
PACKED: dict[bytes, str] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
"""by first bytes: what a file is packed with"""
SUFFIXES = {".gz", ".zst", ".bz2", ".xz"}
REFUSED: dict[bytes, tuple[str, str]] = {
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "fetch it: git lfs pull --include={name}"),
    b"PK\x03\x04": ("an archive (zip), or a spreadsheet (xlsx, ods)",
                    "unpack it: unzip {name}; or save the spreadsheet as CSV"),
    b"7z\xbc\xaf\x27\x1c": ("an archive (7z)", "unpack it: 7z x {name}"),
    b"Rar!": ("an archive (rar)", "unpack it: unrar x {name}"),
    b"%PDF": ("a PDF", "copy its text into a CSV file"),
    b"\xd0\xcf\x11\xe0": ("an old spreadsheet or document (xls, doc)", "save it as CSV"),
    b"SQLite format 3\x00": ("a SQLite database", "export the table: sqlite3 -header -csv {name} 'select * from …' > pairs.csv"),
    b"ARROW1": ("an Arrow file", "give the folder of the dataset that it belongs to, or write it as Parquet"),
    b"\x93NUMPY": ("a NumPy array", "write the texts as CSV, JSONL or Parquet"),
    b"\x80\x04": ("a Python pickle, which could run anything when it is opened", "write the texts as CSV, JSONL or Parquet"),
    b"\x80\x05": ("a Python pickle, which could run anything when it is opened", "write the texts as CSV, JSONL or Parquet"),
}  # fmt: skip
"""by first bytes: what a file is, and the command that helps"""
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16",
         b"\xfe\xff": "utf-16"}  # fmt: skip
"""byte order marks, longer ones first"""


class Content(NamedTuple):
    """A file's text, or that it is Parquet."""

    text: str
    """bytes that are no UTF-8 stand in it as the lone surrogates of Python's `surrogateescape`"""
    parquet: bool
    kind: str
    """what its name says that it is: `csv`, `jsonl`, …, in lower case, without what it is packed with; may be empty"""


def read_content(path: Path, encoding: str | None = None) -> Content:
    """Read a file whole.

    Args:
        path: of the file.
        encoding: of its text; None: UTF-8, or as its byte order mark says.

    Raises:
        ShiftScopeError: it is missing, empty, too large, cut off, in another encoding, or no text; names the command that helps.
    """
    _check_file(path)
    try:
        with path.open("rb") as opened:
            head = opened.read(HEAD)
            opened.seek(0)
            if head.startswith(b"PAR1"):
                return Content("", True, "parquet")
            packed = next((name for mark, name in PACKED.items() if head.startswith(mark)), None)
            content = _unpacked(path, packed) if packed else _limited(opened, path)
    except OSError as error:
        raise ShiftScopeError(f"cannot read {path} ({error.strerror or error}): make it readable") from error
    _refuse(path, content[:HEAD], text=encoding is not None)
    names = [one.lower() for one in path.suffixes]
    kind = next((one.lstrip(".") for one in reversed(names) if one not in SUFFIXES), "")
    return Content(_decoded(path, content, encoding), False, kind)


def _check_file(path: Path) -> None:
    if path.is_dir():
        some = sorted(one.name for one in path.iterdir() if one.is_file())[:3]
        hint = f"name a file in it ({', '.join(some)}), or all of them: {path}/*" if some else "name a file"
        raise ShiftScopeError(f"{path} is a folder, and no dataset of Hugging Face's `datasets`: {hint}")
    if not path.exists():
        raise ShiftScopeError(f"{path} does not exist: correct `path` (relative to the folder of the Snakefile)")
    if not path.is_file():
        raise ShiftScopeError(f"{path} is no regular file: write what it gives into one")


def _limited(opened: Any, path: Path) -> bytes:
    content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ShiftScopeError(
            f"{path} holds more than {shown_bytes(LARGEST)} of text: a few thousand pairs are enough, so give a part of it: "
            f"head -n 20000 {path.name} > part{path.suffix}"
        )
    return content


def _unpacked(path: Path, packed: str) -> bytes:
    """What a packed file holds, read no further than is accepted, whatever its header promises."""
    import pyarrow as pa

    opener = lzma.open if packed == "xz" else partial(pa.input_stream, compression=packed)
    try:
        with opener(path) as opened:
            return _limited(opened, path)
    except (EOFError, OSError, lzma.LZMAError) as error:
        raise ShiftScopeError(f"{path} is cut off or damaged ({packed}: {error}): fetch it again") from error


def _refuse(path: Path, head: bytes, text: bool) -> None:
    """Refuse what is no text; with `text` its encoding was given, so that NUL bytes may be part of it.

    Raises:
        ShiftScopeError: says what it is, and what helps.
    """
    for mark, (what, remedy) in REFUSED.items():
        if head.startswith(mark):
            raise ShiftScopeError(f"{path} is {what}: {remedy.format(name=path.name)}")
    if head[257:262] == b"ustar":
        raise ShiftScopeError(f"{path} is an archive (tar): unpack it: tar xf {path.name}")
    begun = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if begun.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise ShiftScopeError(
            f"{path} is a web page (HTML or XML), probably an error or the page around the file: download the raw file"
        )
    if b"\0" in head and not text and not head.startswith(tuple(MARKS)):
        rest = head.replace(b"\0", b"")
        if rest.isascii() and len(rest) * 2 <= len(head) + 1:
            raise ShiftScopeError(
                f"{path} is UTF-16 without a byte order mark: save it as UTF-8: iconv -f UTF-16LE -t UTF-8 {path.name} > "
                f"utf8{path.suffix}"
            )
        if sum(byte < 9 for byte in rest) + head.count(b"\0") > len(head) // 100:
            raise ShiftScopeError(f"{path} is a binary file, not text: give a CSV, TSV, JSON or Parquet file")


def _decoded(path: Path, content: bytes, encoding: str | None) -> str:
    known = encoding or next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(known, "surrogateescape" if known.startswith("utf-8") else "strict").removeprefix(
            "\ufeff"
        )
    except UnicodeDecodeError as error:
        raise ShiftScopeError(
            f"{path} is not {known} (byte {error.start + 1}: {error.reason}): correct `encoding`, or save the file as UTF-8"
        ) from error
    if not text.strip():
        raise ShiftScopeError(f"{path} is empty: it needs a header and one row per pair")
    return text


def likely_encodings(path: Path) -> dict[str, str]:
    """What a file which is no UTF-8 may be in, as Python calls it, and how its first accent is read so: Windows' first, then a guess."""
    from charset_normalizer import from_bytes

    with path.open("rb") as opened:
        content = opened.read(1 << 20)
    place = next((place for place, byte in enumerate(content) if byte > 127), 0)
    sample = content[max(0, place - 6) : place + 6].replace(b"\n", b" ").replace(b"\r", b" ")
    best = from_bytes(content).best()
    guesses = ["cp1252", *([best.encoding] if best is not None else [])]
    found = {}
    for name in guesses:
        try:
            found.setdefault(name, sample.decode(name))
        except UnicodeDecodeError:
            continue
    return {name: text for name, text in found.items() if name not in ("ascii", "utf_8")}
