"""Measure the recommended vectors of one dataset: what they rest on, what they do to the language model, how they compare."""

import shutil
from pathlib import Path

from shiftscope.evaluation.vector_card import CardInputs, CardSlice, card_of
from shiftscope.files import write_json
from shiftscope.workflow.job import run, state_folder


def main(
    embeddings: Path,
    manifest: Path,
    pairs: Path,
    pairs_manifest: Path,
    lm_manifest: Path,
    vectors: Path,
    others: Path,
    about: Path,
    neutral: Path,
    params: CardSlice,
    card: Path,
) -> None:
    state = state_folder(params, [manifest, pairs_manifest, lm_manifest, about, neutral])
    inputs = CardInputs(
        embeddings, manifest, pairs, pairs_manifest, lm_manifest.parent, vectors, others, about, neutral
    )
    write_json(card, card_of(params, inputs, state))
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
