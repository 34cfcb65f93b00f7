"""Build one pair dataset: its pairs, split and turned, the rows that were left out, and a manifest."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.pairs.base import PairsSlice, write_pairs
from shiftscope.word_lists import check_words
from shiftscope.workflow.job import run


def main(pairs: Path, rejected: Path, manifest: Path, words: list[Path], params: PairsSlice) -> None:
    dataset = kinds.load("pairs", params.kind)(**params.params)
    check_words(words, dataset.word_lists)
    write_pairs(dataset.build(), params.dataset, params.kind, pairs, rejected, manifest)


if __name__ == "__main__":
    run(main)
