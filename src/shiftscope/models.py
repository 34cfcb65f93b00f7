"""Trained models: one file holds a block of replicas, evaluation wants them one by one."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np

from shiftscope.files import check_sha256, read_json, read_tensors, sha256_of, write_json, write_stacked


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
    trained_on: NotRequired[dict[str, str]]
    """of autoencoders of activations the store: its language model, layer, dataset, and its manifest's sha256"""


class Sidecar(BlockFacts):
    """The JSON of a block (docs/file-formats.md)."""

    replicas: list[dict[str, Any]]
    """for each row of the arrays the fields of `Replica`, and facts of its training"""
    sha256: str


def alive(codes: np.ndarray, decoder: np.ndarray) -> np.ndarray:
    """Which codes are in use, bool `[k]`: root mean square above 1 % of the largest, and a direction that is not zero."""
    usage = np.sqrt(np.square(codes, dtype=np.float64).mean(0))
    return (usage > 0.01 * usage.max()) & (np.linalg.norm(decoder, axis=1) > 0) & (np.ptp(codes, axis=0) > 0)


def write_models(weights: Path, sidecar: Path, models: Sequence[Model], facts: BlockFacts) -> None:
    """Write a block: arrays stacked `[R, …]`, and beside them what each row is; of models that are read when asked for, two are held at most."""
    replicas: list[dict[str, Any]] = []

    def arrays() -> Iterator[dict[str, np.ndarray]]:
        for model in models:
            replicas.append(Replica(*model[:3])._asdict() | model.facts)
            yield model.arrays

    write_stacked(weights, len(models), arrays())
    write_json(sidecar, Sidecar(**facts, replicas=replicas, sha256=sha256_of(weights)))


def read_facts(sidecar: Path) -> BlockFacts:
    """What the models of a block have in common, without their arrays."""
    found: Sidecar = read_json(sidecar)
    kept = {name: found[name] for name in BlockFacts.__required_keys__}
    return kept | {name: found[name] for name in BlockFacts.__optional_keys__ if name in found}


def read_models(weights: Iterable[Path], sidecars: Iterable[Path]) -> list[Model]:
    """All replicas of several blocks of one variant, ordered by setting, data seed and seed.

    Raises:
        ShiftScopeError: weights are not those of their sidecar.
    """
    models = []
    for path, sidecar in zip(weights, sidecars, strict=True):
        facts: Sidecar = read_json(sidecar)
        check_sha256(path, facts["sha256"], str(path), f"it is not what {sidecar} tells of; delete both and run again")
        arrays, _ = read_tensors(path)
        for row, replica in enumerate(facts["replicas"]):
            key = Replica(*(replica.pop(name) for name in Replica._fields))
            models.append(Model(*key, {name: array[row] for name, array in arrays.items()}, replica))
    return sorted(models, key=lambda model: model[:3])
