"""Steering out of distribution: vectors learned on one dataset, tried on another that shares a concept."""

from pathlib import Path

from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.recommendation import recommend, recommended_rows
from shiftscope.evaluation.selection import chosen, selections
from shiftscope.evaluation.steering import TransferSlice, transfers
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.workflow.job import run


def main(
    embeddings: list[Path],
    manifests: list[Path],
    pairs: list[Path],
    weights: list[Path],
    sidecars: list[Path],
    part: Path,
    params: TransferSlice,
) -> None:
    """Every dataset has one file in each of the first three lists."""
    data = [read_embeddings(path, facts) for path, facts in zip(embeddings, manifests, strict=True)]
    trained = read_trained(weights, sidecars)
    for one in data:
        models = trained[one.facts["dataset"]]
        trained[one.facts["dataset"]] = chosen(models, selections(one, models))
    rows = transfers(params.transfers, data, pairs, trained)
    for one in data:
        dataset = one.facts["dataset"]
        found = recommend(one, trained[dataset])
        rows += recommended_rows([row for row in rows if row["dataset"] == dataset], found)
    write_part(part, rows)


if __name__ == "__main__":
    run(main)
