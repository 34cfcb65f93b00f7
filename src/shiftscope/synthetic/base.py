"""What every law of synthetic pairs shares: its sizes, what a data set holds, and the file in the format of embeddings."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

from shiftscope.kinds import Kind, Strict
from shiftscope.pair_embeddings import EmbeddingFacts, write_embeddings
from shiftscope.vocabulary import SPLITS, SYNTHETIC

if TYPE_CHECKING:
    import numpy as np


MOST_NUMBERS = 4_000_000_000
"""in the embeddings of one dataset: 16 GB"""


class Assumptions(NamedTuple):
    """Which parts of the paper's Assumption 4 a law satisfies."""

    support_variability: bool
    density: bool


class Sample(NamedTuple):
    """One data set: `embedding_0`, `embedding_1` `[n, d]`, `shift` δc `[n, |V|]`, `mixing` `[d, |V|]`."""

    embedding_0: np.ndarray
    embedding_1: np.ndarray
    shift: np.ndarray
    mixing: np.ndarray


class Law(Kind):
    """A law of synthetic pairs."""

    parts: ClassVar[str] = "synthetic"
    """the kind of its metric parts, a key of `shiftscope.tables.base.NEEDS`"""

    n_varying: int = Field(ge=1, description="|V|, concepts that vary")
    max_changed: int = Field(ge=1, description="max|S|, most concepts that change in one pair")
    d_model: int = Field(16, ge=1, description="embedding dimensions d; at least |V|, or concepts are not injective")
    n_train: int = Field(8000, ge=2, description="training pairs per data seed")
    n_test: int = Field(2000, ge=2, description="held-out pairs per data seed")
    n_single: int = Field(500, ge=0, description="held-out pairs in which one concept changes, for steering")
    data_seeds: int = Field(3, ge=1, description="independent data sets (mixing and pairs)")
    seed: int = Field(0, ge=0, description="seed of the first data set")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        worlds = len(distinct(self))
        numbers = 2 * worlds * self.data_seeds * (self.n_train + self.n_test + self.n_single) * self.d_model
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"its embeddings would be {numbers:,} numbers (2 texts × worlds × data_seeds × pairs × d_model), and may be "
                f"at most {MOST_NUMBERS:,}: take fewer pairs, dimensions, data_seeds or worlds"
            )
        return self

    def worlds(self) -> dict[str, Self]:
        """Laws that are drawn into one file, to be trained in one job, by name; none: only the law itself."""
        return {}

    @abstractmethod
    def sample(self, data_seed: int) -> Sample:
        """Draw training, held-out and single-concept pairs, in this order, of data set number `data_seed`."""

    @abstractmethod
    def assumptions(self) -> Assumptions:
        """Which of the paper's assumptions it satisfies."""


def distinct(law: Law) -> list[Law]:
    """The laws of a file: a law's worlds, each once, or itself."""
    found: list[Law] = []
    for world in law.worlds().values():
        if world not in found:
            found.append(world)
    return found or [law]


class SyntheticSlice(Strict):
    """The slice of the config of a synthetic dataset."""

    dataset: str
    kind: str
    params: dict[str, Any]


def write_synthetic(law: Law, dataset: str, kind: str, embeddings: Path, manifest: Path) -> None:
    """Draw all data seeds of a law, or of each of its worlds, and write them as embeddings of the language model `synthetic`."""
    import numpy as np

    from shiftscope.odd_pairs import odd_pairs

    laws = distinct(law)
    samples = [one.sample(data_seed) for one in laws for data_seed in range(law.data_seeds)]
    shift = np.stack([sample.shift for sample in samples])
    alone = (shift != 0).sum(2) == 1
    counts = dict(zip(SPLITS, (law.n_train, law.n_test, law.n_single), strict=True))
    arrays = {
        "embedding_0": np.stack([sample.embedding_0 for sample in samples]).astype(np.float32),
        "embedding_1": np.stack([sample.embedding_1 for sample in samples]).astype(np.float32),
        "mixing": np.stack([sample.mixing for sample in samples]).astype(np.float32),
        "truth.shift": shift.astype(np.float32),
        "split": np.repeat(np.arange(len(SPLITS), dtype=np.uint8), list(counts.values())),
        "group": np.arange(shift.shape[1], dtype=np.int64),
        "concept": np.where(alone, (shift != 0).argmax(2), -1).astype(np.int64),
        "sign": np.where(alone, np.sign(shift.sum(2)), 0).astype(np.int8),
        "back": np.zeros(shift.shape[1], bool),
        "text": np.arange(2 * shift.shape[1], dtype=np.int64).reshape(2, -1),  # no two pairs share a text
    }
    training = arrays["split"] == SPLITS.index("train")
    shifts = arrays["embedding_1"] - arrays["embedding_0"]
    arrays["odd"] = np.stack([odd_pairs(one, training).both for one in shifts])
    names = [f"concept_{index}" for index in range(law.n_varying)]
    facts: EmbeddingFacts = {
        "lm": SYNTHETIC, "untrained_of": None, "layer": None, "dataset": dataset, "kind": kind,
        "n_varying": law.n_varying, "max_changed": law.max_changed, "split_unit": "pair", "orientation": "given", "concepts": names,
        "truths": {"shift": names}, "primary_truth": "shift", "counts": counts, "rejected": 0,
        "assumptions": law.assumptions()._asdict(), "law": law.model_dump(mode="json"),
        "shape": list(arrays["embedding_0"].shape), "dtype": "float32", "odd": int(arrays["odd"][0].sum()),
    }  # fmt: skip
    if law.worlds():
        facts["worlds"] = {name: laws.index(world) * law.data_seeds for name, world in law.worlds().items()}
    write_embeddings(embeddings, manifest, arrays, facts, {})
