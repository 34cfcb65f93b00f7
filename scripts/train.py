"""Train one variant on one dataset: every setting of its grid, every data seed and a block of seeds, as replicas."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.models import BlockFacts, write_models
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.training.base import TrainSlice, replicas_of, train
from shiftscope.workflow.job import run, state_folder


def main(
    embeddings: Path, manifest: Path, weights: Path, sidecar: Path, params: TrainSlice, checkpoint_seconds: int = 20
) -> None:
    variant = kinds.load("variants", params.kind)
    settings = [variant(**setting) for setting in params.settings]
    data = read_embeddings(embeddings, manifest)
    state = state_folder(
        params, [manifest], [kinds.module_of("variants", params.kind), kinds.module_of("training", variant.training)]
    )
    models = train(settings, replicas_of(settings, data, params.seeds), data, params.codes, state, checkpoint_seconds)
    facts = BlockFacts(
        lm=params.lm, dataset=params.dataset, codes=params.codes, variant=params.variant, kind=params.kind,
        settings=[setting.model_dump() for setting in settings],
    )  # fmt: skip
    write_models(weights, sidecar, models, facts)


if __name__ == "__main__":
    run(main)
