"""Stores of activations, made on the spot."""

import numpy as np

from shiftscope.activations.store import Chunk, Store, write_shard
from shiftscope.files import sha256_of, write_json


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
    facts = {"stored": stored, "layer": "final_norm", "lm": "tiny", "untrained_of": None, "dataset": "text"}
    write_json(folder / "manifest.json", facts | {"shape": shape, "shards": shards})
    return Store(folder / "manifest.json")
