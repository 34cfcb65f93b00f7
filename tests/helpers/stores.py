"""Stores of activations, made on the spot, and what they are made of."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from helpers.tiny_lms import SIZES, WORDS, save_lm

from shiftscope.activations.store import Chunk, Store, write_shard
from shiftscope.files import sha256_of, write_json


def save_words(folder: Path, rows: int = 400, words: int = 9) -> np.ndarray:
    """A corpus of random words, `documents.parquet` and `corpus.json`; returns the words `[rows, words]`."""
    found = np.random.default_rng(0).choice(WORDS, (rows, words))
    pq.write_table(pa.table({"text": [" ".join(row) for row in found]}), folder / "documents.parquet")
    about = {"corpus": "words", "documents": rows, "sha256": sha256_of(folder / "documents.parquet")}
    (folder / "corpus.json").write_text(json.dumps(about))
    return found


def save_known_lm(folder: Path, weights: bool = False, **changes) -> Path:
    """The tiny language model as it is fetched, with a manifest; without weights, for what reads its tokenizer alone."""
    save_lm(folder)
    if not weights:
        (folder / "model.safetensors").unlink()
    about = {
        "lm": "tiny", "untrained_of": None, "n_layers": 3, "source": {"kind": "folder"}, "vocabulary": SIZES["vocab_size"],
        "d_model": SIZES["hidden_size"], "files": {file.name: sha256_of(file) for file in sorted(folder.glob("*.*"))},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(about | changes))
    return folder


def make_store(folder, sizes, d=4, stored="float32", seed=0, of=None):
    """A store of random vectors whose documents count them: shards of `sizes` `{split: [rows]}`; `of` documents, if given."""
    generator = np.random.default_rng(seed)
    shards, count = {}, 0
    for split, rows in sizes.items():
        shards[split] = []
        for number, n in enumerate(rows):
            file = folder / f"{split}_0000" / f"shard_{number:04}.arrow"
            which = np.arange(count, count + n, dtype=np.int32)
            vectors = of(which) if of else generator.normal(size=(n, d))
            write_shard(file, Chunk(vectors.astype(np.float32), which, which % 7, which % 5), stored)
            shards[split].append({"file": f"{split}_0000/{file.name}", "rows": n, "sha256": sha256_of(file)})
            count += n
    shape = {split: [sum(rows), d] for split, rows in sizes.items()}
    facts = {"stored": stored, "layer": "final_norm", "lm": "tiny", "untrained_of": None, "dataset": "text",
             "lm_files": {}, "windows_sha256": "of windows", "corpus_sha256": "of a corpus"}  # fmt: skip
    write_json(folder / "manifest.json", facts | {"shape": shape, "shards": shards})
    return Store(folder / "manifest.json")
