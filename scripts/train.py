"""Train the variants of a job on one dataset: every setting of their grids, every data seed and a block of seeds."""

from pathlib import Path

from shiftscope.pair_embeddings import read_embeddings
from shiftscope.training.base import train_block
from shiftscope.training.blocks import TrainSlice
from shiftscope.workflow.job import run, state_folder


def main(
    embeddings: Path,
    manifest: Path,
    weights: list[Path],
    sidecars: list[Path],
    params: TrainSlice,
    checkpoint_seconds: int = 20,
) -> None:
    """`weights` and `sidecars` are in the order of the variants."""
    data = read_embeddings(embeddings, manifest)
    state = state_folder(params, [manifest], params.modules())
    train_block(params, data, zip(weights, sidecars, strict=True), state, checkpoint_seconds)


if __name__ == "__main__":
    run(main)
