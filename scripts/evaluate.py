"""Choose settings by UDR and measure every model of one dataset on one language model: one part of the long-form metrics."""

from pathlib import Path

from shiftscope.evaluation.base import read_trained, worlds
from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.recommendation import recommend, recommended_rows
from shiftscope.evaluation.selection import chosen, selections, write_selections
from shiftscope.evaluation.shift_models import evaluate
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.workflow.job import run


def main(
    embeddings: Path, manifest: Path, weights: list[Path], sidecars: list[Path], part: Path, selection: Path
) -> None:
    data = read_embeddings(embeddings, manifest)
    trained = read_trained(weights, sidecars)[data.facts["dataset"]]
    rows, choices, best = [], [], []
    for names, world, models in worlds(data, trained):
        found = selections(world, models)
        models = chosen(models, found)
        recommended = recommend(world, models)
        measured = evaluate(world, models)
        measured += recommended_rows(measured, recommended)
        rows += [row | {"dataset": name, "eval_dataset": name} for name in names for row in measured]
        choices += [one | {"dataset": name} for name in names for one in found]
        best += [one.reasons | {"dataset": name} for name in names for one in recommended]
    write_part(part, rows)
    write_selections(selection, choices, best)


if __name__ == "__main__":
    run(main)
