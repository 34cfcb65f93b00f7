"""Build one pair dataset: its pairs, split and turned, the rows that were left out, and a manifest."""

from pathlib import Path

from shiftscope.pairs.base import PairsSlice, build_pairs, dataset_of
from shiftscope.word_lists import check_words
from shiftscope.workflow.job import run


def main(
    pairs: Path,
    rejected: Path,
    manifest: Path,
    words: list[Path],
    params: PairsSlice,
    refused: Path,
    files: list[Path] = [],  # noqa: B006 (job reads it)
) -> None:
    """`files` are the user's own, if the dataset reads any; `params` has their digest. `refused` is written if the job fails."""
    dataset = dataset_of(params.kind, params.params, files)
    check_words(words, dataset.word_lists)
    build_pairs(dataset, params, pairs, rejected, manifest, refused)


if __name__ == "__main__":
    run(main)
