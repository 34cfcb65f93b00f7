"""Draw synthetic pairs with known concepts: embeddings, shifts and truth of every data seed in one file."""

import importlib
from pathlib import Path

import numpy as np

from shiftscope.files import sha256_of, write_json, write_tensors
from shiftscope.job import run


def main(embeddings: Path, manifest: Path, params: dict) -> None:
    law = importlib.import_module(f"shiftscope.synthetic.{params['kind']}")
    settings = law.Params(**params["params"])
    samples = [law.sample(settings, data_seed) for data_seed in range(settings.data_seeds)]

    shift = np.stack([sample.shift for sample in samples])
    alone = (shift != 0).sum(2) == 1
    concept = np.where(alone, (shift != 0).argmax(2), -1)
    sign = np.where(alone, np.sign(shift.sum(2)), 0)
    counts = {"train": settings.n_train, "test": settings.n_test, "single": settings.n_single}
    arrays = {
        "embedding_0": np.stack([sample.embedding_0 for sample in samples]).astype(np.float32),
        "embedding_1": np.stack([sample.embedding_1 for sample in samples]).astype(np.float32),
        "mixing": np.stack([sample.mixing for sample in samples]).astype(np.float32),
        "truth.shift": shift.astype(np.float32),
        "split": np.repeat(np.arange(3, dtype=np.uint8), list(counts.values())),
        "group": np.arange(shift.shape[1], dtype=np.int64),
        "concept": concept.astype(np.int64),
        "sign": sign.astype(np.int8),
    }
    write_tensors(embeddings, arrays)
    names = [f"concept_{index}" for index in range(settings.n_varying)]
    facts = {
        "lm": "synthetic", "untrained_of": None, "layer": None, "dataset": params["dataset"], "kind": params["kind"],
        "n_varying": settings.n_varying, "max_changed": settings.max_changed, "split_unit": "pair", "concepts": names,
        "truths": {"shift": names}, "primary_truth": "shift", "counts": counts, "rejected": 0,
        "assumptions": law.assumptions(settings)._asdict(), "law": params["params"],
        "shape": list(arrays["embedding_0"].shape), "dtype": "float32", "sha256": sha256_of(embeddings),
    }  # fmt: skip
    write_json(manifest, facts)


if __name__ == "__main__":
    run(main)
