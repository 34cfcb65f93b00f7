"""Corpora of text that is read, not made: what is kept, what is left out and why, and how a killed job goes on.

Documents are read in a fixed order, in batches. Every batch is judged and written to a chunk in the job's state folder, with
the place behind it; when all are there, they are put together. A job that was killed reads its chunks and goes on from the
place of the last one, so that it ends with the same bytes as one that was not.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import logging
import shutil
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from pydantic import Field

from shiftscope.corpora.base import REJECTED_COLUMNS, Corpus, CorpusFiles, CorpusSlice
from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, sha256_of, write_json
from shiftscope.texts import broken_byte, shown

logger = logging.getLogger(__name__)
ROW_GROUP = 256
"""documents"""
DOCUMENTS, CHARACTERS = 2000, 1 << 24
"""a batch is whole when it has so many documents or characters"""
LONGEST = 1 << 30
"""bytes of a document: a column of Parquet takes no more at once"""
NAMED = 3
"""documents that a warning quotes"""
DUPLICATE = "duplicate"

Place = tuple[str, int | None]
"""a source (a file by its name), and a document in it"""


class Item(NamedTuple):
    """What was read: a document, or why there is none; `document` counts from 1 and is None for a source as a whole."""

    source: str
    document: int | None
    text: Any
    problem: str = ""

    @property
    def where(self) -> str:
        """Source and document: `train/00.jsonl.zst:17`."""
        return self.source if self.document is None else f"{self.source}:{self.document}"

    @property
    def reason(self) -> str:
        """The problem without its details, by which it is counted."""
        return self.problem.partition(" (")[0]


Batch = tuple[list[Item], Any]
"""items, and where to go on behind them, as JSON can hold it"""


class TextCorpus(Corpus):
    """`documents` and `characters`: reading ends when so many are kept; None for all there is.

    `deduplicate` leaves out a text that stood before, compared by sha256: some 150 bytes of memory a document.
    """

    documents: int | None = Field(None, ge=1)
    characters: int | None = Field(None, ge=1)
    deduplicate: bool = True

    @abstractmethod
    def batches(self, after: Any) -> Iterator[Batch]:
        """Everything that there is to read, in order, from behind a place; None for the beginning.

        Where batches end depends on nothing but what is read and where they begin.

        Raises:
            ShiftScopeError: nothing can be read, or no more; names the cause and the fix.
        """

    def write(self, asked: CorpusSlice, files: CorpusFiles, state: Path) -> None:
        """Write the files of the corpus, going on from what lies in `state`.

        Raises:
            ShiftScopeError: nothing can be read, or nothing of it can be kept.
        """
        if self.versions() != asked.versions:
            raise ShiftScopeError(
                f"corpus {asked.corpus} is to be read from {_listed(asked.versions)}, and here are {_listed(self.versions())}: "
                "run Snakemake and its jobs in the same environment"
            )
        tally = _gather(self, state)
        chunks = sorted(state.glob("*.parquet"))
        if not tally.documents:
            first = "; ".join(f"{item.where}: {item.problem}" for item in itertools.islice(_rejected(chunks), NAMED))
            shutil.rmtree(state, ignore_errors=True)
            raise ShiftScopeError(
                f"corpus {asked.corpus}: none of {tally.read} documents can be used ({first or 'there is none'}): see "
                "docs/corpora.md for what a file may hold"
            )
        _write_documents(chunks, files.documents)
        _write_rejected(chunks, files.rejected)
        _tell(asked.corpus, tally, chunks, files.rejected)
        facts: TextManifest = {
            **asked.model_dump(mode="json"),
            "documents_in": tally.read,
            "documents": tally.documents,
            "characters": tally.characters,
            "rejected": dict(sorted(tally.rejected.items())),
            "ended_by": tally.full,
            "sha256": sha256_of(files.documents),
        }
        write_json(files.manifest, facts)
        shutil.rmtree(state)


class TextManifest(TypedDict):
    """`manifest.json` of a corpus of text (docs/file-formats.md)."""

    corpus: str
    kind: str
    params: dict[str, Any]
    files_sha256: str | None
    versions: dict[str, str]
    documents_in: int
    documents: int
    characters: int
    rejected: dict[str, int]
    ended_by: str | None
    sha256: str


def in_batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in lists, each of at most `DOCUMENTS` and ending with the one that makes it `CHARACTERS` long."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.text) if isinstance(item.text, str) else 0
        if len(batch) == DOCUMENTS or size >= CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Tally:
    """What was read so far, and what of it is kept."""

    def __init__(self, corpus: TextCorpus) -> None:
        self.corpus = corpus
        self.read, self.documents, self.characters = 0, 0, 0
        self.rejected: Counter[str] = Counter()
        self.known: set[bytes] = set()

    @property
    def full(self) -> str | None:
        """The limit that ended the reading, if one did."""
        limits = {"documents": self.corpus.documents, "characters": self.corpus.characters}
        return next((name for name, most in limits.items() if most and getattr(self, name) >= most), None)

    def judged(self, item: Item) -> Item:
        """The item with why it is left out, if it is; counted."""
        problem, content = (item.problem, b"") if item.problem else _check(item.text)
        digest = hashlib.sha256(content).digest()[:16] if self.corpus.deduplicate and not problem else b""
        if digest in self.known:
            problem = DUPLICATE
        elif digest:
            self.known.add(digest)
        judged = item._replace(problem=problem)
        if problem:
            judged = judged._replace(text=shown(item.text if isinstance(item.text, str) else repr(item.text)))
        self.count(judged)
        return judged

    def count(self, judged: Item) -> None:
        """Count an item that was judged."""
        self.read += 1
        if judged.problem:
            self.rejected[judged.reason] += 1
        else:
            self.documents += 1
            self.characters += len(judged.text)

    def recall(self, judged: Item) -> None:
        """Count an item that was judged before the job was killed."""
        self.count(judged)
        if self.corpus.deduplicate and not judged.problem:
            self.known.add(hashlib.sha256(judged.text.encode()).digest()[:16])


def _check(text: Any) -> tuple[str, bytes]:
    """Why a text cannot be used, or an empty string; and its bytes."""
    if text is None:
        return "no text (null)", b""
    if not isinstance(text, str):
        return f"not a string ({type(text).__name__})", b""
    if not text.strip():
        return "empty", b""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        return f"not UTF-8 ({broken_byte(text)})", b""
    return ("", content) if len(content) <= LONGEST else (f"too long ({len(content)} bytes: split it)", b"")


def _gather(corpus: TextCorpus, state: Path) -> _Tally:
    """Read what is not in the state folder yet, one chunk a batch."""
    tally, after, before = _Tally(corpus), None, sorted(state.glob("*.parquet"))
    for chunk in before:
        items, after = _read_chunk(chunk)
        for item in items:
            tally.recall(item)
    if before:
        logger.info("going on behind %d documents that were read before", tally.read)
    if tally.full:
        return tally
    for number, (items, place) in enumerate(corpus.batches(after), start=len(before) + 1):
        judged: list[Item] = []
        for item in items:
            if not tally.full:
                judged.append(tally.judged(item))
        _write_chunk(state / f"{number:08}.parquet", judged, place)
        if tally.full:
            break
    return tally


# --- the chunks, and the files that are made of them


def _write_chunk(path: Path, items: list[Item], after: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "source": pa.array([item.source for item in items], pa.string()),
        "document": pa.array([item.document for item in items], pa.int64()),
        "problem": pa.array([item.problem for item in items], pa.string()),
        "text": pa.array([item.text for item in items], pa.string()),
    }
    table = pa.table(columns).replace_schema_metadata({"after": json.dumps(after)})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read_chunk(path: Path) -> tuple[list[Item], Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as opened:
        table = opened.read()
    columns = (table[name].to_pylist() for name in ("source", "document", "text", "problem"))
    return [Item(*row) for row in zip(*columns, strict=True)], json.loads(table.schema.metadata[b"after"])


def _write_documents(chunks: list[Path], path: Path) -> None:
    """Columns `text` and `source`, in row groups so small that documents can be read in any order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"text": pa.string(), "source": pa.string()})
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for chunk in chunks:
            kept = [item for item in _read_chunk(chunk)[0] if not item.problem]
            columns = [[item.text for item in kept], [item.where for item in kept]]
            if kept:
                writer.write_table(pa.table(columns, schema=schema), ROW_GROUP)


