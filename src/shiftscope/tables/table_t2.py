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

import math
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.metrics.correlation import LINEAR_R2, MCC_TRUTH, MCC_TWO_CODES
from shiftscope.tables.numbers import count, span, spoken
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import IDENTIFIED, TOLERANCE, matched_by, of_metric, status

if TYPE_CHECKING:
    import pandas as pd

TITLE = "T-2 · More concepts than dimensions: shifts against embeddings"
CLAIM = (
    "With more concepts than dimensions SSAE on shifts finds those that vary, and a sparse autoencoder of embeddings finds "
    "them no better and mostly worse, wherever only those change that are meant to."
)
PARTS = "crowded"
METRICS = (MCC_TWO_CODES, MCC_TRUTH, LINEAR_R2)
PUBLISHED: dict = {}
SOURCE = "the talk makes the argument without numbers; the experiment is ours."
OF_SHIFTS, OF_EMBEDDINGS = "ssae", "l1_tied"
"""What the names of the two sides' variants begin with."""
CONTROLS_OF = ("permuted_labels", "random_dictionary", "untrained_sae")
"""Controls of either side."""
SUFFIX = "_untrained"
"""A variant called as another and this is the other before training (`steps: 0`)."""


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
    """The tidy table with the columns of `World`, an untrained variant's rows as the control of the trained one."""
    untrained = metrics["variant"].str.endswith(SUFFIX)
    kept = metrics[~untrained | (metrics["control"] == "")]
    named = kept["variant"].str.removesuffix(SUFFIX)
    rows = kept.assign(variant=named, control=kept["control"].mask(untrained, "untrained_sae"))
    table = assemble(rows, METRICS, PUBLISHED)
    worlds = [world_of(name) for name in table["dataset"]]
    table = table.assign(**{name: [getattr(world, name) for world in worlds] for name in World._fields[1:]})
    order = {name: place for place, name in enumerate(dict.fromkeys(table["metric"]))}
    places = {"metric": order.get, "field": str, "value": float}
    by = ["lm", "field", "value", "codes", "variant", "metric"]
    return table.sort_values(
        by, key=lambda column: column.map(places[column.name]) if column.name in places else column, ignore_index=True
    ).astype({"field": "string", "value": float})


def contest(table: pd.DataFrame) -> pd.DataFrame:
    """Per world SSAE at its fewest codes, and the rival at the code size that is best for it on held-out pairs.

    Worlds in which one side was not run are left out.

    Columns: `dataset`, `field`, `value`; `shifts`, `embeddings` (mean MCC by up to two codes); `gain` (what training adds to
    the autoencoder of embeddings) and `random` (what as many random directions score); `matched` (whether a control does
    as well as SSAE).
    """
    import pandas as pd

    found = []
    for _, rows in of_metric(table, MCC_TWO_CODES).groupby("dataset", sort=False):
        ours = rows[rows["variant"].str.startswith(OF_SHIFTS)].nsmallest(1, "codes")
        rivals = rows[rows["variant"].str.startswith(OF_EMBEDDINGS)].nlargest(1, "mean")
        for one, other in zip(ours.to_dict("records"), rivals.to_dict("records"), strict=False):
            found.append({
                "dataset": one["dataset"], "field": one["field"], "value": one["value"], "shifts": one["mean"],
                "embeddings": other["mean"], "gain": other["mean"] - other["untrained_sae"],
                "random": other["random_dictionary"], "matched": any(matched_by(ours, name).any() for name in CONTROLS_OF),
            })  # fmt: skip
    columns = ["dataset", "field", "value", "shifts", "embeddings", "gain", "random", "matched"]
    return pd.DataFrame(found, columns=columns)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where, in worlds without unmeant changes, SSAE's mean MCC is at least .95 and nowhere more than .02 below that of
    the autoencoder of embeddings, and more than .02 above it in most; the sentence says of all worlds where it is not.

    Controls: permuted labels, random directions and the untrained SSAE, if one scores as high in such a world.
    """
    worlds = _once(contest(table))
    if worlds.empty:
        return status({}, {}), f"{OF_SHIFTS} and {OF_EMBEDDINGS} were not both run."
    meant = worlds[~((worlds["field"] == "unintended") & (worlds["value"] > 0))]
    lead = meant["shifts"] - meant["embeddings"]
    found = bool((meant["shifts"] >= IDENTIFIED).all() and (lead >= -TOLERANCE).all())
    holds = found and bool((lead > TOLERANCE).mean() > 0.5)
    return status({OF_SHIFTS: holds}, {OF_SHIFTS: bool(meant["matched"].any())}), (
        f"MCC by up to two codes a concept over {count(len(worlds), 'world')}: {OF_SHIFTS} {span(worlds['shifts'])}, "
        f"{OF_EMBEDDINGS} {span(worlds['embeddings'])}, to which training adds {span(worlds['gain'])}; as many random directions "
        f"{span(worlds['random'])}. {_exceptions(worlds)}"
    )


def _once(worlds: pd.DataFrame) -> pd.DataFrame:
    """Every world once: one that stands on several axes, for it has the law's own values, has equal scores on all."""
    return worlds.drop_duplicates(["shifts", "embeddings"])


def _exceptions(worlds: pd.DataFrame) -> str:
    """The worlds in which SSAE is level with the autoencoder of embeddings, and those in which it is below."""
    lead = worlds["shifts"] - worlds["embeddings"]
    sentences = []
    for what, rows in (("Level with it", worlds[lead.abs() <= TOLERANCE]), ("Below it", worlds[lead < -TOLERANCE])):
        named = [f"{row['dataset']} ({spoken(row['shifts'])} against {spoken(row['embeddings'])})"
                 for row in rows.to_dict("records")]  # fmt: skip
        sentences.append(f"{what}: {'; '.join(named) or 'nowhere'}.")
    return " ".join(sentences)


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if one of the two was not run."""
    worlds = _once(contest(table))
    if worlds.empty:
        return ""
    above, below = (int((sign * (worlds["shifts"] - worlds["embeddings"]) > TOLERANCE).sum()) for sign in (1, -1))
    return (
        f"with more concepts than dimensions shifts tell more than embeddings in {above} of "
        f"{count(len(worlds), 'world')} and less in {below}"
    )
