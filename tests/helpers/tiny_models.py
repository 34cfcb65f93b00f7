"""Synthetic pairs and models trained on them, for tests of what comes after."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from shiftscope import kinds
from shiftscope.models import Model, Replica
from shiftscope.pair_embeddings import PairEmbeddings, TrainingPairs, read_embeddings
from shiftscope.synthetic.base import write_synthetic
from shiftscope.synthetic.linear_shifts import LinearShifts
from shiftscope.training.base import train
from shiftscope.training.blocks import TrainSlice, VariantSlice
from shiftscope.variants.base import Variant

torch.set_num_threads(1)  # equal to the bit on one thread, and tiny products do not gain from two

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    """A file of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(folder: Path, **law: Any) -> tuple[Path, Path]:
    """Synthetic pairs of a law: `embeddings.safetensors` and `manifest.json` in `folder`."""
    files = folder / "embeddings.safetensors", folder / "manifest.json"
    write_synthetic(LinearShifts(**law), "tiny", "linear_shifts", *files)
    return files


def drawn(folder: Path, **law: Any) -> PairEmbeddings:
    """Synthetic pairs of a law, read back."""
    return read_embeddings(*draw(folder, **law))


def slice_of(kind: str, settings: list[dict[str, Any]], seeds: list[int], codes: int) -> TrainSlice:
    """What the rule `train` passes to its script."""
    full = [kinds.load("variants", kind)(**setting).model_dump(mode="json") for setting in settings]
    one = VariantSlice(variant=kind, kind=kind, settings=full)
    return TrainSlice(lm="synthetic", dataset="tiny", codes=codes, variants=[one], seeds=seeds)


def shifts_of(data: PairEmbeddings, data_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """δz and δc of the held-out pairs of one data seed."""
    return data.shifts(data_seed, "test"), data.truths["shift"][data_seed, data.rows("test")]


def embeddings_of(pairs: Mapping[int, TrainingPairs]) -> PairEmbeddings:
    """Training pairs of the data seeds 0, 1, … as embeddings, of which the first text's are 0 unless they are given."""
    sets = [pairs[data_seed] for data_seed in range(len(pairs))]
    shifts = np.stack([one.shifts for one in sets])
    before = np.stack([np.zeros_like(one.shifts) if one.before is None else one.before for one in sets])
    n = shifts.shape[1]
    concept = np.stack([np.full(n, -1) if one.concept is None else one.concept for one in sets])
    sign = np.stack([np.zeros(n, np.int8) if one.sign is None else one.sign for one in sets])
    names = [f"concept_{index}" for index in range(sets[0].n_concepts)]
    split = np.zeros(n, np.uint8)
    return PairEmbeddings(before, before + shifts, split, np.arange(n), concept, sign, facts={"concepts": names})


def trained(
    settings: Sequence[Variant],
    replicas: Sequence[Replica],
    pairs: Mapping[int, TrainingPairs],
    n_codes: int,
    state: Path | None = None,
    checkpoint_seconds: float = 20.0,
) -> list[Model]:
    """`train` on bare training pairs by data seed."""
    return train(settings, replicas, embeddings_of(pairs), n_codes, state, checkpoint_seconds)
