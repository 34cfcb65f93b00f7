"""Paper B's simulations (Sec. 6, App. G.1): binary concepts in a random DAG, seen as bits of random permutations of their states.

The source's left panel of Figure 2 varies the number of observed bits of three concepts in a chain, its right one the number of
concepts and the density of the graph. How many bits it observes there is not said, only that the map from concepts to bits is
to be nearly invertible: here they are twice as many as concepts unless the config has a number.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from shiftscope.kinds import Strict
from shiftscope.simulations.base import Simulation

if TYPE_CHECKING:
    from shiftscope.generative.latent_dag import LatentDag

Graph = Annotated[str, Field(pattern=r"^(chain|er[1-9])$")]
Concepts = Annotated[int, Field(ge=1, le=10)]
Observed = Annotated[int, Field(ge=2, le=64)]


class Grid(Strict):
    """Values of what worlds differ in; every combination is a point."""

    graph: list[Graph] = Field(default_factory=list)
    n_concepts: list[Concepts] = Field(default_factory=list)
    n_observed: list[Observed] = Field(default_factory=list)


class LatentDagSimulation(Simulation):
    """Worlds of one graph, or of every combination in `grid`."""

    graph: Graph = Field(
        "chain", description="chain, or er2: an Erdős–Rényi graph of n concepts with 2 n expected edges"
    )
    n_concepts: Concepts = Field(3, description="binary concepts n")
    n_observed: Observed | None = Field(None, description="observed bits; by default two per concept")
    grid: Grid = Field(Grid(), description="lists of values of the three above; every combination is drawn")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name, values in self.grid.model_dump().items():
            if len(set(values)) < len(values):
                raise ValueError(f"grid.{name} lists a value twice: list each once")
        return self

    def points(self) -> dict[str, Self]:
        """Points called such as `er2, 4 concepts, 8 observed`."""
        own = {name: getattr(self, name) for name in Grid.model_fields}
        values = [getattr(self.grid, name) or [value] for name, value in own.items()]
        found = {}
        for point in itertools.product(*values):
            one = self.model_copy(update=dict(zip(own, point, strict=True)) | {"grid": Grid()})
            one = one.model_copy(update={"n_observed": one.n_observed or 2 * one.n_concepts})
            found[f"{one.graph}, {one.n_concepts} concepts, {one.n_observed} observed"] = one
        return found

    def draw(self, data_seed: int) -> LatentDag:
        """A world that is a function of the point and the number of the world alone."""
        import numpy as np

        from shiftscope.generative.latent_dag import draw

        key = [self.seed + data_seed, int(self.graph.removeprefix("er").replace("chain", "0"))]
        generator = np.random.default_rng([*key, self.n_concepts])
        return draw(self.graph, self.n_concepts, self.n_observed, generator)
