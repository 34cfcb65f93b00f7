"""Steering out of distribution: vectors learned on one dataset, tried on another that shares a concept."""

from pathlib import Path

import numpy as np

from shiftscope.evaluation import read_trained, transfer_rows
from shiftscope.files import read_json, read_parquet
from shiftscope.job import run
from shiftscope.parts import write_part
from shiftscope.shifts import read_embeddings


def main(
    embeddings: list[Path],
    manifests: list[Path],
    pairs: list[Path],
    weights: list[Path],
    sidecars: list[Path],
    selections: list[Path],
    part: Path,
    params: dict,
) -> None:
    """`params["transfers"]` lists `[dataset, other dataset]`; every dataset has one file in each of the first three lists."""

    data = {
        facts["dataset"]: read_embeddings(path, facts)
        for path, facts in zip(embeddings, map(read_json, manifests), strict=True)
    }
    texts = {}
    for dataset, path in zip(data, pairs, strict=True):
        table = read_parquet(path, columns=["text_0", "text_1"])
        texts[dataset] = np.array([table["text_0"].to_pylist(), table["text_1"].to_pylist()], object)
    trained = read_trained(weights, sidecars, selections)
    rows = []
    for dataset, other in params["transfers"]:
        new = ~np.isin(texts[other], texts[dataset]).any(0)
        rows += transfer_rows(data[dataset], data[other], new, trained[dataset])
    write_part(part, rows)


if __name__ == "__main__":
    run(main)
