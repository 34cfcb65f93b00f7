"""Export steering vectors of every variant: the setting chosen by UDR, its medoid seed, with names, scales and origin."""

from pathlib import Path

from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.selection import chosen, selections
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.steering.vectors import ExportSlice, export_vectors
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
    by_name = {one.facts["variant"]: one for one in chosen(trained, selections(data, trained))}
    for variant, *files in zip(params.variants, vectors, others, about, strict=True):
        one = by_name[variant]
        export_vectors(data, one.facts, one.models, one.chosen, *files)


if __name__ == "__main__":
    run(main)
