"""Measure every model of one dataset on one language model: one part of the long-form metrics."""

import importlib
from pathlib import Path

from shiftscope.evaluation import Trained, evaluate
from shiftscope.files import read_json
from shiftscope.job import run
from shiftscope.models import read_models
from shiftscope.parts import write_part
from shiftscope.shifts import read_embeddings


def main(
    embeddings: Path,
    manifest: Path,
    weights: list[Path],
    sidecars: list[Path],
    selections: list[Path],
    part: Path,
) -> None:
    data = read_embeddings(embeddings, read_json(manifest))
    blocks: dict[tuple[str, int], list[tuple[Path, Path]]] = {}
    for path, sidecar in zip(weights, sidecars, strict=True):
        facts = read_json(sidecar)
        blocks.setdefault((facts["variant"], facts["codes"]), []).append((path, sidecar))
    chosen = {(facts["variant"], facts["codes"]): facts for facts in map(read_json, selections)}

    trained = []
    for (name, codes), files in blocks.items():
        models, facts = read_models(*zip(*files, strict=True))
        variant = importlib.import_module(f"shiftscope.variants.{facts['kind']}")
        trained.append(Trained(name, variant, codes, facts["settings"], models, chosen[name, codes]))
    write_part(part, evaluate(data, trained))


if __name__ == "__main__":
    run(main)
