"""What every kind of simulation shares: its worlds, and the files in which they are."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypedDict

from pydantic import Field

from shiftscope.files import check_sha256, read_json, read_tensors, sha256_of, write_json, write_tensors
from shiftscope.kinds import Kind, Strict

if TYPE_CHECKING:
    import numpy as np

    from shiftscope.generative.latent_dag import LatentDag


class Simulation(Kind):
    """Worlds whose law is known: those of every point of a grid, several of each."""

    data_seeds: int = Field(5, ge=1, le=1000, description="independent worlds per point of the grid")
    seed: int = Field(0, ge=0, description="seed of the first world of a point")

    @abstractmethod
    def points(self) -> dict[str, Self]:
        """The points of the grid by name, each a simulation without a grid."""

    @abstractmethod
    def draw(self, data_seed: int) -> LatentDag:
        """World number `data_seed` of a point."""


class SimulationSlice(Strict):
    """The slice of the config of a simulation."""

    dataset: str
    kind: str
    params: dict[str, Any]


class WorldFacts(TypedDict):
    """What is known of one world."""

    point: str
    data_seed: int
    """which of the point's worlds it is"""
    n_concepts: int
    n_observed: int
    parents: list[list[int]]
    error_of_inversion: float
    """ε of paper B's Definition 2.1, exact"""


class SimulationFacts(TypedDict):
    """`manifest.json` of a simulation (docs/file-formats.md)."""

    dataset: str
    kind: str
    law: dict[str, Any]
    worlds: list[WorldFacts]
    sha256: str


class Simulated(NamedTuple):
    """All worlds of a dataset, and what is known of each."""

    facts: SimulationFacts
    worlds: list[LatentDag]

    @property
    def n_observed(self) -> int:
        """The most bits that a world has."""
        return max(len(world.bits) for world in self.worlds)


def write_simulation(law: Simulation, asked: SimulationSlice, worlds: Path, manifest: Path) -> None:
    """Draw all worlds of a simulation and write them, those of a point one after the other."""
    import numpy as np

    drawn = [(point, seed, one.draw(seed)) for point, one in law.points().items() for seed in range(law.data_seeds)]
    found = [world for _, _, world in drawn]
    bits, states = max(len(world.bits) for world in found), max(len(world.prior) for world in found)
    arrays = {"prior": np.zeros((len(found), states)), "bits": np.zeros((len(found), bits, states), bool)}
    for number, world in enumerate(found):
        arrays["prior"][number, : len(world.prior)] = world.prior
        arrays["bits"][number, : len(world.bits), : len(world.prior)] = world.bits
    write_tensors(worlds, arrays)
    facts = [
        WorldFacts(
            point=point, data_seed=seed, n_concepts=world.states.shape[1], n_observed=len(world.bits),
            parents=[list(given) for given in world.parents], error_of_inversion=world.error_of_inversion(),
        )
        for point, seed, world in drawn
    ]  # fmt: skip
    whole: SimulationFacts = {
        "dataset": asked.dataset, "kind": asked.kind, "law": law.model_dump(mode="json"), "worlds": facts,
        "sha256": sha256_of(worlds),
    }  # fmt: skip
    write_json(manifest, whole)


def read_simulation(worlds: Path, manifest: Path) -> Simulated:
    """The worlds of a dataset.

    Raises:
        ShiftScopeError: they are not those of the manifest.
    """
    from shiftscope.generative.latent_dag import LatentDag, joint_states

    facts: SimulationFacts = read_json(manifest)
    check_sha256(worlds, facts["sha256"], str(worlds), f"it is not what {manifest} tells of; delete both and run again")
    arrays, _ = read_tensors(worlds)
    found = []
    for one, prior, bits in zip(facts["worlds"], arrays["prior"], arrays["bits"], strict=True):
        states, parents = joint_states(one["n_concepts"]), tuple(map(tuple, one["parents"]))
        found.append(LatentDag(parents, states, prior[: len(states)], bits[: one["n_observed"], : len(states)]))
    return Simulated(facts, found)


def contexts(bits: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """What a network is given, float32 `[n, 2 m]`, of bits `[n, m]` and of which one is masked `[n]`."""
    import numpy as np

    mask = np.arange(bits.shape[1]) == masked[:, None]
    return np.concatenate([bits * ~mask, mask], 1).astype(np.float32)
