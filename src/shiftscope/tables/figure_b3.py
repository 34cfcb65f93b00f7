"""B-F3: A·W over the concepts of word pairs, which is the identity if Corollary 4.3 holds: as published, and held out.

As paper B's public code has it (for App. G.2 and J) differences and probes are of the same words, and the probes' ridge is so
strong that their weights are all but the difference itself: the diagonal is 1 whatever the representation, an untrained network's, too. So
beside it stand differences of one half of the words against probes of the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shiftscope.metrics.identity import (
    IDENTITY,
    IDENTITY_GAP,
    IDENTITY_GAP_HELDOUT,
    IDENTITY_GAP_SOURCE_C,
    IDENTITY_HELDOUT,
    IDENTITY_TOP,
    IDENTITY_TOP_HELDOUT,
)
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import NOT_TESTED, TOLERANCE, Found, Verdict, concluded, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "B-F3 · Directions of concepts against the probes that read them"
CLAIM = "A·W is near the identity: a concept's direction is read by its own probe, and by no other."
SAID_BY = "paper B, Sec. 6 and App. G.2 and J, Figure 3"
PARTS = "words"
METRICS = (
    IDENTITY_TOP, IDENTITY_TOP_HELDOUT, IDENTITY_GAP, IDENTITY_GAP_HELDOUT, IDENTITY_GAP_SOURCE_C,
)  # fmt: skip
PUBLISHED: dict = {}
SOURCE = "paper B, Figure 3, has heatmaps alone."
EMPTY = "No language model was read on words that tell concepts apart."
CAPTION = (
    "Cosines of each concept's mean difference (rows) with each concept's probe (columns), on one scale. As published: of all "
    "words, C = 1e-4, as in the source's public code. Held out: differences of one half of the words, probes of the other, the mean "
    "over random halves. Beside each the same network with random weights. Intervals in the table are over concepts."
)
JUDGED_BY = {"paper": (IDENTITY_TOP, IDENTITY_GAP), "ours": (IDENTITY_TOP_HELDOUT, IDENTITY_GAP_HELDOUT)}
MOST, LEAST_GAP = 0.9, 0.5
"""the share of concepts that must be read best by their own probe, and how far the diagonal must stand above the rest; the source
has no numbers"""
PLACE = ["lm", "layer", "dataset"]
CELLS = {"cells": IDENTITY, "cells_heldout": IDENTITY_HELDOUT}
"""columns of the table that hold a heatmap, as JSON"""
TWIN = "_untrained"
"""what a column's name ends in that holds that of the untrained twin"""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table, with heatmaps as JSON in `CELLS`: rows of values to three digits, in the order of the concepts.

    Where checkpoints were read, their rows have the step for a variant: `after 50 steps`.
    """
    import pandas as pd

    scores = _of_concepts(metrics)
    tables = [assemble(scores, METRICS, PUBLISHED)]
    for step in sorted(scores["step"].dropna().unique()):
        here = scores[scores["step"] == step].assign(step=pd.NA)
        tables.append(assemble(here, METRICS, PUBLISHED).assign(variant=f"after {step} steps"))
    table = pd.concat(tables, ignore_index=True).astype({"variant": "string"})
    metrics = metrics[metrics["step"].isna()]
    for control, ending in (("", ""), ("untrained_lm", TWIN)):
        rows = metrics[metrics["control"] == control]
        for column, shown in CELLS.items():
            found = {place: _cells(of) for place, of in of_metric(rows, shown).groupby(PLACE)}
            keys = table[PLACE].itertuples(index=False)
            table[column + ending] = [found.get(tuple(key), "") for key in keys]
            table.loc[table["variant"] != "", column + ending] = ""
    return table.astype(dict.fromkeys([name + ending for ending in ("", TWIN) for name in CELLS], "string"))


def _of_concepts(metrics: pd.DataFrame) -> pd.DataFrame:
    """Scores with a concept in the place of a seed, each the mean over random halves, which are no repetitions."""
    rows = metrics[metrics["concept_2"].isna()]
    keys = [name for name in rows.columns if name not in ("seed", "value")]
    means = rows.groupby(keys, dropna=False, sort=False)["value"].mean().reset_index()
    return means.assign(seed=means.groupby("concept").ngroup().astype("Int32"))


def _cells(rows: pd.DataFrame) -> str:
    means = rows.groupby(["concept", "concept_2"])["value"].mean().unstack()
    return json.dumps(means.round(3).to_numpy().tolist())


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where the own probe is the first for .9 of the concepts or more and the diagonal stands .5 or more above the rest, on
    every dataset and at every layer.

    Controls: permuted labels and the untrained language model, if on any of them it is so within .02.
    """
    verdicts = []
    for lm in dict.fromkeys(table.loc[table["variant"] == "", "lm"]):
        for recipe, (first, gap) in JUDGED_BY.items():
            here = table[(table["lm"] == lm) & (table["variant"] == "")]
            rows, gaps = of_metric(here, first), of_metric(here, gap)
            if rows.empty:
                verdicts.append(Verdict(recipe, lm, NOT_TESTED, "No concept has words that can be halved."))
                continue
            found = _found(rows, gaps)
            verdicts.append(concluded(recipe, lm, found, f"{first.label}: "))
    return verdicts


def _found(rows: pd.DataFrame, gaps: pd.DataFrame) -> Found:
    controls = {}
    for name in ("untrained_lm", "permuted_labels"):
        near = rows[name] >= rows["mean"] - TOLERANCE
        controls[name] = None if rows[name].isna().any() else bool(near.any())
    told = [
        f"{row['dataset']} {spoken(row['mean'])} (untrained {spoken(row['untrained_lm'])}, permuted "
        f"{spoken(row['permuted_labels'])}; the diagonal is {spoken(gap)} above the rest)"
        for row, gap in zip(rows.to_dict("records"), gaps["mean"], strict=True)
    ]
    near = (rows["mean"] >= MOST).all() and (gaps["mean"] >= LEAST_GAP).all()
    return Found(bool(near), controls, "; ".join(told))


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is of representations, not of vectors."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of heatmaps per language model, layer and dataset: as published and held out, each beside its twin's."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import TEXT, nothing

    places = table[table["variant"] == ""].drop_duplicates(PLACE)
    if places.empty:
        return nothing(EMPTY)
    columns = [name + ending for name in CELLS for ending in ("", TWIN)]
    titles = ["as published", "as published, untrained", "held out", "held out, untrained"]
    figure = Figure(figsize=(9.2, 2.5 * len(places) + 0.4), layout="constrained")
    drawn = None
    for across, place in zip(figure.subplots(len(places), 4, squeeze=False), places.to_dict("records"), strict=True):
        for axes, column, title in zip(across, columns, titles, strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            if not place[column]:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "not measured", ha="center", va="center", color=TEXT, transform=axes.transAxes)
                continue
            drawn = axes.imshow(json.loads(place[column]), vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
            axes.set_title(f"{place['lm']}, {place['dataset']}\n{title}" if axes is across[0] else title)
    if drawn is not None:
        figure.colorbar(drawn, ax=figure.axes, shrink=0.6, label="A·W")
    return figure
