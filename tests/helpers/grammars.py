"""Texts drawn from the grammar of the embedded language model, and the sizes of a language model small enough for tests."""

import random
from pathlib import Path

from shiftscope.corpora.base import CorpusFiles, CorpusSlice
from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.corpora.hints import Hints
from shiftscope.lms.base import LmSlice, fetch_lm
from shiftscope.lms.train import Train
from shiftscope.training.language_model import train_from_corpus

SIZES = Train(corpus="c", d_model=16, n_layers=1, n_heads=2, window=12, batch_size=4, steps=30, warmup=5,
              checkpoints=[0, 10], gate=-100)  # fmt: skip


def drawn_texts(number: int = 3000) -> list[str]:
    grammar = ShortDocuments().build()
    generator = random.Random(0)
    return [" ".join(grammar.sample(generator)[0]) for _ in range(number)]


def hinting_lm(folder: Path, name: str = "h") -> tuple[Path, Path, Path]:
    """A tiny language model that was trained on hints: its folder, its corpus' manifest, and the folder of its untrained twin."""
    corpus = Hints(documents=400, units=8)
    files = CorpusFiles(*(folder / file for file in ("documents.parquet", "rejected.csv", "corpus.json")))
    corpus.write(CorpusSlice(corpus="c", kind="hints", params=corpus.model_dump(mode="json")), files, folder)
    sizes = SIZES.model_copy(update={"window": 24})
    asked = LmSlice(lm=name, source={"kind": "train"} | sizes.model_dump(mode="json"))
    train_from_corpus(asked, files.documents, files.manifest, folder / name, folder / "state", 1000)
    fetch_lm(f"{name}_untrained", {"kind": "untrained", "of": name, "seed": 0}, folder / "twin", folder, folder / name)
    return folder / name, files.manifest, folder / "twin"
