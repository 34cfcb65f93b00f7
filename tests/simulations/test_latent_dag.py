"""Simulated worlds as files: points of a grid, and what is read is what was drawn."""

import numpy as np
import pytest
from pydantic import ValidationError

from shiftscope.errors import ShiftScopeError
from shiftscope.simulations.base import SimulationSlice, read_simulation, write_simulation
from shiftscope.simulations.latent_dag import LatentDagSimulation


def written(law: LatentDagSimulation, folder):
    asked = SimulationSlice(dataset="worlds", kind="latent_dag", params=law.model_dump(mode="json"))
    write_simulation(law, asked, folder / "worlds.safetensors", folder / "manifest.json")
    return folder / "worlds.safetensors", folder / "manifest.json"


def test_points_are_the_combinations_of_the_grid_with_two_bits_per_concept():
    law = LatentDagSimulation(graph="er2", grid={"n_concepts": [4, 1], "graph": ["er1", "chain"]})
    assert list(law.points()) == [
        "er1, 4 concepts, 8 observed",
        "er1, 1 concepts, 2 observed",
        "chain, 4 concepts, 8 observed",
        "chain, 1 concepts, 2 observed",
    ]
    assert list(LatentDagSimulation(n_observed=5).points()) == ["chain, 3 concepts, 5 observed"]


def test_worlds_are_read_as_they_were_drawn(tmp_path):
    law = LatentDagSimulation(data_seeds=2, grid={"n_concepts": [2, 3], "n_observed": [3, 5]})
    simulated = read_simulation(*written(law, tmp_path))
    drawn = [one.draw(seed) for one in law.points().values() for seed in range(2)]
    assert len(simulated.worlds) == len(drawn) == 8 and simulated.n_observed == 5
    for read, world, facts in zip(simulated.worlds, drawn, simulated.facts["worlds"], strict=True):
        assert read.parents == world.parents and np.array_equal(read.prior, world.prior)
        assert np.array_equal(read.bits, world.bits) and np.array_equal(read.states, world.states)
        assert facts["error_of_inversion"] == world.error_of_inversion()
    assert not np.array_equal(drawn[0].prior, drawn[1].prior)


def test_a_world_with_more_bits_has_the_bits_of_one_with_fewer():
    few, many = LatentDagSimulation(n_observed=4).draw(1), LatentDagSimulation(n_observed=9).draw(1)
    assert np.array_equal(few.prior, many.prior) and np.array_equal(few.bits, many.bits[:4])
    assert few.error_of_inversion() >= many.error_of_inversion()


def test_changed_worlds_are_refused(tmp_path):
    worlds, manifest = written(LatentDagSimulation(), tmp_path)
    worlds.write_bytes(worlds.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ShiftScopeError, match="delete both and run again"):
        read_simulation(worlds, manifest)


@pytest.mark.parametrize(
    "params",
    [{"graph": "tree"}, {"n_concepts": 11}, {"n_observed": 1}, {"grid": {"n_observed": [3, 3]}}, {"grid": {"lr": [1]}}],
)
def test_what_cannot_be_is_refused(params):
    with pytest.raises(ValidationError):
        LatentDagSimulation(**params)
