"""What the entries of T-2 share: worlds, autoencoders of shifts and of embeddings as the two sides, and who finds more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.metrics.correlation import LINEAR_R2, MCC_TRUTH, MCC_TWO_CODES
from shiftscope.tables.tidy import assemble, class_of, untrained_as_control
from shiftscope.tables.verdicts import of_metric
from shiftscope.vocabulary import RECOMMENDED

if TYPE_CHECKING:
    import pandas as pd

METRICS = (MCC_TWO_CODES, MCC_TRUTH, LINEAR_R2)
PUBLISHED: dict = {}
SOURCE = "the talk makes the argument without numbers; the experiment is ours."


class World(NamedTuple):
    """What a world is called: the dataset, and the one field of its law that was swept with its value, if any."""

    dataset: str
    field: str
    value: float


def world_of(dataset: str) -> World:
    """The world that a metric row's dataset names, such as `crowded, active 0.1`."""
    name, comma, world = dataset.rpartition(", ")
    field, _, value = world.rpartition(" ")
    return World(name, field, float(value)) if comma else World(dataset, "", math.nan)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with the columns of `World`; what was left untrained is a control, `untrained_sae`."""
    table = assemble(untrained_as_control(metrics), METRICS, PUBLISHED)
    worlds = [world_of(name) for name in table["dataset"]]
    table = table.assign(**{name: [getattr(world, name) for world in worlds] for name in World._fields[1:]})
    table = table.astype({"field": "string", "value": float})
    return table.sort_values(["lm", "field", "value"], kind="stable", ignore_index=True)


def of_shifts(table: pd.DataFrame) -> pd.DataFrame:
    """Scores by up to two codes of the first SSAE in the table, ours before the paper's."""
    rows = _scores(table)
    rows = rows[rows["recipe"] != ""]
    return rows[rows["variant"].isin(rows["variant"].head(1))]


def of_embeddings(table: pd.DataFrame) -> pd.DataFrame:
    """Scores by up to two codes of all autoencoders of embeddings."""
    rows = _scores(table)
    kinds = {kind for kind in rows["kind"].unique() if kind and class_of(kind).reads == "embeddings"}
    return rows[rows["kind"].isin(kinds)]


def _scores(table: pd.DataFrame) -> pd.DataFrame:
    rows = of_metric(table, MCC_TWO_CODES)
    return rows[rows["mean"].notna() & (rows["variant"] != RECOMMENDED)]


def contest(table: pd.DataFrame) -> pd.DataFrame:
    """Per world SSAE at its fewest codes, and the rival at the code size that is best for it on held-out pairs.

    Worlds in which one side was not run are left out.

    Returns:
        rows of SSAE in the order of the table, and beside them the other's: `other`, its name, `embeddings`, its mean,
        `gain`, what training adds to it, and `random`, what as many random directions score; `lead`, SSAE's mean above
        `embeddings`.
    """
    shifts, rivals = of_shifts(table), of_embeddings(table)
    place = ["lm", "dataset"]
    shifts = shifts[shifts["codes"] == shifts.groupby(place)["codes"].transform("min")]
    rivals = rivals.sort_values("mean", kind="stable").drop_duplicates(place, keep="last")
    rivals = rivals.assign(gain=rivals["mean"] - rivals["untrained_sae"])
    named = {"variant": "other", "mean": "embeddings", "random_dictionary": "random"}
    beside = rivals[[*place, *named, "gain"]].rename(columns=named)
    found = shifts.merge(beside, on=place)
    return found.assign(lead=found["mean"] - found["embeddings"])


def of_recipe(rows: pd.DataFrame, here: pd.DataFrame) -> pd.DataFrame:
    """What is judged of a recipe: of all rows of its language model those of its variant, and of those that are no SSAE."""
    return here[here["variant"].isin(rows["variant"]) | (here["recipe"] == "")]
