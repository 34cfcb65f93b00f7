"""Makes one figure of the catalogue, as SVG, and the numbers in it, as Parquet, CSV and Markdown, of metric parts."""

from pathlib import Path

from shiftscope.evaluation.parts import read_parts
from shiftscope.tables.base import EntrySlice, entry
from shiftscope.tables.drawing import write_figure
from shiftscope.tables.wide import write_table
from shiftscope.workflow.job import run


def main(parts: list[Path], figure: Path, table: Path, csv: Path, markdown: Path, params: EntrySlice) -> None:
    module = entry(params.entry)
    numbers = module.build(read_parts(parts, params.hidden))
    write_table(numbers, module, table, csv, markdown)
    write_figure(module, numbers, figure)


if __name__ == "__main__":
    run(main)
