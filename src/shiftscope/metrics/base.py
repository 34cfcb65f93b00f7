"""A metric: its name in tables, and what people read of it. Each is a constant beside its formula."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError, unknown


@dataclass(frozen=True)
class Metric:
    """One metric of the long-form table.

    A name that ends in `*` stands for all that begin so: what follows is a dataset's own word for it.

    Raises:
        ShiftScopeError: there is a metric of this name already.
    """

    name: str
    label: str
    """short, for headings"""
    meaning: str
    """one sentence, for tooltips and docs"""
    per: str
    """what a value belongs to: a seed, a pair of seeds, …"""
    higher_is_better: bool | None = None
    """None: neither is"""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """between which its values lie, and so its mean"""
    held_out: bool = False
    """whether a row of it must be of a held-out split and say of which seed, or random half, it is; a control's of a split alone"""

    known: ClassVar[dict[str, Metric]] = {}
    """all metrics whose modules were imported"""

    def __post_init__(self) -> None:
        if self.name in self.known:
            raise ShiftScopeError(f"there are two metrics called {self.name!r}: rename one")
        self.known[self.name] = self


def metric(name: str) -> Metric:
    """The metric called `name`, or the family that it belongs to, of those whose modules were imported.

    Raises:
        ShiftScopeError: there is none; names the nearest.
    """
    found = Metric.known.get(name) or next((one for one in Metric.known.values() if fnmatchcase(name, one.name)), None)
    if found is None:
        raise ShiftScopeError(unknown(f"metric {name!r}", name, Metric.known))
    return found


def label(name: str) -> str:
    """A metric's label; of a family with the dataset's own word in parentheses."""
    found = metric(name)
    return found.label if found.name == name else f"{found.label} ({name.removeprefix(found.name[:-1])})"


def all_metrics() -> list[Metric]:
    """The metrics of every file of this folder, in the order of files and lines."""
    found: list[Metric] = []
    for name in kinds.names("metrics"):
        module = importlib.import_module(kinds.module_of("metrics", name))
        found += [value for value in vars(module).values() if isinstance(value, Metric) and value not in found]
    return found


def markdown(metrics: list[Metric]) -> str:
    """The table of metrics of docs/file-formats.md."""
    better = {True: "higher", False: "lower", None: ""}
    rows = [f"| `{one.name}` | {one.per} | {better[one.higher_is_better]} | {one.meaning} |" for one in metrics]
    return "\n".join(["| metric | per | better | meaning |", "|---|---|---|---|", *rows])
