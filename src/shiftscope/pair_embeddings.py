"""Pair embeddings and their shifts δz = z̃ - z: `embeddings.safetensors` and its manifest (docs/file-formats.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

import numpy as np

from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.files import read_json, read_tensors, sha256_of, write_json, write_tensors
from shiftscope.vocabulary import SPLITS, DatasetFacts

if TYPE_CHECKING:
    import pyarrow


CHUNK = 4096
"""pairs whose moment is summed at once"""
ARRAYS = ("embedding_0", "embedding_1", "split", "group", "concept", "sign", "text", "back", "odd")
"""of every file of embeddings, beside its truths"""


class EmbeddingFacts(DatasetFacts):
    """The manifest of embeddings: that of the dataset, and what was read of it where."""

    lm: str
    untrained_of: str | None
    layer: str | None
    dtype: str
    shape: list[int]
    odd: int
    """training pairs that are left out (of the first data seed)"""
    token: NotRequired[str]
    template: NotRequired[str]
    sha256: NotRequired[str]
    map: NotRequired[dict[str, Any]]
    mapped_from: NotRequired[str]
    assumptions: NotRequired[dict[str, bool]]
    law: NotRequired[dict[str, Any]]
    worlds: NotRequired[dict[str, int]]
    """of a synthetic dataset of several laws: the first data seed of each"""


@dataclass(frozen=True)
class PairEmbeddings:
    """Embeddings of both texts of every pair, `[G, n, d]`, with split, group, concept, sign and truths of every pair.

    `text` `[2, n]` numbers the distinct texts: pairs with a number in common share that text; None: no two do. `odd`
    `[G, n]` are the pairs that are left out of training (`shiftscope.odd_pairs`), `back` `[n]` those that stand turned round
    from how they were given; None: none.
    """

    embedding_0: np.ndarray
    embedding_1: np.ndarray
    split: np.ndarray
    group: np.ndarray
    concept: np.ndarray
    sign: np.ndarray
    truths: dict[str, np.ndarray] = field(default_factory=dict)
    """the primary truth first"""
    facts: EmbeddingFacts = field(default_factory=dict)
    text: np.ndarray | None = None
    odd: np.ndarray | None = None
    back: np.ndarray | None = None

    @property
    def data_seeds(self) -> int:
        """How many data sets of the same law the file holds: 1 for a language model."""
        return self.embedding_0.shape[0]

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of one split."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    def sides(self, data_seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        """z and z̃ of one split, `[n_split, d]` float32 each; no copies where its rows stand together, as files have them."""
        rows = self.rows(split)
        together = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
        some = slice(rows[0], rows[-1] + 1) if together else rows
        return self.embedding_0[data_seed, some], self.embedding_1[data_seed, some]

    def usual(self, data_seed: int) -> np.ndarray:
        """Which training pairs are not odd, bool `[n_train]`."""
        rows = self.rows("train")
        return np.ones(len(rows), bool) if self.odd is None else ~self.odd[data_seed, rows]

    def training_sides(self, data_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """z and z̃ of the pairs that are trained on, which the odd are not; no copies where there are none."""
        before, after = self.sides(data_seed, "train")
        usual = self.usual(data_seed)
        return (before, after) if usual.all() else (before[usual], after[usual])

    def sides_as_given(self, data_seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        """z and z̃ of one split with each pair the way in which training saw such pairs, `[n_split, d]` float32 each.

        Held-out pairs are turned at random, which a model with a bias was not trained for.
        """
        before, after = self.sides(data_seed, split)
        if self.back is None or self.facts.get("orientation") != "given":
            return before, after
        back = self.back[self.rows(split)][:, None]
        return np.where(back, after, before), np.where(back, before, after)

    def of_data_seeds(self, first: int, last: int, dataset: str) -> PairEmbeddings:
        """The data seeds from `first` up to but not `last`, as a dataset of their own, where they count from 0."""
        some = slice(first, last)
        return PairEmbeddings(
            self.embedding_0[some], self.embedding_1[some], self.split, self.group, self.concept[some], self.sign[some],
            {name: truth[some] for name, truth in self.truths.items()}, {**self.facts, "dataset": dataset},
            self.text, None if self.odd is None else self.odd[some], self.back,
        )  # fmt: skip

    def shifts(self, data_seed: int, split: str) -> np.ndarray:
        """δz of one split, `[n_split, d]` float32."""
        before, after = self.sides(data_seed, split)
        return after - before


def write_embeddings(
    path: Path, manifest: Path, arrays: Mapping[str, np.ndarray], facts: EmbeddingFacts, about: Mapping[str, Any]
) -> None:
    """Write `embeddings.safetensors`, with `about` in its metadata, and its manifest: `facts`, and the sha256 of the file."""
    write_tensors(path, arrays, about)
    write_json(manifest, {**facts, "sha256": sha256_of(path)})


def read_arrays(path: Path, manifest: Path) -> tuple[EmbeddingFacts, dict[str, np.ndarray], dict[str, Any]]:
    """The manifest, all arrays and the file's metadata, unchecked: for what makes other embeddings of them."""
    return read_json(manifest), *read_tensors(path)


