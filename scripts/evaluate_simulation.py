"""Measure every network of one simulation in its worlds: one part of the long-form metrics."""

from pathlib import Path

from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.simulations import evaluate
from shiftscope.simulations.base import read_simulation
from shiftscope.workflow.job import run


def main(worlds: Path, manifest: Path, weights: list[Path], sidecars: list[Path], part: Path) -> None:
    simulated = read_simulation(worlds, manifest)
    write_part(part, evaluate(simulated, read_trained(weights, sidecars)[simulated.facts["dataset"]]))


if __name__ == "__main__":
    run(main)
