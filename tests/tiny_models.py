"""Synthetic pairs and models trained on them, through the real scripts, for tests of what comes after."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from shiftscope.files import read_json
from shiftscope.shifts import PairEmbeddings, read_embeddings
from shiftscope.synthetic.linear_shifts import Params

torch.set_num_threads(1)  # equal to the bit on one thread, and tiny products do not gain from two

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    """A file of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(folder: Path, **law: Any) -> tuple[Path, Path]:
    """Synthetic pairs of a law: `embeddings.safetensors` and `manifest.json` in `folder`."""
    files = folder / "embeddings.safetensors", folder / "manifest.json"
    params = {"dataset": "tiny", "kind": "linear_shifts", "params": Params(**law).model_dump(mode="json")}
    script("make_synthetic").main(*files, params)
    return files


def drawn(folder: Path, **law: Any) -> PairEmbeddings:
    """Synthetic pairs of a law, read back."""
    embeddings, manifest = draw(folder, **law)
    return read_embeddings(embeddings, read_json(manifest))


def slice_of(kind: str, settings: list[dict[str, Any]], seeds: list[int], codes: int) -> dict[str, Any]:
    """What the rule `train` passes to its script."""
    module = importlib.import_module(f"shiftscope.variants.{kind}")
    full = [module.Params(**setting).model_dump(mode="json") for setting in settings]
    return {
        "lm": "synthetic", "dataset": "tiny", "codes": codes, "variant": kind, "kind": kind, "settings": full,
        "seeds": seeds,
    }  # fmt: skip


def shifts_of(data: PairEmbeddings, data_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """δz and δc of the held-out pairs of one data seed."""
    return data.shifts(data_seed, "test"), data.truths["shift"][data_seed, data.rows("test")]
