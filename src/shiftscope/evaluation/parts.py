"""Parts of the long-form metrics: one Parquet file per dataset and language model, in one declared schema."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, read_parquet
from shiftscope.metrics.base import metric
from shiftscope.vocabulary import CONTROLS, SPLITS, whole_of

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("eval_dataset", pa.string(), nullable=False),
        pa.field("lm", pa.string(), nullable=False),
        pa.field("layer", pa.string(), nullable=False),
        pa.field("variant", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("codes", pa.int32(), nullable=False),
        pa.field("params", pa.string(), nullable=False),
        pa.field("selected", pa.bool_(), nullable=False),
        pa.field("data_seed", pa.int32()),
        pa.field("seed", pa.int32()),
        pa.field("seed_2", pa.int32()),
        pa.field("step", pa.int32()),
        pa.field("dose", pa.float64()),
        pa.field("concept", pa.string()),
        pa.field("concept_2", pa.string()),
        pa.field("split", pa.string(), nullable=False),
        pa.field("control", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


def write_part(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write metric rows as one Parquet file, sorted, so that equal rows in any order give equal bytes.

    A nullable column that a row does not name is null.

    Raises:
        ShiftScopeError: there is no row, or a row has an unknown column, metric, control or split, lacks a column
            that may not be null, or holds a value that is not a finite number; names the row.
    """
    if not rows:
        raise ShiftScopeError(
            f"no metric rows for {path}: an evaluation that measured nothing is a fault, not a result"
        )
    for number, row in enumerate(rows):
        _check(number, row)
    complete = [{name: row.get(name) for name in SCHEMA.names} for row in rows]
    complete.sort(key=_order)
    with atomic(path) as temporary:
        pq.write_table(_table(complete), temporary)


def _table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table, by way of JSON: `pa.Table.from_pylist` loads pandas, which takes as long as an evaluation."""
    lines = "\n".join(json.dumps(row, default=lambda number: number.item()) for row in rows)  # numpy's numbers, too
    reading = pyarrow.json.ReadOptions(use_threads=False)
    columns = pyarrow.json.ParseOptions(explicit_schema=SCHEMA)
    return pyarrow.json.read_json(pa.py_buffer(lines.encode()), reading, columns).cast(SCHEMA)


def read_parts(paths: Iterable[str | Path], hidden: Collection[str] = ()) -> pd.DataFrame:
    """Read and concatenate parts as one data frame with the columns of `SCHEMA`; nullable integers stay integers.

    Rows of the variants `hidden` are left out, and of their paths.

    Raises:
        ShiftScopeError: a file is not Parquet or has another schema, or no file was given.
    """
    import pandas as pd

    tables = [_read(Path(path)) for path in paths]
    if not tables:
        raise ShiftScopeError("no metric parts were given: name at least one file of results/parts")
    nullable = {pa.int32(): pd.Int32Dtype(), pa.string(): pd.StringDtype()}
    rows = pa.concat_tables(tables).to_pandas(types_mapper=nullable.get)
    if not hidden:
        return rows
    return rows[~rows["variant"].map(whole_of).isin(hidden)].reset_index(drop=True)


def means_by_name(rows: pd.DataFrame) -> dict[str, Any]:
    """Mean of each metric over seeds and data seeds in the chosen setting: `{lm: {dataset: {variant_k: {metric: mean}}}}`.

    Only models themselves, no control, no curve over doses or steps, no matrix of concepts, and no mapped embeddings, which have the `lm` of those that
    were mapped; to six digits, which is less than any spread. Of a language model's layers the first part's is the main one; another is
    called `lm@layer`, as its folder is.
    """
    rows = rows[~rows["layer"].str.contains(", mapped (", regex=False) & rows["dose"].isna()]
    chosen = rows[rows["selected"] & (rows["control"] == "") & (rows["eval_dataset"] == rows["dataset"])]
    chosen = chosen[chosen["step"].isna() & chosen["concept_2"].isna()]
    main = dict(reversed(list(zip(chosen["lm"], chosen["layer"], strict=True))))
    names = [
        lm if main[lm] == layer else f"{lm}@{layer}" for lm, layer in zip(chosen["lm"], chosen["layer"], strict=True)
    ]
    tree: dict[str, Any] = {}
    keys = ["lm", "dataset", "variant", "codes", "metric"]
    for (lm, dataset, variant, codes, name), value in chosen.assign(lm=names).groupby(keys)["value"].mean().items():
        place = tree.setdefault(lm, {}).setdefault(dataset, {}).setdefault(f"{variant}_{codes}", {})
        place[name] = round(value, 6)
    return tree


def _read(path: Path) -> pa.Table:
    try:
        table = read_parquet(path)
    except (pa.ArrowInvalid, FileNotFoundError) as error:
        raise ShiftScopeError(f"{path} is not a readable Parquet file ({error}): delete it and run again") from error
    if not table.schema.equals(SCHEMA, check_metadata=False):
        raise ShiftScopeError(f"{path} has the columns {table.schema.names}, not those of a metric part: run again")
    return table


def _check(number: int, row: Mapping[str, Any]) -> None:
    unknown = sorted(set(row) - set(SCHEMA.names))
    if unknown:
        raise ShiftScopeError(f"metric row {number} has the unknown column {unknown[0]!r}: allowed are {SCHEMA.names}")
    for field in SCHEMA:
        if not field.nullable and row.get(field.name) is None:
            raise ShiftScopeError(f"metric row {number} has no {field.name}: it may not be null")
    for name, allowed in (("control", ("", *CONTROLS)), ("split", SPLITS)):
        if row[name] not in allowed:
            raise ShiftScopeError(f"metric row {number} has {name} {row[name]!r}: allowed are {list(allowed)}")
    try:
        held_out = metric(row["metric"]).held_out
    except ShiftScopeError as error:
        raise ShiftScopeError(f"metric row {number}: {error}") from error
    if held_out and (row["split"] == "train" or (row.get("seed") is None and not row["control"])):
        lacking = "a held-out split" if row["split"] == "train" else "a seed"
        raise ShiftScopeError(f"metric row {number}: {row['metric']} needs {lacking}, and this row has none")
    if not math.isfinite(row["value"]):
        raise ShiftScopeError(
            f"metric row {number} ({row['metric']} of {row['variant'] or 'no variant'} on {row['dataset']}) has the "
            f"value {row['value']}: leave out what cannot be measured and say why in the log"
        )


def _order(row: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    """A sort key over all columns in which null comes first."""
    return tuple((row[name] is not None, row[name] if row[name] is not None else 0) for name in SCHEMA.names)
