"""`results/activations`: the activation of every token of a corpus, written and read here.

A store is a manifest and shards: Arrow files of a fixed number of windows each, memory-mapped, whose columns are the
vector, its document, its position there and its token. Windows are in a random order before a language model reads them,
and vectors are in a random order within a shard, so any part of a store is a random sample, and reading may be sequential.

A reader compares each shard with the manifest once, when it opens it first: its shape, its sha256, and that all of its
numbers are finite. That reads the shard once more than the reader needs it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pyarrow as pa

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, read_json, sha256_of

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
"""how a vector's numbers are kept; numpy has no bfloat16, so its 16 bits stand as whole numbers"""
OPEN_SHARDS = 8
"""shards that a reader mixes at a time"""
RUN = 64
"""vectors that are read one after the other: long enough for a disk, short enough to mix"""
AT_ONCE = 4096
"""vectors that are looked through at once for what is no number"""
AGAIN = "delete it, and `make pull` or `make run` brings it back"
"""what mends a file of a store"""


class Chunk(NamedTuple):
    """Vectors in the order in which they are stored, and where each is from."""

    activations: np.ndarray
    """`[n, d]` float32"""
    document: np.ndarray
    """`[n]` int32, the document's row in the corpus"""
    position: np.ndarray
    """`[n]` int32, tokens of the document before this one"""
    token: np.ndarray
    """`[n]` int32"""


class ShardFacts(TypedDict):
    """One shard; `file` is relative to the store's folder."""

    file: str
    rows: int
    sha256: str


class PartFacts(TypedDict):
    """`manifest.json` of a part: what one job has cached."""

    layer: str
    stored: str
    split: str
    d_model: int
    windows_sha256: str
    lm: str
    lm_files: dict[str, str]
    shards: list[ShardFacts]


class StoreFacts(TypedDict):
    """`manifest.json` of a store (docs/file-formats.md)."""

    lm: str
    untrained_of: str | None
    lm_source: dict[str, Any]
    lm_files: dict[str, str]
    layer: str
    dataset: str
    corpus: str
    corpus_sha256: str
    windows_sha256: str
    window: int
    separator: str
    stored: str
    shape: dict[str, list[int]]
    documents: dict[str, int]
    shards: dict[str, list[ShardFacts]]


def as_stored(activations: np.ndarray, dtype: str) -> np.ndarray:
    """Vectors `[n, d]` float32 as numbers of a stored type.

    Raises:
        ShiftScopeError: one is not finite, or too large for it.
    """
    if not np.isfinite(activations).all():
        raise ShiftScopeError("an activation is not finite (NaN or infinity), so it cannot be stored")
    if dtype == "bfloat16":
        bits = activations.view(np.uint32)
        stored = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)  # to the nearest, ties to even
    else:
        with np.errstate(over="ignore"):
            stored = activations.astype(DTYPES[dtype])
    if not np.isfinite(from_stored(stored)).all():
        largest, others = float(np.abs(activations).max()), "bfloat16 or float32" if dtype == "float16" else "float32"
        raise ShiftScopeError(f"an activation of {largest:.6g} is too large for {dtype}: write `stored: {others}`")
    return stored


def from_stored(stored: np.ndarray) -> np.ndarray:
    """Numbers of a stored type as float32; of float32 itself the same memory."""
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32, copy=False)


def write_arrow(path: Path, columns: Mapping[str, pa.Array]) -> None:
    """Write columns of equal length as an Arrow file of one batch, atomically."""
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    with atomic(path) as temporary, pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as out:
        out.write_batch(batch)


