"""Export steering vectors of what is recommended and of every variant: the setting chosen by UDR, its medoid seed, with names, scales and origin."""

from pathlib import Path

from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.recommendation import at_size, main_size, recommend
from shiftscope.evaluation.selection import chosen, selections
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.steering.vectors import ExportSlice, export_vectors
from shiftscope.vocabulary import RECOMMENDED
from shiftscope.workflow.job import run


def main(
    embeddings: Path,
    manifest: Path,
    weights: list[Path],
    sidecars: list[Path],
    vectors: list[Path],
    others: list[Path],
    about: list[Path],
    params: ExportSlice,
) -> None:
    """`vectors`, `others` and `about` are in the order of the variants."""
    data = read_embeddings(embeddings, manifest)
    trained = read_trained(weights, sidecars)[data.facts["dataset"]]
    trained = chosen(trained, selections(data, trained))
    best = main_size(recommend(data, trained))
    codes = best.one.n_codes if best else trained[0].n_codes
    by_name = {name: (one, "") for name, one in at_size(trained, codes).items()}
    if best:
        by_name[RECOMMENDED] = best.one, best.reasons["why"]
    for variant, *files in zip(params.variants, vectors, others, about, strict=True):
        one, why = by_name[variant]
        export_vectors(data, one.facts, one.models, one.chosen, *files, why)


if __name__ == "__main__":
    run(main)
