"""Stores of activations, made on the spot."""

import numpy as np

from shiftscope.activations.store import Chunk, Store, write_shard
from shiftscope.files import sha256_of, write_json


def make_store(folder, sizes, d=4, stored="float32", seed=0):
    """A store of random vectors whose documents count them: shards of `sizes` `{split: [rows]}`."""
    generator = np.random.default_rng(seed)
    shards, count = {}, 0
    for split, rows in sizes.items():
        shards[split] = []
        for number, n in enumerate(rows):
            file = folder / f"{split}_0000" / f"shard_{number:04}.arrow"
            which = np.arange(count, count + n, dtype=np.int32)
            write_shard(
                file, Chunk(generator.normal(size=(n, d)).astype(np.float32), which, which % 7, which % 5), stored
            )
            shards[split].append({"file": f"{split}_0000/{file.name}", "rows": n, "sha256": sha256_of(file)})
            count += n
    shape = {split: [sum(rows), d] for split, rows in sizes.items()}
    write_json(folder / "manifest.json", {"shape": shape, "shards": shards, "stored": stored, "layer": "final_norm"})
    return Store(folder / "manifest.json")
