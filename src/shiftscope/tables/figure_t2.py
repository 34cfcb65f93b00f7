"""T-2 as a figure: over which worlds an autoencoder of shifts finds more, and over which one of embeddings.

Shifts lose where pairs change concepts that nobody meant: these add to δz what no code is for, while an autoencoder of
embeddings has codes for all concepts and never asked what a pair was meant to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_TWO_CODES
from shiftscope.tables import table_t2
from shiftscope.tables.numbers import spoken
from shiftscope.tables.table_t2 import OF_EMBEDDINGS, OF_SHIFTS, contest, world_of
from shiftscope.tables.verdicts import TOLERANCE, of_metric, status

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "T-2 · Where shifts tell more than embeddings, and where less"
CLAIM = "Changes that were not meant cost SSAE more than a sparse autoencoder of embeddings."
PARTS, METRICS, PUBLISHED, SOURCE = table_t2.PARTS, table_t2.METRICS, table_t2.PUBLISHED, table_t2.SOURCE
CAPTION = (
    "A panel per property of the world, the others as the config has them. Points: mean MCC over seeds, by up to two codes "
    "a concept; bars: 95 % interval of the mean; hollow: more codes. Dashed: the same network untrained; dotted: as many random directions of "
    "shifts. Tinted: which of the two is above by more than .02."
)
AXES = {
    "active": "share of concepts active",
    "n_concepts": "concepts |C|, dimensions equal",
    "single": "pairs with one change",
    "unintended": "pairs with an unmeant change",
    "max_changed": "most changes in a pair",
    "signed": "concepts of both signs",
}
"""Fields of the law that worlds differ in, in the order of panels, and what they are."""


build = table_t2.build


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where, from the smallest share of unmeant changes to the largest, SSAE's MCC falls by over .02 more than that of
    the autoencoder of embeddings, on every dataset.

    Control: the untrained autoencoder of embeddings, if it scores as high at the largest share.
    """
    worlds = contest(table)
    worlds = worlds[worlds["field"] == "unintended"].sort_values("value")
    bases = worlds.groupby(worlds["dataset"].map(lambda name: world_of(name).dataset))
    ends = {name: (rows.iloc[0], rows.iloc[-1]) for name, rows in bases if len(rows) > 1}
    if not ends:
        return status({}, {}), "No share of unmeant changes was varied."
    sides = ("shifts", "embeddings")
    falls = [[first[side] - last[side] for side in sides] for first, last in ends.values()]
    holds = all(shifts - embeddings > TOLERANCE for shifts, embeddings in falls)
    matched = any(last["gain"] <= TOLERANCE for _, last in ends.values())
    sentences = [
        f"On {name} from a share of {first['value']:g} to {last['value']:g}: {OF_SHIFTS} {spoken(first['shifts'])} to "
        f"{spoken(last['shifts'])}, {OF_EMBEDDINGS} {spoken(first['embeddings'])} to {spoken(last['embeddings'])}."
        for name, (first, last) in ends.items()
    ]
    return status({OF_SHIFTS: holds}, {OF_SHIFTS: matched}), " ".join(sentences)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: `table_t2` says it."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per dataset, one panel per field, the two sides with their controls over its values."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from shiftscope.tables.drawing import FIRST, SECOND, nothing

    rows = of_metric(table, MCC_TWO_CODES)
    rows = rows[rows["field"] != ""].assign(base=rows["dataset"].map(lambda name: world_of(name).dataset))
    if rows.empty:
        return nothing()
    colours = {OF_SHIFTS: SECOND, OF_EMBEDDINGS: FIRST}
    bases, fields = list(dict.fromkeys(rows["base"])), [name for name in AXES if name in set(rows["field"])]
    figure = Figure(figsize=(1.5 + 2.3 * len(fields), 2.5 * len(bases) + 0.6), layout="constrained")
    for all_axes, base in zip(figure.subplots(len(bases), len(fields), squeeze=False), bases, strict=True):
        for axes, field in zip(all_axes, fields, strict=True):
            _panel(axes, rows[(rows["base"] == base) & (rows["field"] == field)], colours)
            axes.set_xlabel(AXES[field])
        all_axes[0].set_title(base)
    handles = [
        Line2D([], [], color=colours[name], marker="o", mfc=_fill(place, colours[name]), label=f"{name}, {codes} codes")
        for name in colours
        for place, codes in enumerate(sorted(_side(rows, name)["codes"].unique()))
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False)
    return figure


def _side(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows[rows["variant"].str.startswith(name)]


def _fill(place: int, colour: str) -> str:
    """Filled points for a side's fewest codes, hollow ones for more."""
    return "none" if place else colour


def _panel(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    from shiftscope.tables.drawing import scale_of_scores

    if not scale_of_scores(axes, rows, top=1.05):
        return
    values = sorted(rows["value"].unique())
    axes.set_xticks(range(len(values)), [f"{value:g}".removeprefix("0") or "0" for value in values])
    axes.set_xlim(-0.5, len(values) - 0.5)
    for world in contest(rows).to_dict("records"):
        lead = world["shifts"] - world["embeddings"]
        if abs(lead) > TOLERANCE:
            place, winner = values.index(world["value"]), OF_SHIFTS if lead > 0 else OF_EMBEDDINGS
            axes.axvspan(place - 0.5, place + 0.5, color=colours[winner], alpha=0.1, linewidth=0)
    for name, colour in colours.items():
        for place, (_, line) in enumerate(_side(rows, name).groupby("codes")):
            places, fill = [values.index(value) for value in line["value"]], _fill(place, colour)
            axes.plot(places, line["mean"], "o-", color=colour, mfc=fill, markersize=4.5, linewidth=1.2, zorder=3)
            axes.vlines(places, line["low"], line["high"], color=colour, linewidth=2.6, alpha=0.6)
            axes.plot(places, line["untrained_sae"], "--", color=colour, linewidth=1)
            axes.plot(places, line["random_dictionary"], ":", color=colour, linewidth=1)
