"""Choose settings by UDR and measure every model of one dataset on one language model: one part of the long-form metrics."""

from pathlib import Path

from shiftscope.evaluation.base import read_trained
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
    found = selections(data, trained)
    trained = chosen(trained, found)
    best = recommend(data, trained)
    rows = evaluate(data, trained)
    write_part(part, rows + recommended_rows(rows, best))
    write_selections(selection, found, [one.reasons for one in best])


if __name__ == "__main__":
    run(main)