def read_embeddings(path: Path, manifest: Path) -> PairEmbeddings:
    """Read `embeddings.safetensors` and the manifest beside it.

    Raises:
        ShiftScopeError: an embedding is NaN or infinite, or there is no training pair.
    """
    facts: EmbeddingFacts = read_json(manifest)
    arrays, _ = read_tensors(path)
    for name in ("embedding_0", "embedding_1"):
        bad = np.argwhere(~np.isfinite(arrays[name]).all(-1))
        if len(bad):
            raise ShiftScopeError(
                f"{path}: {name} holds NaN or infinity in {len(bad)} pairs, the first is row {bad[0][1]} (counted "
                "from 0): a language model in 16-bit arithmetic can overflow, so try `dtype: float32` for it"
            )
    truths = {name.removeprefix("truth."): array for name, array in arrays.items() if name.startswith("truth.")}
    data = PairEmbeddings(
        **{name: arrays[name] for name in ARRAYS},
        truths={name: truths[name] for name in sorted(truths, key=lambda name: (name != facts["primary_truth"], name))},
        facts=facts,
    )
    if not len(data.rows("train")):
        raise ShiftScopeError(f"{path} has no training pair: check the dataset's held-out fraction")
    return data


@dataclass(frozen=True)
class TrainingPairs:
    """What a variant may see of one data set: training shifts `[n, d]` and, for supervised ones, single-concept labels.

    `concept[i]` is the index of the one concept that changes in pair i, -1 if several do or it is unknown; `sign[i]`
    its direction. `texts` `[n, 2]` numbers the texts before and after, so that pairs that share one are known; None: none do.
    """

    shifts: np.ndarray
    concept: np.ndarray
    sign: np.ndarray
    n_concepts: int
    before: np.ndarray | None = None
    """z `[n, d]`, for the few variants that read embeddings"""
    texts: np.ndarray | None = None

    @property
    def component(self) -> np.ndarray:
        """A number `[n]` for the pairs that share texts, even through others: these are not independent."""
        return np.arange(len(self.shifts)) if self.texts is None else components(self.texts)

    def some(self, rows: np.ndarray) -> TrainingPairs:
        """Those of the rows, numbers or bool `[n]`."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return TrainingPairs(
            **{name: part[rows] if isinstance(part, np.ndarray) else part for name, part in parts.items()}
        )

    @cached_property
    def moment(self) -> np.ndarray:
        """The mean of δz δzᵀ `[d, d]` float64, computed once and in parts, so that nothing as large as `shifts` is written."""
        d = self.shifts.shape[1]
        total = np.zeros((d, d))
        for start in range(0, len(self.shifts), CHUNK):
            rows = self.shifts[start : start + CHUNK].astype(np.float64)
            total += rows.T @ rows
        return total / len(self.shifts)


def components(texts: np.ndarray) -> np.ndarray:
    """The component of every pair `[n]`: pairs that share a text, even through others, are of one; `texts` `[n, 2]`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.unique(texts, return_inverse=True)[1].reshape(-1, 2).T
    size = max(first.max(), second.max()) + 1
    links = coo_array((np.ones(len(first)), (first, second)), shape=(size, size))
    return connected_components(links, directed=False)[1][first]


