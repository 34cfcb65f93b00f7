"""The number of codes that is chosen without labels: held-out gain and agreement of seeds against the number of codes."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from shiftscope.metrics.gain import HELD_OUT_GAIN, HELD_OUT_GAIN_ERROR
from shiftscope.metrics.udr import UDR
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import THIS_PROJECT, Verdict, of_metric
from shiftscope.vocabulary import RECOMMENDED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Codes · How many concepts vary"
CLAIM = "How many codes a dataset has can be told without labels: by held-out pairs, and by the agreement of seeds."
SAID_BY = THIS_PROJECT
PARTS = "language"
METRICS = (HELD_OUT_GAIN, HELD_OUT_GAIN_ERROR, UDR)
PUBLISHED: dict = {}
SOURCE = "None: it is this project's own."
CAPTION = (
    "Left: how much better than a Gaussian held-out training pairs are explained, in nats per pair, with three standard errors, what a "
    "gain must be above 0 to count. Right: agreement of seeds, with .9, below which a number of codes is not taken."
)
EMPTY = "No dataset was trained with two numbers of codes at which a held-out gain is measured."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of variants whose gain is known at two numbers of codes or more."""
    import pandas as pd

    table = assemble(metrics, METRICS, {})
    keys = ["lm", "layer", "dataset", "variant"]
    sizes = table[table["metric"] == HELD_OUT_GAIN.name].groupby(keys)["codes"].nunique()
    several = pd.MultiIndex.from_frame(table[keys]).isin(sizes[sizes > 1].index)
    return table[several & (table["variant"] != RECOMMENDED)].reset_index(drop=True)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """None: where the number of concepts is known, table A-T2 and the others show what its choice is worth."""
    return []


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: the card of the vectors says what was chosen, and why."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of two panels per dataset: gain and agreement, a line per variant over numbers of codes."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    places = list(table.groupby(["lm", "layer", "dataset"], sort=False))
    if not places:
        return nothing(EMPTY)
    figure = Figure(figsize=(8.4, 2.9 * len(places)), layout="constrained")
    for axes, ((lm, _, dataset), rows) in zip(figure.subplots(len(places), 2, squeeze=False), places, strict=True):
        _panel(axes[0], rows, HELD_OUT_GAIN, f"{dataset}, {lm}: held-out gain, nats", 0.0)
        _panel(axes[1], rows, UDR, "agreement of seeds", 0.9)
        axes[1].set_ylim(-0.02, 1.05)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, metric: object, title: str, least: float) -> None:
    from shiftscope.tables.drawing import COLOURS, CONTROL

    axes.set_title(title)
    axes.set_xlabel("codes")
    axes.axhline(least, color=CONTROL, linewidth=0.8, linestyle=":")
    shown, errors = of_metric(rows, metric), of_metric(rows, HELD_OUT_GAIN_ERROR)
    sizes = sorted(shown["codes"].unique())
    axes.set_xticks(sizes, [str(size) for size in sizes])
    for variant, colour in zip(dict.fromkeys(shown["variant"]), cycle(COLOURS), strict=False):
        line = shown[shown["variant"] == variant].sort_values("codes")
        axes.plot(line["codes"], line["mean"], "o-", color=colour, markersize=4.5, linewidth=1.2)
        if metric is HELD_OUT_GAIN:
            error = errors[errors["variant"] == variant].sort_values("codes")["mean"].to_numpy()
            axes.vlines(line["codes"], line["mean"] - 3 * error, line["mean"] + 3 * error, color=colour, linewidth=1.6)
        else:
            axes.vlines(line["codes"], line["low"], line["high"], color=colour, linewidth=2.6)
        last = line.iloc[-1]
        axes.annotate(variant, (last["codes"], last["mean"]), xytext=(6, 0), textcoords="offset points", va="center",
                      color=colour, annotation_clip=False)  # fmt: skip
    axes.margins(x=0.16)