def _rejected(chunks: list[Path]) -> Iterator[Item]:
    return (item for chunk in chunks for item in _read_chunk(chunk)[0] if item.problem)


def _write_rejected(chunks: list[Path], path: Path) -> None:
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(REJECTED_COLUMNS)
        for item in _rejected(chunks):
            writer.writerow([item.source, item.document, item.problem, item.text])


def _tell(corpus: str, tally: _Tally, chunks: list[Path], rejected: Path) -> None:
    """One line for the log; what is left out for another reason than that it stood before is a warning."""
    counts = ", ".join(f"{count} {reason}" for reason, count in tally.rejected.most_common())
    logger.info("%s: %d documents in, %d out; left out: %s", corpus, tally.read, tally.documents, counts or "none")
    others = tally.rejected.total() - tally.rejected[DUPLICATE]
    if others:
        faulty = (item for item in _rejected(chunks) if item.problem != DUPLICATE)
        first = "; ".join(f"{item.where}: {item.problem}" for item in itertools.islice(faulty, NAMED))
        more = f"; and {others - NAMED} more" if others > NAMED else ""
        logger.warning(
            "%s: %d of %d documents are left out (%s): %s%s; all are in %s",
            corpus, tally.rejected.total(), tally.read, counts, first, more, rejected,
        )  # fmt: skip


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items()) or "no packages"
