"""The catalogue: a file `table_*.py` or `figure_*.py` in this folder is an entry, named after its row in the source.

An entry is a module that offers what `Entry` says, a figure what `FigureEntry` says. It is imported while the Snakefile
is parsed, so pandas and matplotlib are imported inside its functions.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError, nearest, unknown
from shiftscope.kinds import Strict
from shiftscope.metrics.base import Metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from shiftscope.tables.tidy import Published
    from shiftscope.tables.verdicts import Verdict

NEEDS = {
    "synthetic": "a dataset under `synthetic`",
    "crowded": "a dataset of kind crowded under `synthetic`",
    "language": "a dataset under `pairs` and a model under `lms`",
    "known": "a model with `source: train` under `lms`",
    "layers": "a model under `lms` with several `layers`",
    "mapped": "a model with `source: mapped` under `lms`",
    "behaviour": "a dataset under `behaviour`",
    "transfer": "two datasets of one language model that share a concept and the template",
    "simulations": "a dataset under `simulations` and a network, such as `ntp_mlp`, under `variants`",
    "posterior": "a model with `source: train` and `posterior` under `lms`",
    "causal": "a model with `causal` under `lms`",
    "words": "a dataset of words under `pairs` and a model under `lms`",
    "saes": "a dataset under `activations` and one of words under `pairs`",
    "all": "a dataset under `synthetic` or `pairs`",
}
"""What `PARTS` may be, and what the config must have for it. Further layers and mapped embeddings come with what they
belong to, and only to the entries that ask for them; `known` are models that were trained here; `behaviour` and
`transfer` come with all other parts of their datasets; `all` is `synthetic` and `language`."""


class EntrySlice(Strict):
    """The slice of the config of a table or figure: its name, and the variants that it leaves out."""

    entry: str
    hidden: list[str]


class Entry(Protocol):
    """What the module of a table offers."""

    TITLE: str
    """what it shows, in one line"""
    CLAIM: str
    """what is claimed, in one line"""
    SAID_BY: str
    """who claims it: a source and the place in it, or `shiftscope.tables.verdicts.THIS_PROJECT`"""
    PARTS: str
    """which metric parts it needs, a key of `NEEDS`"""
    METRICS: tuple[Metric, ...]
    """what it shows, the source's own metric first"""
    PUBLISHED: Published
    """the source's numbers"""
    SOURCE: str
    """what these numbers are, and where they stand"""
    EMPTY: str
    """why it has no row, if it has none: what it needs"""

    def build(self, metrics: pd.DataFrame) -> pd.DataFrame:
        """The tidy table (see `shiftscope.tables.tidy`) of rows in the schema of `shiftscope.evaluation.parts`."""

    def verdict(self, table: pd.DataFrame) -> list[Verdict]:
        """By recipe and language model, as `shiftscope.tables.verdicts.judged` has it; the docstring is the rule of it."""

    def finding(self, table: pd.DataFrame) -> str:
        """One short sentence for the top of the report (`shiftscope.report.page.LEADING`), empty if there is none."""


class FigureEntry(Entry, Protocol):
    """What the module of a figure offers."""

    CAPTION: str
    """how to read it"""

    def draw(self, table: pd.DataFrame) -> Figure:
        """The figure of what `build` made."""


def names() -> list[str]:
    """The entries of the catalogue, found by file name, in alphabetical order."""
    return kinds.names("tables", "table_*", "figure_*")


def entry(name: str) -> FigureEntry:
    """The module of one entry; that of a table lacks what figures have of their own.

    Raises:
        ShiftScopeError: there is no such entry, or its module does not offer what an entry must; names the nearest.
    """
    if name not in names():
        raise ShiftScopeError(unknown(f"table or figure {name!r}", name, names()))
    module = importlib.import_module(kinds.module_of("tables", name))
    _check(module, FigureEntry if name.startswith("figure_") else Entry)
    return cast("FigureEntry", module)


def _check(module: ModuleType, contract: type) -> None:
    """Compare a module with `Entry` or `FigureEntry`.

    Raises:
        ShiftScopeError: a member is missing, misspelt (it would be silently ignored) or of another type; names the
            module.
    """
    absent = [name for name in _members(FigureEntry) if not hasattr(module, name)]
    for name in _offered(module):
        if nearest(name, absent):
            raise ShiftScopeError(unknown(f"{module.__name__}: the member {name!r}", name, _members(FigureEntry)))
    lacking = [name for name in _members(contract) if name in absent]
    if lacking:
        what = "a figure" if contract is FigureEntry else "a table"
        raise ShiftScopeError(f"{module.__name__} lacks {', '.join(lacking)}, which {what} must have")
    for name in _members(contract):
        fits, what = _TYPES.get(name, (callable, "must be a function"))
        if not fits(getattr(module, name)):
            raise ShiftScopeError(f"{module.__name__}: {name} {what}")
    shown = [metric.name for metric in module.METRICS]
    for name in module.PUBLISHED:
        if name not in shown:
            raise ShiftScopeError(unknown(f"{module.__name__}: the metric {name!r} of PUBLISHED", name, shown))


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _metrics(value: Any) -> bool:
    return isinstance(value, tuple) and value != () and all(isinstance(metric, Metric) for metric in value)


_TEXT = (_text, "must be a text")
_TYPES = dict.fromkeys(("TITLE", "CLAIM", "SAID_BY", "SOURCE", "EMPTY", "CAPTION"), _TEXT) | {
    "PARTS": (NEEDS.__contains__, f"must be one of {', '.join(NEEDS)}"),
    "METRICS": (_metrics, "must be a tuple of metrics, such as (MCC_TRUTH,)"),
    "PUBLISHED": (lambda value: isinstance(value, Mapping), "must be a dictionary by the names of metrics"),
}
"""What a member must be, as a test and in words; the others are functions."""


def _members(contract: type) -> list[str]:
    """The public names that a contract declares, those of what it extends first."""
    declared = [
        name
        for part in reversed(contract.__mro__)
        if part not in (object, Protocol)
        for name in [*inspect.get_annotations(part), *vars(part)]
    ]
    return list(dict.fromkeys(name for name in declared if not name.startswith("_")))


def _offered(module: ModuleType) -> list[str]:
    """The public constants and functions that are a module's own."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            (name.isupper() and not isinstance(value, Metric))
            or (inspect.isfunction(value) and value.__module__ == module.__name__)
        )
    ]
