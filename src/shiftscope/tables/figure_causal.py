"""Steering as a causal test: dose–response, and what the vector of one concept does where another changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.causal import KL_REMOVED, KL_REMOVED_ELSEWHERE, LAW_MOVED, LAW_MOVED_OTHERS
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import assemble, joined, variants_in_order, with_errors
from shiftscope.tables.verdicts import THIS_PROJECT, Found, Verdict, judged

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Causal · Dose, and other concepts"
CLAIM = "SSAE's vector of one concept leaves the next token's law alone where another concept changes."
SAID_BY = THIS_PROJECT
PARTS = "causal"
METRICS = (KL_REMOVED, LAW_MOVED, LAW_MOVED_OTHERS, KL_REMOVED_ELSEWHERE)
PUBLISHED: dict = {}
SOURCE = "no numbers: neither paper steers a model whose counterfactual law is known."
EMPTY = "No language model was steered: give one `causal` under `lms`, with `others`."
CAPTION = (
    "Left, the share of the divergence from the counterfactual law that is removed, over the dose (1: the scale that was fitted on the "
    "other half of the pairs), mean over a dataset's concepts, of the first model of each variant. Right, how far vectors of concepts (rows) "
    "move the law in pairs in which each concept changes (columns), of the first sparse shift autoencoder: 1 as far as the concept's own "
    "change does, 0 not at all; blank where both are changes of one concept, but other ones. Neither text of a pair is among those that the "
    "vector was trained or fitted on."
)
TAB = "\t"
"""between names, in which it cannot be"""
ALONE = 0.1
"""how far a vector may move the law along other concepts, either way; ours"""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of doses, with the column `dose`, and of pairs of concepts: whose vector `steered`, and which `changed`.

    The latter of sparse shift autoencoders, and of variants that are given labels.
    """
    tables = []
    for dose in sorted(metrics["dose"].dropna().unique()):
        here = metrics[metrics["dose"] == dose].assign(dose=float("nan"))
        tables.append(assemble(here, METRICS, PUBLISHED).assign(dose=float(dose), steered="", changed=""))
    cells = metrics[metrics["concept_2"].notna()]
    place = cells["dataset"] + TAB + cells["concept"] + TAB + cells["concept_2"] + " (" + cells["eval_dataset"] + ")"
    found = assemble(cells.assign(dataset=place, eval_dataset=place), METRICS, PUBLISHED)
    found = found[(found["recipe"] != "") | found["labelled"]]
    names = found["dataset"].str.split(TAB, expand=True).reindex(columns=range(3))
    tables.append(found.assign(dose=float("nan"), dataset=names[0], steered=names[1], changed=names[2]))
    table = joined(tables)
    table = with_errors(table, metrics, table["dataset"])
    return table.astype({"dose": float} | dict.fromkeys(("dataset", "steered", "changed"), "string"))


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where no mean over the pairs of another concept is further than .1 from 0, on any dataset.

    No control stands for it: what changes nothing at all leaves other concepts alone, too. Whether a vector changes its own is
    asked by `table_causal`.
    """
    return judged(table, LAW_MOVED_OTHERS, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    means = rows.groupby(["dataset", "steered", "changed"])["mean"].mean()
    worst = means.idxmin() if -means.min() >= means.max() else means.idxmax()
    text = (
        f"in {len(means)} pairs of concepts the mean is {spoken(float(means.mean()))}, furthest from 0 {spoken(float(means[worst]))} "
        f"({worst[1]} of {worst[0]} on {worst[2]})"
    )
    return Found(bool((means.abs() <= ALONE).all()), {}, text)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: `figure_a2` speaks of steering."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """For each language model its dose–response curves, a panel a dataset, and below them its matrix."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    doses = table[table["dose"].notna()]
    if doses.empty:
        return nothing(EMPTY)
    matrices = {lm: _matrix(table[table["lm"] == lm]) for lm in dict.fromkeys(doses["lm"])}
    heights = [height for _, cells in matrices.values() for height in (2.2, 0.19 * len(cells) + 1.7)]
    figure = Figure(figsize=(9.2, sum(heights) + 1.2), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    colours = _colours(doses)
    for number, (lm, (variant, cells)) in enumerate(matrices.items()):
        curves = list(doses[doses["lm"] == lm].groupby("dataset", sort=False))
        for axes, (dataset, rows) in zip(
            parts[2 * number].subplots(1, len(curves), squeeze=False)[0], curves, strict=True
        ):
            _curves(axes, rows, colours)
            axes.set_title(dataset)
        parts[2 * number].suptitle(f"{lm}: KL removed over the dose", fontsize=9.5)
        if len(cells):
            _heatmap(parts[2 * number + 1].subplots(), cells)
            parts[2 * number + 1].suptitle(f"{lm}: how far vectors of {variant} move the law", fontsize=9.5)
    handles = {
        label: line
        for part in parts
        for axes in part.axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower left", ncols=5, frameon=False, fontsize=8)
    return figure


def _colours(doses: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and line style of every variant."""
    from shiftscope.tables.drawing import COLOURS

    names = variants_in_order(zip(doses["variant"], doses["kind"], strict=True))
    styles = ("-", "--", ":")
    return {
        name: (COLOURS[place % len(COLOURS)], styles[place // len(COLOURS) % 3]) for place, name in enumerate(names)
    }


def _curves(axes: Axes, rows: pd.DataFrame, colours: dict[str, tuple[str, str]]) -> None:
    from shiftscope.tables.drawing import CONTROL

    axes.set_axis_on()
    axes.set_ylim(-0.55, 1.05)
    axes.axhline(0, color=CONTROL, linewidth=0.6)
    for variant, curve in rows.groupby("variant", sort=False):
        curve = curve.sort_values("dose")
        colour, style = colours[str(variant)]
        axes.plot(
            curve["dose"],
            curve["mean"].clip(lower=-0.5),
            style,
            color=colour,
            linewidth=1.2,
            marker="o",
            markersize=2.5,
            label=variant,
        )
    axes.set_xlabel("dose")


def _matrix(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """How far vectors (rows) move the law along concepts (columns): of the first sparse shift autoencoder of ours, or of any variant."""
    cells = table[table["metric"].isin([LAW_MOVED.name, LAW_MOVED_OTHERS.name])]
    ours = cells[cells["recipe"] == "ours"] if (cells["recipe"] == "ours").any() else cells
    ours = ours[ours["variant"].isin(ours["variant"].head(1))]
    ours = ours.assign(row=ours["steered"] + " (" + ours["dataset"] + ")")
    values = ours.pivot_table(index="row", columns="changed", values="mean", sort=False).astype(float)
    return "".join(ours["variant"].head(1)), values


def _heatmap(axes: Axes, values: pd.DataFrame) -> None:
    axes.imshow(values.to_numpy(), vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest", aspect="auto")
    axes.set_xticks(range(values.shape[1]), values.columns, rotation=25, ha="right", fontsize=7)
    axes.set_yticks(range(len(values)), values.index, fontsize=7)
    for row, column in zip(*values.notna().to_numpy().nonzero(), strict=True):
        text = f"{values.iat[row, column]:.2f}".replace("-0.00", "0.00")
        axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color="black")
