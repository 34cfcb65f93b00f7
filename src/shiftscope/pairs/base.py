"""What every pair dataset shares: its parameters, the pair and its true shift, and the file that pairs are written to."""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Formatter
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, sha256_of, write_json, write_text
from shiftscope.kinds import Kind, Strict
from shiftscope.texts import shown
from shiftscope.vocabulary import SPLITS, DatasetFacts

Orientation = Literal["given", "random"]


class PairDataset(Kind):
    """A dataset of text pairs: what every one takes (a template, a seed, the share of groups that is held out) and offers.

    A dataset is defined by its template as much as by its words: the vector is read at the last token.
    """

    placeholders: ClassVar[tuple[str, ...]] = ("text",)
    """what a template must hold"""
    n_varying: ClassVar[int | None] = None
    """|V|, the code size if the config names none; None where only the user can say"""
    word_lists: ClassVar[tuple[str, ...]] = ()
    """word lists that it reads, as `word_lists.word_files` takes them"""
    trained_by_default: ClassVar[bool] = True
    """whether variants are trained on it; else only those that its own `variants` names, and any language model may embed it"""

    for_vectors: ClassVar[bool] = False
    """whether it is there for its steering vectors: they get a diagnosis before training, a card and a page of the report"""

    template: str
    seed: int = Field(0, ge=0)
    held_out: float = Field(0.4, gt=0, lt=1)
    orientation: Orientation = Field(
        "given", description="training pairs as they stand, before and after (given), or turned at random (random)"
    )

    @abstractmethod
    def build(self) -> Pairs:
        """The pairs, split and turned.

        Raises:
            ShiftScopeError: its words or its file cannot be used; names the cause and the fix.
        """

    def concept_names(self) -> tuple[str, ...]:
        """The steering concepts, as far as they are known before the pairs are made."""
        return ()

    @property
    def labelled(self) -> bool:
        """Whether it is known which concepts change in a pair."""
        return True

    @property
    def user_files(self) -> tuple[Path, ...]:
        """The user's own files or folders that it reads, if it reads any: its field `path`.

        Raises:
            ShiftScopeError: there are none where it names some.
        """
        return ()

    @field_validator("template")
    @classmethod
    def _template_is_complete(cls, template: str) -> str:
        """Refuse a template that lacks a placeholder, repeats one or holds one that nothing fills."""
        wanted = " ".join(f"{{{name}}}" for name in cls.placeholders)
        rule = f"must hold each of {wanted} once and no other placeholder (a literal brace is written {{{{ or }}}})"
        try:
            parsed = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"template {template!r} {rule}: {error}") from error
        if sorted(parsed) != sorted((name, "", None) for name in cls.placeholders):
            found = " ".join(f"{{{name}}}" for name, *_ in parsed) or "none"
            raise ValueError(f"template {template!r} {rule}; found {found}")
        return template


class PairsSlice(Strict):
    """The slice of the config of a pair dataset, without the `path` of the user's own files, if it reads any.

    `files_sha256` is theirs: equal bytes elsewhere are the same pairs.
    """

    dataset: str
    kind: str
    params: dict[str, Any]
    files_sha256: str | None = None


def dataset_of(kind: str, params: Mapping[str, Any], files: Sequence[Path]) -> PairDataset:
    """The dataset that a slice stands for; `files` are the user's own, if it reads any."""
    path = files[0] if len(files) == 1 else list(files)
    return kinds.load("pairs", kind)(**params, **({"path": path} if files else {}))


@dataclass(frozen=True)
class Pair:
    """Two texts and the true concept shift δc from the first to the second.

    `shifts` maps the name of a truth to its non-zero columns; turning a pair round negates them all.
    """

    text_0: str
    text_1: str
    group: int
    shifts: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    back: bool = False
    """whether it stands turned round: its first text came after its second"""

    def turned(self) -> Pair:
        """The same pair read from its other end."""
        shifts = {name: {column: -value for column, value in shift.items()} for name, shift in self.shifts.items()}
        return replace(self, text_0=self.text_1, text_1=self.text_0, shifts=shifts, back=not self.back)

    def single_change(self, steering: str | None) -> tuple[int, int]:
        """`(concept, sign)` of the one concept that changes under the truth `steering`; `(-1, 0)` if not exactly one."""
        shift = self.shifts[steering] if steering else {}
        if len(shift) != 1:
            return -1, 0
        ((concept, value),) = shift.items()
        return concept, 1 if value > 0 else -1


@dataclass(frozen=True)
class Rejected:
    """A row of a user's file that was left out; `row` counts from 1 at the first row after the header."""

    row: int
    reason: str
    text_0: str
    text_1: str
    file: str = ""
    """where there are several"""