def map_arrow(path: Path) -> pa.RecordBatch:
    """Map what `write_arrow` wrote into memory: nothing is read before it is used.

    Raises:
        ShiftScopeError: it is missing or damaged.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path), "r")).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise ShiftScopeError(f"{path} is missing or damaged ({error}): {AGAIN}") from error


def lists_of(column: pa.Array) -> np.ndarray:
    """Lists of one length as an array `[n, length]`, the same memory."""
    return column.values.to_numpy(zero_copy_only=True).reshape(len(column), column.type.list_size)


def write_shard(path: Path, chunk: Chunk, dtype: str) -> None:
    """Write vectors and where they are from, atomically; the same bytes for the same content."""
    stored = as_stored(chunk.activations, dtype)
    flat = pa.array(stored.reshape(-1))
    columns = {
        "activation": pa.FixedSizeListArray.from_arrays(flat, stored.shape[1]),
        "document": pa.array(chunk.document, pa.int32()),
        "position": pa.array(chunk.position, pa.int32()),
        "token": pa.array(chunk.token, pa.int32()),
    }
    write_arrow(path, columns)


class Shard(NamedTuple):
    """A shard in memory-mapped arrays: nothing is read before it is used."""

    stored: np.ndarray
    """`[n, d]`, one of `DTYPES`"""
    document: np.ndarray
    position: np.ndarray
    token: np.ndarray


def open_shard(path: Path) -> Shard:
    """Map a shard into memory.

    Raises:
        ShiftScopeError: it is missing or damaged.
    """
    batch = map_arrow(path)
    where = (batch.column(name).to_numpy(zero_copy_only=True) for name in ("document", "position", "token"))
    return Shard(lists_of(batch.column("activation")), *where)


class Store:
    """Activations of a corpus, read in constant memory whatever their number."""

    def __init__(self, manifest: Path) -> None:
        self.folder, self._manifest = manifest.parent, manifest
        self.facts: StoreFacts = read_json(manifest)
        self._check_counts()
        self._verified: set[str] = set()
        """shards that were compared with the manifest"""

    @property
    def d(self) -> int:
        """Width of a vector."""
        return next(iter(self.facts["shape"].values()))[1]

    @property
    def origin(self) -> dict[str, str]:
        """What tells this store from others: the language model, layer and dataset, and the sha256 of the manifest."""
        return {key: self.facts[key] for key in ("lm", "layer", "dataset")} | {"sha256": sha256_of(self._manifest)}

    def rows(self, split: str = "train") -> int:
        """How many vectors a split has."""
        return self.facts["shape"][split][0]

    def batches(self, batch_size: int, seed: int, start: int = 0, split: str = "train") -> Iterator[np.ndarray]:
        """Batches `[batch_size, d]` float32 without end, every epoch in another order, which `seed` fixes.

        Every vector is read once an epoch. `start` is the number of batches that were read already.
        """
        opened = functools.lru_cache(2 * OPEN_SHARDS)(lambda number: self._open(split, number).stored)
        for pieces in runs_of([shard["rows"] for shard in self.facts["shards"][split]], batch_size, seed, start):
            yield np.concatenate([from_stored(opened(number)[first:last]) for number, first, last in pieces])

    def chunks(self, split: str = "test") -> Iterator[Chunk]:
        """All vectors of a split in the order in which they are stored, a shard at a time."""
        for number in range(len(self.facts["shards"][split])):
            shard = self._open(split, number)
            yield Chunk(from_stored(shard.stored), shard.document, shard.position, shard.token)

    def _check_counts(self) -> None:
        """Every split has vectors, and so has every shard: as many as the manifest says in the whole.

        Raises:
            ShiftScopeError: one has none, or the numbers do not agree; the manifest is of something else.
        """
        try:
            DTYPES[self.facts["stored"]]
            counted = {split: [one["rows"] for one in self.facts["shards"][split]] for split in self.facts["shape"]}
            known = {split: self.facts["shape"][split][0] for split in counted}
        except (KeyError, TypeError) as error:
            raise ShiftScopeError(
                f"{self._manifest} is no manifest of a store ({error} is missing): {AGAIN}"
            ) from error
        for split, rows in counted.items():
            if 0 in rows or not rows:
                what = f"shard {rows.index(0)} of split {split}" if rows else f"split {split}"
                raise ShiftScopeError(
                    f"{self._manifest}: {what} has no vectors: {AGAIN}, or raise `tokens` and `held_out`"
                )
            if sum(rows) != known[split]:
                raise ShiftScopeError(
                    f"{self._manifest}: the shards of split {split} have {sum(rows)} vectors, and the split has "
                    f"{known[split]}: {AGAIN}"
                )

    def _open(self, split: str, number: int) -> Shard:
        """A shard, mapped; the first time compared with what the manifest says of it."""
        about = self.facts["shards"][split][number]
        shard = open_shard(self.folder / about["file"])
        if about["file"] not in self._verified:
            self._verify(about, shard)
            self._verified.add(about["file"])
        return shard

    def _verify(self, about: ShardFacts, shard: Shard) -> None:
        """Compare a shard with the manifest.

        Raises:
            ShiftScopeError: its shape, type or digest is another, or a number is not finite; names the file.
        """
        file, expected = self.folder / about["file"], ((about["rows"], self.d), np.dtype(DTYPES[self.facts["stored"]]))
        if (shard.stored.shape, shard.stored.dtype) != expected:
            raise ShiftScopeError(
                f"{file} holds {shard.stored.shape} {shard.stored.dtype} and should hold {expected[0]} {expected[1]}: it is "
                f"of another store; {AGAIN}"
            )
        if sha256_of(file) != about["sha256"]:
            raise ShiftScopeError(
                f"{file} is not the shard that {self._manifest} lists (its sha256 is another): it is damaged, or of "
                f"another place; {AGAIN}"
            )
        for start in range(0, about["rows"], AT_ONCE):
            bad = np.argwhere(~np.isfinite(from_stored(shard.stored[start : start + AT_ONCE])).all(1))
            if len(bad):
                raise ShiftScopeError(
                    f"{file} holds NaN or infinity, first in row {start + bad[0][0]}: cache these activations again, with "
                    "`dtype: float32` of the language model, or at another layer"
                )


Run = tuple[int, int, int]
"""a shard's number, and its first and last row (exclusive) of those that are read one after the other"""


