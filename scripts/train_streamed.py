"""Train the sparse autoencoders of a job on cached activations: every setting of their grids and a block of seeds."""

from pathlib import Path

from shiftscope.activations.agreement import check_store
from shiftscope.activations.store import Store
from shiftscope.training.blocks import TrainSlice
from shiftscope.training.streamed import train_streamed_block
from shiftscope.workflow.job import run, state_folder


def main(
    manifest: Path, weights: list[Path], sidecars: list[Path], params: TrainSlice, checkpoint_seconds: int = 20
) -> None:
    """`weights` and `sidecars` are in the order of the variants."""
    store = Store(manifest)
    check_store(store, params.lm, params.layer, params.dataset)
    state = state_folder(params, [manifest], params.modules())
    train_streamed_block(params, store, zip(weights, sidecars, strict=True), state, checkpoint_seconds)


if __name__ == "__main__":
    run(main)
