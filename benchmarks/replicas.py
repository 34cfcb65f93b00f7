"""Models per second: one process for all seeds and settings, against one process per model.

`python benchmarks/replicas.py [--models 3] [--repeats 3]` draws synth_10_7, trains 10 seeds × 9 settings of `ssae` as
one training job, then some of the same models as a job each, in turn; all by the workflow's own script, on one
thread. It prints the medians and their ratio with the start of the processes and without it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = [{"shrinkage": shrinkage, "slack": slack} for shrinkage in (0.01, 0.1, 1.0) for slack in (0.01, 0.02, 0.03)]
SEEDS = list(range(10))
LAW = {"n_varying": 10, "max_changed": 7, "data_seeds": 1}


def script(name: str, **options: object) -> float:
    """Run one of the workflow's scripts; wall time in seconds."""
    arguments = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    start = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "scripts" / name, *arguments], check=True)
    return time.perf_counter() - start


def train(folder: Path, settings: list[dict], seeds: list[int]) -> float:
    """Train settings × seeds in one process; wall time in seconds."""
    params = {
        "lm": "synthetic", "dataset": "synth_10_7", "codes": 10, "seeds": seeds,
        "variants": [{"variant": "ssae", "kind": "ssae", "settings": settings}],
    }  # fmt: skip
    files = {"embeddings": folder / "embeddings.safetensors", "manifest": folder / "manifest.json"}
    files |= {"weights": folder / "weights.safetensors", "sidecars": folder / "weights.json"}
    return script("train.py", **files, params=json.dumps(params))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=3, help="models trained in a process each, per repeat")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = {"dataset": "synth_10_7", "kind": "linear_shifts", "params": LAW}
        script("make_synthetic.py", embeddings=folder / "embeddings.safetensors", manifest=folder / "manifest.json",
               params=json.dumps(facts))  # fmt: skip
        together, alone, start = [], [], []
        for repeat in range(options.repeats):
            together.append(train(folder, SETTINGS, SEEDS) / (len(SETTINGS) * len(SEEDS)))
            for model in range(options.models):
                alone.append(train(folder, [SETTINGS[(repeat + model) % len(SETTINGS)]], [SEEDS[model]]))
            start.append(train(folder, [SETTINGS[0] | {"steps": 1}], [0]))  # a process that takes one step
    batch, single, begin = (statistics.median(values) for values in (together, alone, start))
    per_model = batch - begin / (len(SETTINGS) * len(SEEDS))
    print(f"one process for {len(SETTINGS) * len(SEEDS)} models   {1 / batch:8.2f} models/s")
    print(f"one process per model         {1 / single:8.2f} models/s   (its start alone: {begin:.2f} s)")
    print(f"ratio, start included         {single / batch:8.1f}")
    print(f"ratio, start left out         {(single - begin) / per_model:8.1f}")


if __name__ == "__main__":
    main()
