"""Train a language model on a corpus whose grammar is known, and measure what of its concepts it has learned."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.files import read_json
from shiftscope.lms.base import LmSlice
from shiftscope.training.language_model import train_from_corpus
from shiftscope.workflow.job import run, state_folder


def main(
    documents: Path,
    corpus_manifest: Path,
    words: list[Path],  # read by the grammar
    manifest: Path,
    params: LmSlice,
    checkpoint_seconds: int = 20,
) -> None:
    module = kinds.module_of("corpora", read_json(corpus_manifest)["kind"])
    state = state_folder(params, [corpus_manifest], [module])
    train_from_corpus(params, documents, corpus_manifest, manifest.parent, state, checkpoint_seconds)


if __name__ == "__main__":
    run(main)
