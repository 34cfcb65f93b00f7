"""Write the card of the recommended vectors of one dataset: what they rest on, what they do, how they compare; as data and to read."""

import shutil
from pathlib import Path

from shiftscope.evaluation.vector_card import CardInputs, CardSlice, card_of
from shiftscope.evaluation.vector_card_file import read_diagnosis
from shiftscope.evaluation.vector_readme import markdown
from shiftscope.files import write_json, write_text
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
    diagnosis: Path,
    neutral: Path,
    params: CardSlice,
    card: Path,
    readme: Path,
) -> None:
    state = state_folder(params, [manifest, pairs_manifest, lm_manifest, about, neutral])
    inputs = CardInputs(
        embeddings, manifest, pairs, pairs_manifest, lm_manifest.parent, vectors, others, about, neutral
    )
    found = card_of(params, inputs, state)
    write_text(readme, markdown(found, read_diagnosis(diagnosis), vectors))
    write_json(card, found)
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
