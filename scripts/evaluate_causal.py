"""Steer a language model by every variant's vectors: what becomes of its next-token law, and of what it writes."""

from pathlib import Path

from shiftscope.evaluation.causal import CausalInputs, CausalSlice, measured
from shiftscope.evaluation.parts import write_part
from shiftscope.files import write_json
from shiftscope.workflow.job import run


def main(
    lm_manifest: Path,
    embeddings: list[Path],
    manifests: list[Path],
    pairs: list[Path],
    weights: list[Path],
    sidecars: list[Path],
    part: Path,
    samples: Path,
    params: CausalSlice,
    corpus_manifest: Path | None = None,
) -> None:
    """Every dataset has one file in each of `embeddings`, `manifests` and `pairs`; `corpus_manifest` is of a model that learned from a grammar."""
    files = CausalInputs(lm_manifest.parent, embeddings, manifests, pairs, weights, sidecars, corpus_manifest)
    rows, written = measured(params, files)
    write_part(part, rows)
    write_json(samples, {"lm": params.lm, "samples": written})


if __name__ == "__main__":
    run(main)
