"""Curves over layers: what is found at each depth of a language model, beside its controls at the same depth.

Paper A reads Llama's last layer and paper B Pythia's last hidden layer; neither compares layers. Here every layer that
the config lists has embeddings of its own, and the same variants are trained on each.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.metrics.steering import COSINE_HELDOUT
from shiftscope.tables.layers import LAST, block_number, by_depth
from shiftscope.tables.numbers import span, spoken
from shiftscope.tables.tidy import assemble, ordered, variants_in_order
from shiftscope.tables.verdicts import (
    THIS_PROJECT,
    TOLERANCE,
    Found,
    Verdict,
    datasets,
    judged,
    mostly,
    of_metric,
    told,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Layers · What is found at each depth"
CLAIM = "The last layer, which both papers read, shows the concepts as well as any other."
SAID_BY = THIS_PROJECT
PARTS = "layers"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER, COSINE_HELDOUT)
PUBLISHED: dict = {}
SOURCE = "no numbers: paper A (§3) and paper B (§5) read the last layer and compare it with no other."
CAPTION = (
    "A panel per dataset and score, a point per layer: after block 0, 1, …, and last after the final norm. Points: "
    "mean over seeds (and concepts); bars: 95 % interval of the mean. Dashed: the same network with random weights."
)
EMPTY = "No language model was read at several layers."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of all that was measured at several layers of one language model, in the order of depth."""
    table = assemble(metrics, METRICS, PUBLISHED)
    curve = ["lm", "dataset", "codes", "variant", "metric"]
    table = table[table.groupby(curve)["layer"].transform("nunique") > 1]
    table = ordered(table, METRICS, PUBLISHED)
    layers, datasets = by_depth(table["layer"]), list(dict.fromkeys(table["dataset"]))
    places = {"layer": layers.index, "dataset": datasets.index}
    return table.sort_values(
        ["lm", "dataset", "codes", "layer"], key=lambda keys: keys.map(places.get(keys.name, lambda key: key)),
        kind="stable", ignore_index=True,
    )  # fmt: skip


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, on every dataset whose truth is known, no layer's MCC is above the final norm's by more than .02.

    Control: the untrained network, if at the final norm it scores as well on half of the datasets.
    """
    return judged(table, MCC_TRUTH, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    last = _last_and_best(rows)
    if last.empty:
        return None
    holds = bool((last["best"] - last["mean"] <= TOLERANCE).all())
    return Found(holds, {"untrained_lm": mostly(last, "untrained_lm")}, _text(last))


def _last_and_best(rows: pd.DataFrame) -> pd.DataFrame:
    """The final norm's MCC with the truth, and beside each the `best` mean of all layers and the layer that has it."""
    curve = ["dataset", "codes"]
    top = rows.loc[rows.groupby(curve)["mean"].idxmax(), [*curve, "layer", "mean"]]
    top = top.rename(columns={"layer": "best_layer", "mean": "best"})
    return rows[rows["layer"] == LAST].merge(top, on=curve)


def _text(rows: pd.DataFrame) -> str:
    text = f"MCC {span(rows['mean'])} after the final norm on {datasets(rows)}"
    if rows["untrained_lm"].notna().any():
        text += f" (untrained network {span(rows['untrained_lm'])})"
    better = rows[rows["best"] - rows["mean"] > TOLERANCE]
    above = [
        f"{row['dataset']} has {spoken(row['best'])} at {row['best_layer']} against {spoken(row['mean'])}"
        for row in better.to_dict("records")
    ]
    return text + (f"; {', '.join(above)}" if above else ", and no layer is above")


