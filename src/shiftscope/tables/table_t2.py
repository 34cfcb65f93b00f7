"""T-2: more concepts than dimensions: who finds those that vary, an autoencoder of embeddings or one of shifts.

The talk ("Reliably steering and interpreting LLMs with causal representation learning") argues: with |C| > d concepts z
is not injective in them, so an autoencoder of z cannot identify them; of pairs only those concepts show that vary, and
|V| ≤ d. Here as a contest over worlds that differ from one in one thing each: how many concepts are active in a text, how
many there are, how many pairs change one alone, and how many change one that was not meant to.

It is made fair to the talk's own sparse autoencoder of z. The first world is the one that such autoencoders are made for:
few active concepts, none negative. It has more codes than there are concepts, and `l1` is chosen by the true concepts of
training pairs, while SSAE is chosen by UDR. A concept may be spread over two of its codes, which have one sign each. But
many codes and two of them a concept make a match easier by chance: beside each score stand the same network untrained and
as many random directions, scored alike.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.metrics.correlation import LINEAR_R2, MCC_TRUTH, MCC_TWO_CODES
from shiftscope.tables.numbers import count, series, span, spoken
from shiftscope.tables.tidy import assemble, class_of
from shiftscope.tables.verdicts import (
    IDENTIFIED,
    THIS_PROJECT,
    TOLERANCE,
    Found,
    Verdict,
    anywhere,
    judged,
    of_metric,
)
from shiftscope.vocabulary import RECOMMENDED

if TYPE_CHECKING:
    import pandas as pd

TITLE = "T-2 · More concepts than dimensions: shifts against embeddings"
CLAIM = (
    "With more concepts than dimensions SSAE on shifts finds those that vary, and a sparse autoencoder of embeddings finds "
    "them no better and mostly worse, wherever only those change that are meant to."
)
SAID_BY = THIS_PROJECT
PARTS = "crowded"
METRICS = (MCC_TWO_CODES, MCC_TRUTH, LINEAR_R2)
PUBLISHED: dict = {}
SOURCE = "the talk makes the argument without numbers; the experiment is ours."
EMPTY = "No variant was run on a dataset with more concepts than dimensions."
CONTROLS_OF = ("permuted_labels", "random_dictionary", "untrained_sae")
"""Controls of either side."""


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
    table = assemble(_untrained_as_control(metrics), METRICS, PUBLISHED)
    worlds = [world_of(name) for name in table["dataset"]]
    table = table.assign(**{name: [getattr(world, name) for world in worlds] for name in World._fields[1:]})
    table = table.astype({"field": "string", "value": float})
    return table.sort_values(["lm", "field", "value"], kind="stable", ignore_index=True)


def _untrained_as_control(metrics: pd.DataFrame) -> pd.DataFrame:
    """Scores of variants without a step of training (`steps: 0`) as a control of all that were trained of their kind."""
    import pandas as pd

    place = ["lm", "layer", "dataset", "codes", "kind"]
    untrained = metrics["params"].map({text: json.loads(text).get("steps") == 0 for text in metrics["params"].unique()})
    trained = metrics[~untrained.astype(bool)]
    named = trained.loc[trained["control"] == "", [*place, "variant"]].drop_duplicates()
    scores = metrics[untrained.astype(bool) & (metrics["control"] == "")].drop(columns="variant").merge(named, on=place)
    return pd.concat([trained, scores.assign(control="untrained_sae")], ignore_index=True)


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


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, in worlds without unmeant changes, SSAE's mean MCC is at least .95 and nowhere more than .02 below that of
    the autoencoder of embeddings, and more than .02 above it in most; the sentence says of all worlds where it is not.

    Controls: permuted labels, random directions and the untrained SSAE, if one scores as high in such a world.
    """
    return judged(table, MCC_TWO_CODES, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    worlds = _once(contest(of_recipe(rows, here)))
    meant = worlds[~((worlds["field"] == "unintended") & (worlds["value"] > 0))]
    if meant.empty:
        return None
    found = bool((meant["mean"] >= IDENTIFIED).all() and (meant["lead"] >= -TOLERANCE).all())
    return Found(
        found and bool((meant["lead"] > TOLERANCE).mean() > 0.5),
        {control: anywhere(meant, control) for control in CONTROLS_OF},
        f"MCC by up to two codes a concept over {count(len(worlds), 'world')} {span(worlds['mean'])}; "
        f"{series(worlds['other'].unique())} {span(worlds['embeddings'])}, to which training adds {span(worlds['gain'])}; "
        f"as many random directions {span(worlds['random'])}. {_exceptions(worlds)}",
    )


def of_recipe(rows: pd.DataFrame, here: pd.DataFrame) -> pd.DataFrame:
    """What is judged of a recipe: of all rows of its language model those of its variant, and of those that are no SSAE."""
    return here[here["variant"].isin(rows["variant"]) | (here["recipe"] == "")]


def _once(worlds: pd.DataFrame) -> pd.DataFrame:
    """Every world once: one that stands on several axes, for it has the law's own values, has equal scores on all."""
    return worlds.drop_duplicates(["mean", "embeddings"])


def _exceptions(worlds: pd.DataFrame) -> str:
    """The worlds in which SSAE is level with the autoencoder of embeddings, and those in which it is below."""
    sentences = []
    level, below = worlds["lead"].abs() <= TOLERANCE, worlds["lead"] < -TOLERANCE
    for what, rows in (("Level with it", worlds[level]), ("Below it", worlds[below])):
        named = [f"{row['dataset']} ({spoken(row['mean'])} against {spoken(row['embeddings'])})"
                 for row in rows.to_dict("records")]  # fmt: skip
        sentences.append(f"{what}: {'; '.join(named) or 'nowhere'}")
    return ". ".join(sentences)


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if one of the two was not run."""
    worlds = _once(contest(table))
    if worlds.empty:
        return ""
    above, below = (int((sign * worlds["lead"] > TOLERANCE).sum()) for sign in (1, -1))
    return (
        f"With more concepts than dimensions shifts tell more than embeddings in {above} of "
        f"{count(len(worlds), 'world')} and less in {below}."
    )
