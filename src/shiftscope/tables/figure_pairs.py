"""Curves over the number of training pairs: how many a variant needs, beside its controls.

Neither paper varies it. A variant whose grid lists `n_pairs` is trained on the first so many pairs of one random order,
all with the same held-out pairs; UDR does not choose among these settings, and all are shown.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.metrics.sparsity import RECONSTRUCTION
from shiftscope.metrics.steering import COSINE_HELDOUT
from shiftscope.tables.numbers import count, spoken
from shiftscope.tables.tidy import by_setting, variants_in_order
from shiftscope.tables.verdicts import THIS_PROJECT, TOLERANCE, Found, Verdict, judged, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Pairs · What is found from how many"
CLAIM = "SSAE has enough pairs: from the second largest number to the largest its MCC no longer rises."
SAID_BY = THIS_PROJECT
PARTS = "all"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER, COSINE_HELDOUT, RECONSTRUCTION)
SHOWN = METRICS[:3]
PUBLISHED: dict = {}
SOURCE = "no numbers: neither paper varies the number of pairs."
EMPTY = "No variant was trained on several numbers of pairs."
CAPTION = (
    "A row of panels per dataset, a point per number of training pairs. Points: mean over seeds (and concepts); bars: "
    "95 % interval of the mean. Grey: the ceiling, which is what is linearly readable (line), random directions "
    "(dotted), no steering (dash-dotted). Held-out pairs are the same everywhere."
)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of all settings of variants whose grid lists numbers of pairs."""
    table = by_setting(metrics, METRICS, {"n_pairs": "pairs"}, sparse=False)
    return table.assign(n_pairs=table["n_pairs"].astype(int))


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, on every dataset, the last step up in pairs adds at most .02 to SSAE's MCC.

    It is the MCC with the truth, and where that is not known the MCC across seeds.

    No control stands for it: the score with random directions does not depend on the number of pairs.
    """
    return judged(table, None, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    ends = _ends(rows)
    if not ends:
        return None
    return Found(all(end["last"] - end["before"] <= TOLERANCE for end in ends), {}, "; ".join(map(_text, ends)))


def _ends(table: pd.DataFrame) -> list[dict]:
    """Per variant and dataset: the MCC at the fewest pairs, the second most (`before`) and the most (`last`)."""
    found = []
    judged_by = {metric.name: metric for metric in (MCC_TRUTH, MCC_SEEDS_DECODER)}
    rows = table[table["metric"].isin(judged_by) & table["mean"].notna()].sort_values("n_pairs")
    sizes = rows.groupby("dataset")["codes"].transform("nunique")
    rows = rows.assign(
        where=rows["dataset"].where(sizes < 2, rows["dataset"] + ", " + rows["codes"].astype(str) + " codes")
    )
    for (_, where), line in rows.groupby(["grid", "where"], sort=False):
        metric = next(metric for name, metric in judged_by.items() if name in set(line["metric"]))
        curve = of_metric(line, metric)
        if len(curve) > 1:
            scores, numbers = list(curve["mean"]), list(curve["n_pairs"])
            found.append({
                "curve": f"{where}, {metric.label}:", "fewest": numbers[0], "first": scores[0], "before": scores[-2],
                "most": numbers[-1], "last": scores[-1],
            })  # fmt: skip
    return found


def _text(end: dict) -> str:
    return (
        f"{end['curve']} {spoken(end['first'])} from {count(end['fewest'], 'pair')}, {spoken(end['last'])} from "
        f"{count(end['most'], 'pair')}"
    )


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is a check of how much data there is."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per dataset, one panel per score, a curve per variant over the number of pairs."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from shiftscope.tables.drawing import COLOURS, nothing

    lines = list(table.groupby(["lm", "layer", "dataset", "codes"], sort=False))
    if not lines:
        return nothing(EMPTY)
    colours = dict(zip(variants_in_order(zip(table["grid"], table["kind"], strict=True)), cycle(COLOURS), strict=False))
    figure = Figure(figsize=(8.4, 2.1 * len(lines) + 0.6), layout="constrained")
    figure.get_layout_engine().set(hspace=0.08, wspace=0.05)
    for all_axes, ((lm, _, dataset, codes), rows) in zip(
        figure.subplots(len(lines), len(SHOWN), squeeze=False), lines, strict=True
    ):
        for axes, metric in zip(all_axes, SHOWN, strict=True):
            _panel(axes, of_metric(rows, metric), colours)
            several = table.loc[table["dataset"] == dataset, "lm"].nunique() > 1
            sizes = table.loc[table["dataset"] == dataset, "codes"].nunique() > 1
            extra = [*([lm] if several else []), *([count(codes, "code")] if sizes else [])]
            axes.set_title(", ".join([dataset, *extra, metric.label]))
        all_axes[0].set_xlabel("training pairs")
    handles = [Line2D([], [], color=colour, marker="o", markersize=4.5, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    from shiftscope.tables.drawing import CONTROL, scale_of_scores

    if not scale_of_scores(axes, rows, top=1.05):
        return
    numbers = sorted(rows["n_pairs"].unique())
    axes.set_xscale("log")
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.minorticks_off()
    for control, style in (("ceiling", "-"), ("random_dictionary", ":"), ("no_steering", "-.")):
        beside = rows.dropna(subset=[control]).drop_duplicates("n_pairs").sort_values("n_pairs")
        axes.plot(beside["n_pairs"], beside[control], style, color=CONTROL, linewidth=1.2)
    for variant, colour in colours.items():
        line = rows[rows["grid"] == variant].sort_values("n_pairs")
        axes.plot(line["n_pairs"], line["mean"], "o-", color=colour, markersize=4.5, linewidth=1.2, zorder=3)
        axes.vlines(line["n_pairs"], line["low"], line["high"], color=colour, linewidth=2.6, alpha=0.6)
