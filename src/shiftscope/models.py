"""Trained models: one file holds a block of replicas, evaluation wants them one by one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np

from shiftscope.files import read_json, read_tensors, sha256_of, write_json, write_tensors


class Replica(NamedTuple):
    """One model of a block: the index of its setting, its data seed and its seed."""

    setting: int
    data_seed: int
    seed: int


class Model(NamedTuple):
    """One trained replica: `arrays` are what its variant exported, `facts` what is known of its training."""

    setting: int
    data_seed: int
    seed: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, float | None]


class BlockFacts(TypedDict):
    """What the models of a block have in common."""

    lm: str
    dataset: str
    codes: int
    variant: str
    kind: str
    settings: list[dict[str, Any]]


class Sidecar(BlockFacts):
    """The JSON of a block (docs/file-formats.md)."""

    replicas: list[dict[str, Any]]
    """for each row of the arrays the fields of `Replica`, and facts of its training"""
    sha256: str


def alive(codes: np.ndarray, decoder: np.ndarray) -> np.ndarray:
    """Which codes are in use, bool `[k]`: root mean square above 1 % of the largest, and a direction that is not zero."""
    usage = np.sqrt(np.square(codes, dtype=np.float64).mean(0))
    return (usage > 0.01 * usage.max()) & (np.linalg.norm(decoder, axis=1) > 0) & (np.ptp(codes, axis=0) > 0)


def write_models(weights: Path, sidecar: Path, models: list[Model], facts: BlockFacts) -> None:
    """Write a block: arrays stacked `[R, …]`, and beside them what each row is."""
    stacked = {name: np.stack([model.arrays[name] for model in models]) for name in models[0].arrays}
    write_tensors(weights, stacked)
    replicas = [Replica(*model[:3])._asdict() | model.facts for model in models]
    write_json(sidecar, Sidecar(**facts, replicas=replicas, sha256=sha256_of(weights)))


def read_facts(sidecar: Path) -> BlockFacts:
    """What the models of a block have in common, without their arrays."""
    found: Sidecar = read_json(sidecar)
    return {name: found[name] for name in BlockFacts.__annotations__}


def read_models(weights: Iterable[Path], sidecars: Iterable[Path]) -> list[Model]:
    """All replicas of several blocks of one variant, ordered by setting, data seed and seed."""
    models = []
    for path, sidecar in zip(weights, sidecars, strict=True):
        facts: Sidecar = read_json(sidecar)
        arrays, _ = read_tensors(path)
        for row, replica in enumerate(facts["replicas"]):
            key = Replica(*(replica.pop(name) for name in Replica._fields))
            models.append(Model(*key, {name: array[row] for name, array in arrays.items()}, replica))
    return sorted(models, key=lambda model: model[:3])
