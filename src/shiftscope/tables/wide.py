"""A tidy table as people read it: one row per dataset, code size and variant, metrics and controls side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.files import atomic, write_text
from shiftscope.metrics.base import label
from shiftscope.tables.numbers import interval, known, number
from shiftscope.tables.verdicts import DEAD, NOT_TESTED, RECIPES, Verdict, is_dead
from shiftscope.vocabulary import CONTROLS

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.metrics.base import Metric
    from shiftscope.tables.base import Entry

VARIANT_KEYS = ["lm", "layer", "dataset", "codes", "variant"]
"""What makes a line of the wide form."""
CURVES = ("dose", "step", "steered", "changed")
"""columns of the tables of curves and of pairs of concepts: each of their values is a line of the wide form, too"""
DEAD_WORD = "dead"
DEAD_MEANING = (
    f"the error on held-out pairs is {number(DEAD, 1)} of doing nothing's or more, so that it can reproduce nothing"
)


@dataclass(frozen=True)
class Column:
    """One column of numbers: of the metric `metric`, its `kind` (mean, minimum, difference, published or a control)."""

    metric: str
    kind: str

    @property
    def title(self) -> str:
        """Heading below the metric's own."""
        titles = {"mean": "mean ± sd", "minimum": "worst", "difference": "gain", "published": "paper"}
        return titles.get(self.kind) or CONTROLS[self.kind][0]

    @property
    def is_control(self) -> bool:
        """Whether it stands in grey beside the score."""
        return self.kind in CONTROLS


@dataclass(frozen=True)
class Sheet:
    """The wide form of a tidy table."""

    keys: list[str]
    columns: list[Column]
    rows: list[tuple[dict[str, Any], dict[str, dict[str, Any]]]]
    """Per row its keys, and by metric the record of the tidy table."""


def sheet(table: pd.DataFrame, main: Metric) -> Sheet:
    """Arrange a tidy table by row and metric; `main` is the source's metric, which shows the worst model and the gain."""
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    named = [*VARIANT_KEYS, *(name for name in CURVES if name in table)]
    rows: dict[tuple, dict[str, dict[str, Any]]] = {}
    for record in records:
        rows.setdefault(tuple(record[name] for name in named), {})[record["metric"]] = record
    names = list(dict.fromkeys(table["metric"]))
    columns = [column for metric in names for column in _columns(table[table["metric"] == metric], metric, main.name)]
    keys = [name for name in named if name not in ("lm", "layer") or table[name].nunique() > 1]
    return Sheet(keys, columns, [(dict(zip(named, key, strict=True)), cells) for key, cells in rows.items()])


def _columns(rows: pd.DataFrame, metric: str, main: str) -> list[Column]:
    kinds = ["mean"]
    if metric == main:
        kinds += [kind for kind in ("minimum", "difference") if rows[kind].notna().any()]
    kinds += [control for control in CONTROLS if rows[control].notna().any()]
    if rows["published"].notna().any():
        kinds.append("published")
    return [Column(metric, kind) for kind in kinds]


def score_text(record: dict[str, Any]) -> str:
    """`mean ± sd`, or the mean alone where one model has no sd."""
    spread = f" ± {number(record['sd'])}" if known(record["sd"]) else ""
    return number(record["mean"]) + spread


def cell_text(column: Column, record: dict[str, Any] | None) -> str:
    """What stands in one cell; beside a system that was not run here only the paper's number."""
    if record is None or (not record["n"] and column.kind != "published"):
        return ""
    if column.kind == "mean":
        return score_text(record)
    return number(record[column.kind], signed=column.kind == "difference")


def cell_interval(column: Column, record: dict[str, Any] | None) -> str:
    """The 95 % interval that belongs to a cell; empty where there is none."""
    if record is None or column.kind not in ("mean", "difference"):
        return ""
    ends = ("low", "high") if column.kind == "mean" else ("difference_low", "difference_high")
    return interval(*(record[name] for name in ends))


def markdown(table: pd.DataFrame, entry: Entry) -> str:
    """The table as Markdown, with its claim, its verdicts and where the published numbers come from."""
    wide = sheet(table, entry.METRICS[0])
    heads = [*wide.keys, *(f"{label(column.metric)}: {column.title}" for column in wide.columns)]
    lines = [_line(heads), _line(["---"] * len(wide.keys) + ["---:"] * len(wide.columns))]
    for keys, cells in wide.rows:
        numbers = [_with_interval(column, cells.get(column.metric)) for column in wide.columns]
        names = {name: "" if keys[name] is None else str(keys[name]) for name in wide.keys}
        names["variant"] += f" ({DEAD_WORD})" if dead(cells) else ""
        lines.append(_line([*names.values(), *numbers]))
    head = [f"# {entry.TITLE}", f"Claim ({entry.SAID_BY}): {entry.CLAIM}", verdict_lines(entry.verdict(table))]
    notes = ["Brackets: 95 % interval of the mean over seeds (Student's t); gain: over the same autoencoder without "
             "sparsity, seed by seed."]  # fmt: skip
    notes += [f"Dead: {DEAD_MEANING}."] if any(dead(cells) for _, cells in wide.rows) else []
    return (
        "\n\n".join([*head, "\n".join(lines) if wide.rows else entry.EMPTY, *notes, f"Published: {entry.SOURCE}"])
        + "\n"
    )


def verdict_lines(verdicts: Sequence[Verdict]) -> str:
    """A line for each verdict: whose recipe, on what, the status in bold, and why."""
    if not verdicts:
        return f"**{NOT_TESTED.capitalize()}.**"
    return "\n".join(
        f"- {RECIPES[one.recipe].capitalize()}, {one.lm}: **{one.status}**. {one.sentence}".rstrip() for one in verdicts
    )


def dead(cells: dict[str, dict[str, Any]]) -> bool:
    """Whether a line of the wide form is of a sparse shift autoencoder that reconstructs nothing."""
    return any(is_dead(record) for record in cells.values())


def _with_interval(column: Column, record: dict[str, Any] | None) -> str:
    return " ".join(filter(None, [cell_text(column, record), cell_interval(column, record)]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_table(table: pd.DataFrame, entry: Entry, parquet: Path, csv: Path, markdown_file: Path) -> None:
    """Write a tidy table as Parquet and CSV, and its wide form as Markdown; equal tables give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic(parquet) as temporary:
        # pandas would add its own version to the metadata, and so change the bytes
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None), temporary)
    write_text(csv, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_text(markdown_file, markdown(table, entry))
