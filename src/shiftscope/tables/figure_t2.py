"""T-2 as a figure: over which worlds an autoencoder of shifts finds more, and over which one of embeddings.

Shifts lose where pairs change concepts that nobody meant: these add to δz what no code is for, while an autoencoder of
embeddings has codes for all concepts and never asked what a pair was meant to change.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_TWO_CODES
from shiftscope.tables import contests
from shiftscope.tables.contests import contest, of_embeddings, of_recipe, of_shifts, world_of
from shiftscope.tables.numbers import spoken
from shiftscope.tables.verdicts import THIS_PROJECT, TOLERANCE, Found, Verdict, judged

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "T-2 · Where shifts tell more than embeddings, and where less"
CLAIM = "Changes that were not meant cost SSAE more than a sparse autoencoder of embeddings."
SAID_BY = THIS_PROJECT
PARTS = "crowded"
METRICS, PUBLISHED, SOURCE = contests.METRICS, contests.PUBLISHED, contests.SOURCE
EMPTY = "No dataset with more concepts than dimensions has several worlds (`sweep`)."
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


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """See `shiftscope.tables.contests.build`."""
    return contests.build(metrics)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, from the smallest share of unmeant changes to the largest, SSAE's MCC falls by over .02 more than that of
    the autoencoder of embeddings, on every dataset.

    Control: the untrained autoencoder of embeddings, if it scores as high at the largest share.
    """
    return judged(table, MCC_TWO_CODES, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    worlds = contest(of_recipe(rows, here))
    worlds = worlds[worlds["field"] == "unintended"].sort_values("value")
    bases = worlds.groupby(worlds["dataset"].map(lambda name: world_of(name).dataset))
    ends = {name: (group.iloc[0], group.iloc[-1]) for name, group in bases if len(group) > 1}
    if not ends:
        return None
    gains = [last["gain"] for _, last in ends.values()]
    return Found(
        all(first["lead"] - last["lead"] > TOLERANCE for first, last in ends.values()),
        {"untrained_sae": _as_high(gains)},
        "; ".join(
            f"on {name} from a share of {first['value']:g} to {last['value']:g} {spoken(first['mean'])} to "
            f"{spoken(last['mean'])}, {last['other']} {spoken(first['embeddings'])} to {spoken(last['embeddings'])}"
            for name, (first, last) in ends.items()
        ),
    )


def _as_high(gains: list[float]) -> bool | None:
    """Whether training adds nothing anywhere; None if that cannot be told, for a gain was not measured."""
    if any(gain <= TOLERANCE for gain in gains):
        return True
    return None if any(math.isnan(gain) for gain in gains) else False


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: `table_t2` says it."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per dataset, one panel per field, the two sides with their controls over its values."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from shiftscope.tables.drawing import nothing

    rows = table[table["field"] != ""]
    rows = rows.assign(base=[world_of(name).dataset for name in rows["dataset"]])
    if not _lines(rows):
        return nothing(EMPTY)
    bases, fields = list(dict.fromkeys(rows["base"])), [name for name in AXES if name in set(rows["field"])]
    figure = Figure(figsize=(1.5 + 2.3 * len(fields), 2.5 * len(bases) + 0.6), layout="constrained")
    for all_axes, base in zip(figure.subplots(len(bases), len(fields), squeeze=False), bases, strict=True):
        for axes, field in zip(all_axes, fields, strict=True):
            _panel(axes, rows[(rows["base"] == base) & (rows["field"] == field)])
            axes.set_xlabel(AXES[field])
        all_axes[0].set_title(base)
    handles = {
        f"{variant}, {codes} codes": Line2D([], [], color=colour, marker="o", mfc=fill)
        for (variant, codes), colour, fill, _ in _lines(rows)
    }
    figure.legend(handles.values(), handles, loc="outside lower left", ncols=4, frameon=False)
    return figure


def _lines(rows: pd.DataFrame) -> list[tuple[tuple[str, int], str, str, pd.DataFrame]]:
    """What is drawn, SSAE's first: variant and codes, colour and fill of a side, hollow past its fewest codes, and rows."""
    from shiftscope.tables.drawing import FIRST, SECOND

    found = []
    for side, colour in ((of_shifts(rows), SECOND), (of_embeddings(rows), FIRST)):
        fewest = side["codes"].min()
        for key, line in side.groupby(["variant", "codes"], sort=False):
            found.append((key, colour, colour if key[1] == fewest else "none", line))
    return found


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    from shiftscope.tables.drawing import FIRST, SECOND, scale_of_scores

    if not scale_of_scores(axes, rows, top=1.05):
        return
    values = sorted(rows["value"].unique())
    axes.set_xticks(range(len(values)), [f"{value:g}".removeprefix("0") or "0" for value in values])
    axes.set_xlim(-0.5, len(values) - 0.5)
    for world in contest(rows).to_dict("records"):
        if abs(world["lead"]) > TOLERANCE:
            place, winner = values.index(world["value"]), SECOND if world["lead"] > 0 else FIRST
            axes.axvspan(place - 0.5, place + 0.5, color=winner, alpha=0.1, linewidth=0)
    for _, colour, fill, line in _lines(rows):
        places = [values.index(value) for value in line["value"]]
        axes.plot(places, line["mean"], "o-", color=colour, mfc=fill, markersize=4.5, linewidth=1.2, zorder=3)
        axes.vlines(places, line["low"], line["high"], color=colour, linewidth=2.6, alpha=0.6)
        axes.plot(places, line["untrained_sae"], "--", color=colour, linewidth=1)
        axes.plot(places, line["random_dictionary"], ":", color=colour, linewidth=1)
