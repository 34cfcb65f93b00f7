"""Makes one table of the catalogue, as Parquet, CSV and Markdown, of metric parts."""

from pathlib import Path

from shiftscope.evaluation.parts import read_parts
from shiftscope.tables.base import EntrySlice, entry
from shiftscope.tables.wide import write_table
from shiftscope.workflow.job import run


def main(parts: list[Path], table: Path, csv: Path, markdown: Path, params: EntrySlice) -> None:
    module = entry(params.entry)
    write_table(module.build(read_parts(parts, params.hidden)), module, table, csv, markdown)


if __name__ == "__main__":
    run(main)
