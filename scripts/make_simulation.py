"""Draw the worlds of a simulation: laws of concepts, and the bits that are observed of them."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.simulations.base import SimulationSlice, write_simulation
from shiftscope.workflow.job import run


def main(worlds: Path, manifest: Path, params: SimulationSlice) -> None:
    law = kinds.load("simulations", params.kind)(**params.params)
    write_simulation(law, params, worlds, manifest)


if __name__ == "__main__":
    run(main)