def finding(table: pd.DataFrame) -> str:
    """This figure in one sentence for the top of the report, empty if no SSAE has the final norm and another layer."""
    return told(
        verdict(table), "finds the concepts at the last layer as well as at any",
        "finds the concepts at another layer better than at the last",
    )  # fmt: skip


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per dataset, one panel per score, a curve per variant and its controls over depth."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing, scale_of_scores

    rows = list(dict.fromkeys(zip(table["lm"], table["dataset"], table["codes"], strict=True)))
    if not rows:
        return nothing(EMPTY)
    metrics = [metric for metric in METRICS if metric.name in set(table["metric"])]
    figure = Figure(figsize=(2.9 * len(metrics) + 0.6, 1.75 * len(rows) + 0.9), layout="constrained")
    figure.get_layout_engine().set(hspace=0.07, wspace=0.05)
    all_axes = figure.subplots(len(rows), len(metrics), squeeze=False)
    for line, (lm, dataset, codes) in zip(all_axes, rows, strict=True):
        here = table[(table[["lm", "dataset", "codes"]] == [lm, dataset, codes]).all(axis=1)]
        layers = by_depth(here["layer"])
        for axes, metric in zip(line, metrics, strict=True):
            shown = of_metric(here, metric)
            if not scale_of_scores(axes, shown, top=1.03):
                continue
            _panel(axes, shown, layers)
            extra = [lm] if table.loc[table["dataset"] == dataset, "lm"].nunique() > 1 else []
            axes.set_title(", ".join([dataset, *extra, metric.label]))
    for axes in all_axes[-1]:
        axes.set_xlabel("read after block")
    _legend(figure, table)
    return figure


def positions(layers: list[str]) -> dict[str, float]:
    """Where each layer stands on the axis: at its block's number, the final norm a usual step after the last block."""
    blocks = [block_number(layer) for layer in layers if layer != LAST]
    steps = sorted(later - earlier for earlier, later in pairwise(blocks)) or [1]
    end = blocks[-1] + steps[len(steps) // 2] if blocks else 0
    return {layer: end if layer == LAST else block_number(layer) for layer in layers}


def _panel(axes: Axes, shown: pd.DataFrame, layers: list[str]) -> None:
    from shiftscope.tables.drawing import CONTROL

    place = positions(layers)
    axes.set_xticks(list(place.values()), ["norm" if layer == LAST else str(block_number(layer)) for layer in layers])
    for number, variant in enumerate(_variants(shown)):
        colour, marker = _look(number)
        rows = shown[shown["variant"] == variant]
        x = [place[layer] for layer in rows["layer"]]
        if rows["untrained_lm"].notna().any():
            axes.plot(
                x, rows["untrained_lm"], "--", color=colour, marker=marker, mfc="none", markersize=3.5, linewidth=0.9
            )
        axes.vlines(x, rows["low"], rows["high"], color=colour, linewidth=2.2, alpha=0.55)
        axes.plot(x, rows["mean"], "-", color=colour, marker=marker, markersize=4.5, linewidth=1.2, zorder=3)
    same = shown.drop_duplicates("layer")  # the same for every variant of one code size
    x = [place[layer] for layer in same["layer"]]
    for control, style, width, _ in CONTROL_LINES:
        if same[control].notna().any():
            axes.plot(x, same[control], style, color=CONTROL, linewidth=width, zorder=1)


CONTROL_LINES = (
    ("ceiling", "-", 1.6, "ceiling: what is linearly readable"),
    ("random_dictionary", ":", 1.4, "random directions"),
    ("no_steering", "-.", 1.0, "no steering"),
)
"""Controls that are the same for every variant, with their line's style and width, and what it is called."""


def _variants(rows: pd.DataFrame) -> list[str]:
    return variants_in_order(zip(rows["variant"], rows["kind"], strict=True))


def _look(number: int) -> tuple[str, str]:
    """Colour and marker of a variant, by its place in the legend."""
    from shiftscope.tables.drawing import FIRST, SECOND

    return (SECOND, FIRST)[number % 2], "osD^v<>p"[number // 2 % 8]


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    from shiftscope.tables.drawing import CONTROL

    handles = []
    for number, variant in enumerate(_variants(table)):
        colour, marker = _look(number)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4.5, label=variant))
        if table.loc[table["variant"] == variant, "untrained_lm"].notna().any():
            look = {"linestyle": "--", "color": colour, "marker": marker, "mfc": "none", "markersize": 3.5}
            handles.append(Line2D([], [], **look, label=f"{variant}, untrained network"))
    for control, style, width, words in CONTROL_LINES:
        if table[control].notna().any():
            handles.append(Line2D([], [], linestyle=style, linewidth=width, color=CONTROL, label=words))
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False)
