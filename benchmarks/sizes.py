"""Peak memory and time of training on many wide pairs: made-up embeddings, the workflow's own script.

`python benchmarks/sizes.py [--pairs 100000] [--width 4096] [--steps 100]` writes embeddings of so many pairs (3.3 GB by default),
trains `ssae` on them with 27 codes, two settings and five seeds, and prints the peak of the process beside the size of the file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from shiftscope.pair_embeddings import write_embeddings
from shiftscope.vocabulary import SPLITS

ROOT = Path(__file__).resolve().parents[1]
CODES, HELD_OUT = 27, 1000


def made_up(folder: Path, pairs: int, width: int) -> None:
    """Sparse shifts of `CODES` concepts among noise, written as `results/embeddings` are."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(CODES, width)).astype(np.float32) / np.sqrt(width)
    before = rng.standard_normal((1, pairs, width), np.float32)
    after = before.copy()
    for start in range(0, pairs, 4096):
        rows = slice(start, min(start + 4096, pairs))
        size = rows.stop - rows.start
        shift = rng.uniform(0, 1, (size, CODES)) * (rng.random((size, CODES)) < 0.1)
        after[0, rows] += shift.astype(np.float32) @ directions + 0.01 * rng.standard_normal((size, width), np.float32)
    split = np.where(np.arange(pairs) < pairs - HELD_OUT, SPLITS.index("train"), SPLITS.index("test")).astype(np.uint8)
    arrays = {
        "embedding_0": before, "embedding_1": after, "split": split, "group": np.arange(pairs),
        "concept": np.full((1, pairs), -1), "sign": np.zeros((1, pairs), np.int8),
        "text": np.arange(2 * pairs).reshape(2, -1), "odd": np.zeros((1, pairs), bool), "back": np.zeros(pairs, bool),
    }  # fmt: skip
    facts = {
        "dataset": "made_up",
        "lm": "made_up",
        "untrained_of": None,
        "concepts": [],
        "truths": {},
        "primary_truth": None,
    }
    write_embeddings(folder / "embeddings.safetensors", folder / "manifest.json", arrays, facts, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made_up(folder, options.pairs, options.width)
        settings = [{"shrinkage": shrinkage, "steps": options.steps} for shrinkage in (0, 0.1)]
        params = {
            "lm": "made_up", "dataset": "made_up", "codes": CODES, "seeds": list(range(5)),
            "variants": [{"variant": "ssae", "kind": "ssae", "settings": settings}],
        }  # fmt: skip
        command = [sys.executable, ROOT / "scripts/train.py", "--params", json.dumps(params), "--threads", "1"]
        for option, file in (("embeddings", "embeddings.safetensors"), ("manifest", "manifest.json"),
                             ("weights", "weights.safetensors"), ("sidecars", "weights.json")):  # fmt: skip
            command += [f"--{option}", folder / file]
        start = time.perf_counter()
        process = subprocess.Popen(command)
        usage = os.wait4(process.pid, 0)[2]
        seconds, size = time.perf_counter() - start, (folder / "embeddings.safetensors").stat().st_size
    print(f"{options.pairs} pairs x {options.width}: embeddings {size / 2**30:.2f} GiB")
    print(f"training: peak {usage.ru_maxrss / 2**20:.2f} GiB, {seconds:.0f} s, {options.steps} steps, 10 models")


if __name__ == "__main__":
    main()
