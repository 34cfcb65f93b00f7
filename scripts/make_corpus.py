"""Write a corpus: its documents, those that were left out, and a manifest."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.corpora.base import CorpusFiles, CorpusSlice, corpus_of
from shiftscope.word_lists import check_words
from shiftscope.workflow.job import run, state_folder


def main(
    documents: Path, rejected: Path, manifest: Path, words: list[Path], params: CorpusSlice, path: Path | None = None
) -> None:
    """`path` is the user's own file or folder, if the corpus reads one; `params` has its digest."""
    corpus = corpus_of(params, path)
    check_words(words, corpus.word_lists)
    state = state_folder(params, [], [kinds.module_of("corpora", params.kind)])
    corpus.write(params, CorpusFiles(documents, rejected, manifest), state)


if __name__ == "__main__":
    run(main)
