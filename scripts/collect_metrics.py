"""Concatenates all metric parts into one Parquet file, for people."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shiftscope.files import atomic
from shiftscope.job import run
from shiftscope.parts import SCHEMA, read_parts


def main(parts: list[Path], metrics: Path) -> None:
    table = pa.Table.from_pandas(read_parts(parts), schema=SCHEMA, preserve_index=False)
    with atomic(metrics) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary)


if __name__ == "__main__":
    run(main)
