"""O-1: what it is worth that pairs have a before and an after; the same variants on the same pairs turned at random.

The paper's pairs are oriented (English → French always), and users know which of their texts comes first. A variant that can
see it is trained here both ways, with `orientation: random` as the ablation; held-out pairs are turned at random either way.
A method without a bias, and whose penalty does not ask for a sign, is the same both ways and is not shown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.numbers import count, span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import THIS_PROJECT, TOLERANCE, Found, Verdict, anywhere, of_metric, status, told
from shiftscope.vocabulary import RECOMMENDED

if TYPE_CHECKING:
    import pandas as pd

TITLE = "O-1 · Oriented pairs, and the same pairs turned at random"
CLAIM = "Training that sees which text of a pair comes first finds more of the truth than on the same pairs turned at random."
SAID_BY = THIS_PROJECT
PARTS = "language"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER)
PUBLISHED: dict = {}
SOURCE = "not in the sources, whose pairs are oriented."
EMPTY = "No variant was run both on pairs as they stand and with `orientation: random`."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of the kinds that were run both ways, with a column `orientation`."""
    metrics = metrics[metrics["variant"] != RECOMMENDED]
    real = metrics[(metrics["variant"] != "") & (metrics["control"] == "")]
    ways = {
        name: json.loads(params)["orientation"] for name, params in zip(real["variant"], real["params"], strict=True)
    }
    table = assemble(metrics, METRICS, PUBLISHED)
    table = table.assign(orientation=table["variant"].map(ways).astype("string"))
    both = table.groupby(["lm", "layer", "dataset", "codes", "kind"])["orientation"].transform("nunique") == 2
    return table[both].reset_index(drop=True)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, over all kinds and datasets, the MCC with the truth falls by more than .02 on most when pairs are turned and rises
    by more than .02 on none.

    Controls: permuted labels and random directions, if one scores as high as an oriented variant anywhere.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        found = _found(of_metric(table[table["lm"] == lm], MCC_TRUTH))
        sentence = found.text if found else "The true concepts are not known here."
        verdicts.append(Verdict("ours", lm, status(found, False, False), sentence))
    return verdicts


def _found(rows: pd.DataFrame) -> Found | None:
    place = ["dataset", "layer", "codes", "kind"]
    given = rows[rows["orientation"] == "given"].drop_duplicates(place)
    random = rows[rows["orientation"] == "random"].drop_duplicates(place)
    both = given.merge(random[[*place, "mean"]], on=place, suffixes=("", "_random"))
    if both.empty:
        return None
    gain = both["mean"] - both["mean_random"]
    return Found(
        bool((gain > TOLERANCE).mean() > 0.5 and (gain > -TOLERANCE).all()),
        {control: anywhere(both, control) for control in ("permuted_labels", "random_dictionary")},
        f"MCC {span(both['mean'])} as given and {span(both['mean_random'])} turned at random, lower on "
        f"{int((gain > TOLERANCE).sum())} of {count(len(both), 'row')}.",
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence, empty if nothing was run both ways."""
    return told(verdict(table), "loses by turning pairs at random", "does not lose by turning pairs at random")
