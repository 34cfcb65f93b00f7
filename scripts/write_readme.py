"""Write the card of the recommended vectors of one dataset for people: what stands beside the file that somebody downloads."""

from pathlib import Path

from shiftscope.evaluation.vector_card_file import read_card, read_diagnosis
from shiftscope.files import write_text
from shiftscope.report.vector_readme import markdown
from shiftscope.workflow.job import run


def main(card: Path, diagnosis: Path, vectors: Path, readme: Path) -> None:
    write_text(readme, markdown(read_card(card), read_diagnosis(diagnosis), vectors))


if __name__ == "__main__":
    run(main)
