"""Train the networks of a job on simulated worlds: every setting of their grids and a block of seeds in each world."""

from pathlib import Path

from shiftscope.simulations.base import read_simulation
from shiftscope.training.blocks import TrainSlice
from shiftscope.training.masked import train_masked_block
from shiftscope.workflow.job import run, state_folder


def main(
    worlds: Path, manifest: Path, weights: list[Path], sidecars: list[Path], params: TrainSlice, checkpoint_seconds: int = 20
) -> None:  # fmt: skip
    """`weights` and `sidecars` are in the order of the variants."""
    simulated = read_simulation(worlds, manifest)
    state = state_folder(params, [manifest], params.modules())
    files = zip(weights, sidecars, strict=True)
    train_masked_block(params, simulated.worlds, files, state, checkpoint_seconds)


if __name__ == "__main__":
    run(main)