def first_pairs(pairs: TrainingPairs, n: int | None, data_seed: int) -> TrainingPairs:
    """The first `n` training pairs in a random order that is the data seed's, so that fewer are among more; None: all.

    Raises:
        ShiftScopeError: there are not so many.
    """
    if n is None:
        return pairs
    if n > len(pairs.shifts):
        raise ShiftScopeError(f"n_pairs {n} is more than this dataset's {len(pairs.shifts)} training pairs: give fewer")
    return pairs.some(np.sort(np.random.default_rng(data_seed).permutation(len(pairs.shifts))[:n]))


def turned(pairs: TrainingPairs, data_seed: int) -> TrainingPairs:
    """The same pairs, a random half of them read from their other end; which ones is the data seed's."""
    way = np.random.default_rng([1, data_seed]).permutation(len(pairs.shifts)) % 2 == 0
    sign = np.where(way, -1, 1).astype(np.float32)[:, None]
    return replace(
        pairs,
        shifts=pairs.shifts * sign,
        sign=None if pairs.sign is None else pairs.sign * sign[:, 0].astype(pairs.sign.dtype),
        before=None if pairs.before is None else np.where(way[:, None], pairs.before + pairs.shifts, pairs.before),
        texts=None if pairs.texts is None else np.where(way[:, None], pairs.texts[:, ::-1], pairs.texts),
    )


def training_pairs(data: PairEmbeddings, data_seed: int) -> TrainingPairs:
    """The training split of one data seed, without its odd pairs."""
    rows = data.rows("train")
    pairs = TrainingPairs(
        data.shifts(data_seed, "train"), data.concept[data_seed, rows], data.sign[data_seed, rows],
        len(data.facts["concepts"]), data.sides(data_seed, "train")[0],
        None if data.text is None else data.text[:, rows].T,
    )  # fmt: skip
    usual = data.usual(data_seed)
    return pairs if usual.all() else pairs.some(usual)


def numbered(pairs: pyarrow.Table) -> np.ndarray:
    """A number for every distinct text, `[2, n]`: equal texts have equal numbers."""
    number: dict[str, int] = {}
    sides = (pairs[name].to_pylist() for name in ("text_0", "text_1"))
    return np.array([[number.setdefault(text, len(number)) for text in side] for side in sides], np.int64)


def labels(pairs: pyarrow.Table, truths: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """The columns that pass from the pairs to their embeddings unchanged, with the axis G = 1 where the format has it.

    `split` `[n]`, `group` `[n]`, `concept` and `sign` `[1, n]`, `text` `[2, n]`, `back` `[n]`, `truth.{name}` `[1, n, m]`.

    Raises:
        ShiftScopeError: a split has an unknown name, or a truth has another width than the manifest says.
    """
    splits = pairs["split"].to_pylist()
    for row, split in enumerate(splits):
        if split not in SPLITS:
            raise ShiftScopeError(unknown(f"row {row}: split {split!r}", str(split), SPLITS))
    arrays = {
        "split": np.array([SPLITS.index(split) for split in splits], np.uint8),
        "group": np.array(pairs["group"].to_pylist(), np.int64),
        "concept": np.array([pairs["concept"].to_pylist()], np.int64),
        "sign": np.array([pairs["sign"].to_pylist()], np.int8),
        "text": numbered(pairs),
        "back": np.array(pairs["back"].to_pylist(), bool),
    }
    for truth, columns in truths.items():
        values = pairs[f"truth.{truth}"].to_pylist()
        for row, shift in enumerate(values):
            if shift is None or len(shift) != len(columns):
                raise ShiftScopeError(
                    f"row {row}: truth.{truth} has {len(shift or [])} values, but the manifest names {len(columns)}: "
                    "make the pairs again"
                )
        arrays[f"truth.{truth}"] = np.array(values, np.float32).reshape(1, len(values), len(columns))
    return arrays
