"""Reading trained models back: one file holds a block of replicas, evaluation wants them one by one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shiftscope.files import read_json, read_tensors, sha256_of, write_json, write_tensors
from shiftscope.metrics.correlation import varying


class Model(NamedTuple):
    """One replica: `setting` indexes the variant's settings; `arrays` are what its variant exported."""

    setting: int
    data_seed: int
    seed: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, float | None]


def alive(codes: np.ndarray, decoder: np.ndarray) -> np.ndarray:
    """Which codes are in use, bool `[k]`: root mean square above 1 % of the largest, and a direction that is not zero."""
    usage = np.sqrt(np.square(codes, dtype=np.float64).mean(0))
    return (usage > 0.01 * usage.max()) & (np.linalg.norm(decoder, axis=1) > 0) & varying(codes)


def write_models(weights: Path, sidecar: Path, models: list[Model], facts: dict[str, Any]) -> None:
    """Write a block: arrays stacked `[R, …]`, and beside them what each row is."""
    stacked = {name: np.stack([model.arrays[name] for model in models]) for name in models[0].arrays}
    write_tensors(weights, stacked)
    replicas = [model._asdict() | model.facts for model in models]
    for replica in replicas:
        del replica["arrays"], replica["facts"]
    write_json(sidecar, facts | {"replicas": replicas, "sha256": sha256_of(weights)})


def read_models(weights: Iterable[Path], sidecars: Iterable[Path]) -> tuple[list[Model], dict[str, Any]]:
    """All replicas of several blocks of one variant, ordered by setting, data seed, seed; and the blocks' common facts."""
    models = []
    for path, sidecar in zip(weights, sidecars, strict=True):
        facts = read_json(sidecar)
        arrays, _ = read_tensors(path)
        for row, replica in enumerate(facts.pop("replicas")):
            key = (replica.pop("setting"), replica.pop("data_seed"), replica.pop("seed"))
            models.append(Model(*key, {name: array[row] for name, array in arrays.items()}, replica))
    return sorted(models, key=lambda model: model[:3]), facts
