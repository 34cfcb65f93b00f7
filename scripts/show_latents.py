"""Writes the page of latents, one self-contained page, of the cards of all stores."""

from pathlib import Path

from shiftscope.files import write_text
from shiftscope.report.latents import render_latents
from shiftscope.workflow.job import run


def main(cards: list[Path], page: Path, report: Path) -> None:
    write_text(page, render_latents(cards, page, report))


if __name__ == "__main__":
    run(main)