def runs_of(sizes: Sequence[int], batch_size: int, seed: int, start: int = 0) -> Iterator[list[Run]]:
    """For each batch the runs that make it, epoch after epoch without end; the first `start` batches are left out.

    Raises:
        ShiftScopeError: there is no vector.
    """
    if not sum(sizes):
        raise ShiftScopeError("the store has no vectors: raise `tokens`")
    epoch, skip = divmod(start * batch_size, sum(sizes))
    runs = itertools.chain.from_iterable(_epoch(sizes, seed, number) for number in itertools.count(epoch))
    pieces, wanted = [], batch_size
    for shard, first, last in runs:
        if skip >= last - first:
            skip -= last - first
            continue
        first, skip = first + skip, 0
        while first < last:
            taken = min(wanted, last - first)
            pieces.append((shard, first, first + taken))
            first, wanted = first + taken, wanted - taken
            if not wanted:
                yield pieces
                pieces, wanted = [], batch_size


def _epoch(sizes: Sequence[int], seed: int, epoch: int) -> Iterator[Run]:
    """All rows of all shards once: a few shards at a time, cut into runs at random places, the runs in a random order."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(sizes))
    for group in range(0, len(order), OPEN_SHARDS):
        runs = [
            run for shard in order[group : group + OPEN_SHARDS] for run in _cut(int(shard), sizes[shard], generator)
        ]
        for place in generator.permutation(len(runs)):
            yield runs[place]


def _cut(shard: int, rows: int, generator: np.random.Generator) -> list[Run]:
    edges = [0, *range(int(generator.integers(1, RUN + 1)), rows, RUN), rows]
    return [(shard, first, last) for first, last in itertools.pairwise(edges) if first < last]
