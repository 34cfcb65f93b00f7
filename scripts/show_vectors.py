"""Writes the page of steering vectors, one self-contained page, of their cards and of what was said before training."""

from pathlib import Path

from shiftscope.files import write_text
from shiftscope.report.vectors import render_vectors
from shiftscope.workflow.job import run


def main(
    cards: list[Path], diagnoses: list[Path], vectors: list[Path], figure: list[Path], page: Path, report: Path
) -> None:
    """`cards`, `diagnoses` and `vectors` are in the same order; `figure` is that of the numbers of codes, if it was made."""
    write_text(page, render_vectors(cards, diagnoses, vectors, figure, page, report))


if __name__ == "__main__":
    run(main)
