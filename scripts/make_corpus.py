"""Sample a corpus from its grammar: documents with the value of every concept, and a manifest."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.corpora.base import CorpusSlice, write_corpus
from shiftscope.workflow.job import run


def main(documents: Path, manifest: Path, words: list[Path], params: CorpusSlice) -> None:  # words: read by the grammar
    definition = kinds.load("corpora", params.kind)(**params.params)
    write_corpus(definition, params.corpus, params.kind, documents, manifest)


if __name__ == "__main__":
    run(main)
