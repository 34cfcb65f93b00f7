"""Build one pair dataset: its pairs, split and turned, the rows that were left out, and a manifest."""

from pathlib import Path

from shiftscope.pairs.base import PairsSlice, dataset_of, write_pairs
from shiftscope.word_lists import check_words
from shiftscope.workflow.job import run


def main(
    pairs: Path, rejected: Path, manifest: Path, words: list[Path], params: PairsSlice, file: Path | None = None
) -> None:
    """`file` is the user's own, if the dataset reads one; `params` has its digest."""
    dataset = dataset_of(params.kind, params.params, file)
    check_words(words, dataset.word_lists)
    write_pairs(dataset.build(), params.dataset, params.kind, pairs, rejected, manifest)


if __name__ == "__main__":
    run(main)
