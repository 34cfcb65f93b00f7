"""Tables as the report's page shows them: rows grouped by dataset, texts ready to print, a small drawing per row."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from shiftscope.metrics.base import Metric, label, metric
from shiftscope.tables.numbers import count, known, number
from shiftscope.tables.verdicts import Verdict
from shiftscope.tables.wide import Column, Sheet, cell_interval, cell_text, dead, sheet
from shiftscope.vocabulary import CONTROLS

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.tables.base import FigureEntry


@dataclass(frozen=True)
class Cell:
    """One number: what is read, what it is sorted by, and what stands in its tooltip."""

    text: str
    kind: str
    spread: str = ""
    interval: str = ""
    sort: float | None = None
    title: str = ""


@dataclass(frozen=True)
class VariantRow:
    """One variant on one dataset."""

    variant: str
    dead: bool
    strip: Strip | None
    cells: list[Cell]


@dataclass(frozen=True)
class Strip:
    """Places from 0 to 100 of a score, its interval, its controls and the paper's number on one line."""

    score: float | None
    low: float | None
    high: float | None
    controls: list[float]
    published: float | None
    text: str


@dataclass(frozen=True)
class Group:
    """The rows of one dataset."""

    title: str
    note: str
    rows: list[VariantRow]
    lm: str


@dataclass(frozen=True)
class Shown:
    """A table of the catalogue, ready for the page."""

    name: str
    title: str
    claim: str
    said_by: str
    source: str
    empty: str
    """Why it has no row, if it has none."""
    verdicts: list[Verdict]
    rule: str
    """How the verdict is reached, in words."""
    heads: list[tuple[str, str, int]]
    """Label, explanation and number of columns of each metric."""
    columns: list[tuple[Column, str]]
    """Columns and their explanations."""
    groups: list[Group]
    links: list[tuple[str, str]]
    figure: str
    caption: str

    @property
    def published(self) -> bool:
        """Whether a number of the source stands in it."""
        return any(column.kind == "published" for column, _ in self.columns)

    @property
    def strips(self) -> bool:
        """Whether a row has a small drawing."""
        return any(row.strip for group in self.groups for row in group.rows)

    @property
    def width(self) -> int:
        """Columns of the whole table."""
        return 1 + self.strips + len(self.columns)


EXPLAINED = {
    "mean": "mean and standard deviation over models",
    "minimum": "the worst model",
    "difference": "mean difference to the same autoencoder without sparsity, seed by seed",
    "published": "the source's number",
}


def shown(entry: FigureEntry, name: str, table: pd.DataFrame, links: list[tuple[str, str]], figure: str) -> Shown:
    """Everything that the page says about one table; `figure` is its SVG, empty for a table."""
    wide = sheet(table, entry.METRICS[0])
    rule = " ".join((inspect.getdoc(entry.verdict) or "").split())
    heads = [
        (label(name), metric(name).meaning, len(list(columns)))
        for name, columns in groupby(wide.columns, key=lambda column: column.metric)
    ]
    columns = [(column, EXPLAINED.get(column.kind) or CONTROLS[column.kind][1]) for column in wide.columns]
    return Shown(name, entry.TITLE, entry.CLAIM, entry.SAID_BY, entry.SOURCE, entry.EMPTY, entry.verdict(table), rule,
                 heads, columns,
                 _groups(wide, entry.METRICS[0], with_strip=not figure), links, figure,
                 entry.CAPTION if figure else "")  # fmt: skip


def _groups(wide: Sheet, main: Metric, with_strip: bool) -> list[Group]:
    found: dict[tuple, list[VariantRow]] = {}
    models: dict[tuple, int] = {}
    for keys, cells in wide.rows:
        strip = _strip(cells[main.name]) if with_strip and main.name in cells else None
        name = _named(keys)
        row = VariantRow(name, dead(cells), strip, [_cell(column, cells.get(column.metric)) for column in wide.columns])
        group = (keys["lm"], keys["layer"], keys["dataset"], keys["codes"])
        found.setdefault(group, []).append(row)
        models[group] = max(models.get(group, 0), *(record["n"] for record in cells.values()))
    # keys that differ between rows are told in the group's note; the others would only repeat
    shown_keys = [name for name in ("lm", "layer") if name in wide.keys]
    groups = []
    for group, rows in found.items():
        lm, layer, dataset, codes = group
        extra = [value for name, value in (("lm", lm), ("layer", layer)) if name in shown_keys and value]
        groups.append(
            Group(dataset, ", ".join([*extra, count(codes, "code"), count(models[group], "model")]), rows, lm)
        )
    return groups


def _named(keys: dict[str, Any]) -> str:
    """A variant, and of a curve the dose or the step, of a pair of concepts their names."""
    name = keys["variant"]
    name += f", {keys['steered']} on {keys['changed']}" if keys.get("changed") else ""
    name += f" × {keys['dose']:g}" if keys.get("dose") is not None else ""
    return name + (f", step {keys['step']}" if "step" in keys else "")


def _cell(column: Column, record: dict[str, Any] | None) -> Cell:
    kind = "control" if column.is_control else column.kind
    if record is None:
        return Cell("", kind)
    value = record[column.kind]
    if not cell_text(column, record):
        return Cell("", kind)
    if not known(value):
        missing = "not legible in the extracted text, or not given" if column.kind == "published" else ""
        return Cell(number(None), kind, title=missing)
    if column.kind != "mean":
        return Cell(cell_text(column, record), kind, interval=cell_interval(column, record), sort=value)
    spread = f"± {number(record['sd'])}" if known(record["sd"]) else ""
    limits = cell_interval(column, record)
    title = f"{count(record['n'], 'model')}, worst {number(record['minimum'])}"
    title += f", 95 % interval {limits}" if limits else ", no interval"
    return Cell(number(value), kind, spread, limits, value, title)


def _strip(record: dict[str, Any]) -> Strip | None:
    """Only scores between 0 and 1 are drawn: elsewhere a line from 0 to 1 would mislead. Of intervals what lies there."""
    numbers = [record[name] for name in ("mean", "published", *CONTROLS)]
    if any(known(value) and not 0 <= value <= 1 for value in numbers):
        return None
    beside = {title: record[name] for name, (title, _) in CONTROLS.items() if known(record[name])}
    words = [
        f"{record['variant']} {number(record['mean'])}",
        *(f"{title} {number(value)}" for title, value in beside.items()),
    ]
    if known(record["published"]):
        words.append(f"paper {number(record['published'])}")
    places = {
        name: 100 * min(max(record[name], 0.0), 1.0) if known(record[name]) else None
        for name in ("mean", "low", "high", "published")
    }
    return Strip(places["mean"], places["low"], places["high"], [100 * value for value in beside.values()],
                 places["published"], ", ".join(words))  # fmt: skip
