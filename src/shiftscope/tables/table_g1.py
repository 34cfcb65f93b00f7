"""G-1: known truth on language. MCC with the true concepts on a language model that was trained on a known grammar.

Beyond the sources, which have no truth for text: the concepts of the grammar are those that the pairs change, the model
was seen to have learned them (`shiftscope.lms._quality`), and an untrained network cannot know them from a bare word.
Contrasts in words are finite, so the paper's Assumption 4.2 (amplitudes with a density) holds on none of these
datasets; where one concept varies alone, there is nothing for sparsity to tell apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import LINEAR_R2, MCC_OTHER_TRUTH, MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.numbers import count, spoken
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import (
    THIS_PROJECT,
    TOLERANCE,
    Found,
    Verdict,
    anywhere,
    judged,
    mostly,
    of_metric,
    told,
)

if TYPE_CHECKING:
    import pandas as pd

TITLE = "G-1 · A language model whose concepts are known: MCC against the truth"
CLAIM = "SSAE finds the true concepts at least as well as every method that is not given labels."
SAID_BY = THIS_PROJECT
PARTS = "known"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER, LINEAR_R2, MCC_OTHER_TRUTH)
PUBLISHED: dict = {}
SOURCE = "not in the sources: they have no truth for text, and report agreement across seeds."
EMPTY = "No variant was run on a language model that was trained here, whose concepts are known."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where the mean MCC is nowhere more than .02 below that of any other variant without labels.

    Controls: the untrained network, if it scores as high on half of the datasets; permuted labels and random directions,
    if they do on any.
    """
    return judged(table, MCC_TRUTH, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    margins = _margins(rows, here)
    if margins.empty:
        return None
    controls = {control: anywhere(margins, control) for control in ("permuted_labels", "random_dictionary")}
    return Found(
        bool((margins["margin"] > -TOLERANCE).all()),
        {"untrained_lm": mostly(margins, "untrained_lm")} | controls,
        "; ".join(_sentence(row) for row in margins.to_dict("records")),
    )


def _margins(rows: pd.DataFrame, here: pd.DataFrame) -> pd.DataFrame:
    """A variant by dataset at the main code size, and by how much it is above the best other variant without labels."""
    rows = rows.sort_values("codes").drop_duplicates("dataset")
    others = of_metric(here, MCC_TRUTH)
    others = others[~others["labelled"] & (others["variant"] != rows["variant"].iloc[0])]
    best = others.sort_values("mean").drop_duplicates(["dataset", "codes"], keep="last")
    best = best[["dataset", "codes", "variant", "mean"]].rename(columns={"variant": "other", "mean": "best"})
    found = rows.merge(best, on=["dataset", "codes"])
    return found.assign(margin=found["mean"] - found["best"])


def _sentence(row: dict) -> str:
    text = f"{row['dataset']} ({count(row['codes'], 'code')}) {spoken(row['mean'])}"
    beside = f"{row['other']} {spoken(row['best'])}"
    if row["margin"] >= TOLERANCE:
        return f"{text}, above all others ({beside})"
    if row["margin"] > -TOLERANCE:
        one = ", as one concept needs no sparsity" if row["codes"] == 1 else ""
        return f"{text}, level with the best other ({beside}){one}"
    return f"{text}, below {beside}, worst model {spoken(row['minimum'])}"


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if there is nothing to say."""
    return told(
        verdict(table), "finds the true concepts as well as any method without labels",
        "finds the true concepts less well than another method without labels",
    )  # fmt: skip