@dataclass(frozen=True)
class Pairs:
    """A whole dataset: its pairs by split, and the names of what changes in them.

    `truths` maps a truth to its column names, the primary truth first. `steering` names the truth whose columns are
    the steering concepts; None where the truth is unknown. `facts` are a dataset's own additions to the manifest.
    """

    splits: Mapping[str, Sequence[Pair]]
    template: str
    split_unit: str
    truths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    steering: str | None = None
    orientation: Orientation = "given"
    """how training pairs are turned; held-out ones always are at random"""
    rejected: Sequence[Rejected] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def concepts(self) -> list[str]:
        """The names of the steering concepts."""
        return list(self.truths[self.steering]) if self.steering else []

    @property
    def max_changed(self) -> int | None:
        """The most steering concepts that change in one pair, max|S| of paper A; None where the truth is unknown."""
        if self.steering is None:
            return None
        return max(len(pair.shifts[self.steering]) for rows in self.splits.values() for pair in rows)


class RowsError(ShiftScopeError):
    """A user's file of which no dataset can be made; `rejected` are the rows that were left out before that was clear."""

    def __init__(self, message: str, rejected: Sequence[Rejected]) -> None:
        super().__init__(message)
        self.rejected = rejected


class PairsManifest(DatasetFacts):
    """`manifest.json` of text pairs (docs/file-formats.md)."""

    template: str
    sha256: str


def build_pairs(
    dataset: PairDataset, asked: PairsSlice, pairs: Path, rejected: Path, manifest: Path, refused: Path
) -> None:
    """Build a dataset and write its three files; if it cannot be built, the rows that were left out stand in `refused`.

    Raises:
        ShiftScopeError: it cannot.
    """
    refused.unlink(missing_ok=True)
    try:
        built = dataset.build()
    except RowsError as error:
        if not error.rejected:
            raise
        write_rejected(refused, error.rejected)
        raise ShiftScopeError(f"{error}; all {len(error.rejected)} rows that were left out: {refused}") from error
    write_pairs(built, asked.dataset, asked.kind, pairs, rejected, manifest)


def write_pairs(built: Pairs, dataset: str, kind: str, pairs: Path, rejected: Path, manifest: Path) -> None:
    """Write the three files of the dataset called `dataset`, with the same bytes for the same content.

    Raises:
        ShiftScopeError: a split that training or evaluation needs is empty.
    """
    rows = [(split, pair) for split in SPLITS for pair in built.splits[split]]
    counts = Counter(split for split, _ in rows)
    for split in ("train", "test"):
        if not counts[split]:
            raise ShiftScopeError(f"dataset {dataset} has no {split} pairs: give it more pairs or another `held_out`")
    write_rejected(rejected, built.rejected)
    _write_table(built, rows, pairs)
    facts: PairsManifest = {
        **built.facts,
        "dataset": dataset,
        "kind": kind,
        "n_varying": len(built.concepts) or None,
        "max_changed": built.max_changed,
        "template": built.template,
        "split_unit": built.split_unit,
        "orientation": built.orientation,
        "concepts": built.concepts,
        "truths": {name: list(columns) for name, columns in built.truths.items()},
        "primary_truth": next(iter(built.truths), None),
        "counts": {split: counts[split] for split in SPLITS},
        "rejected": len(built.rejected),
        "sha256": sha256_of(pairs),
    }
    write_json(manifest, facts)


def truth_matrix(pairs: list[Pair], name: str, columns: int) -> Any:
    """The true shifts δc of the pairs under the truth `name`, float32 `[n, columns]`."""
    import numpy as np

    matrix = np.zeros((len(pairs), columns), np.float32)
    for row, pair in enumerate(pairs):
        for column, value in pair.shifts[name].items():
            matrix[row, column] = value
    return matrix


def _write_table(built: Pairs, rows: list[tuple[str, Pair]], path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    pairs = [pair for _, pair in rows]
    changes = [pair.single_change(built.steering) for pair in pairs]
    columns = {
        "text_0": pa.array([pair.text_0 for pair in pairs], pa.string()),
        "text_1": pa.array([pair.text_1 for pair in pairs], pa.string()),
        "split": pa.array([split for split, _ in rows], pa.string()),
        "group": pa.array([pair.group for pair in pairs], pa.int64()),
        "concept": pa.array([concept for concept, _ in changes], pa.int64()),
        "sign": pa.array([sign for _, sign in changes], pa.int8()),
        "back": pa.array([pair.back for pair in pairs], pa.bool_()),
    }
    for name, names in built.truths.items():
        matrix = truth_matrix(pairs, name, len(names))
        ends = np.arange(len(pairs) + 1, dtype=np.int32) * len(names)
        columns[f"truth.{name}"] = pa.ListArray.from_arrays(pa.array(ends), pa.array(matrix.ravel(), pa.float32()))
    with atomic(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def write_rejected(path: Path, rejected: Sequence[Rejected]) -> None:
    """Write the rows that were left out as CSV, with their file's name if there are several."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    several = any(one.file for one in rejected)
    writer.writerow(["row", "reason", "text_0", "text_1", *(["file"] if several else [])])
    for one in rejected:
        cells = [one.row, shown(one.reason), shown(one.text_0), shown(one.text_1)]
        writer.writerow([*cells, *([one.file] if several else [])])
    write_text(path, written.getvalue())
