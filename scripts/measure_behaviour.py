"""Measure mc1, mc2 and perplexity of a language model before and after steering, on held-out questions."""

import shutil
from pathlib import Path

from shiftscope import kinds
from shiftscope.evaluation.behaviour import BehaviourSlice, Inputs, measured
from shiftscope.evaluation.parts import write_part
from shiftscope.workflow.job import run, state_folder


def main(
    embeddings: Path,
    manifest: Path,
    lm_manifest: Path,
    vectors: list[Path],
    others: list[Path],
    about: list[Path],
    neutral: Path,
    part: Path,
    params: BehaviourSlice,
    files: list[Path] = [],  # noqa: B006 (job reads it)
) -> None:
    """`vectors`, `others` and `about` have one file per variant; `files` are the user's own, if the dataset reads any."""
    state = state_folder(params, [manifest, lm_manifest, *about, neutral], [kinds.module_of("pairs", params.kind)])
    inputs = Inputs(embeddings, manifest, lm_manifest.parent, vectors, others, about, neutral, files)
    write_part(part, measured(params, inputs, state))
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
