"""All metric parts in one Parquet file, for people, and the means of chosen settings as JSON, for `dvc metrics`."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shiftscope.evaluation.parts import SCHEMA, means_by_name, read_parts
from shiftscope.files import atomic, write_json
from shiftscope.workflow.job import run


def main(parts: list[Path], metrics: Path, means: Path) -> None:
    rows = read_parts(parts)
    table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False)
    with atomic(metrics) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary)
    write_json(means, means_by_name(rows))


if __name__ == "__main__":
    run(main)
