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
from shiftscope.tables.verdicts import TOLERANCE, of_metric, scores, status

if TYPE_CHECKING:
    import pandas as pd

TITLE = "G-1 · A language model whose concepts are known: MCC against the truth"
CLAIM = "SSAE finds the true concepts better than every method that is not given labels."
PARTS = "known"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER, LINEAR_R2, MCC_OTHER_TRUTH)
PUBLISHED: dict = {}
SOURCE = "not in the sources: they have no truth for text, and report agreement across seeds."
SUPERVISED = ("mean_difference", "probe_direction")
"""variants that are given labels, shown beside"""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where SSAE's mean MCC is nowhere more than .02 below that of any variant without labels.

    Control: the untrained network, if it scores as high on most datasets.
    """
    margins = _margins(table)
    if margins.empty:
        return status({}, {}), "SSAE was not run on a language model whose concepts are known."
    holds = bool((margins["margin"] > -TOLERANCE).all())
    untrained = margins["untrained_lm"]
    matched = bool((untrained >= margins["mean"] - TOLERANCE).mean() > 0.5)
    return status({"ssae": holds}, {"ssae": matched}), " ".join(_sentence(row) for row in margins.to_dict("records"))


def _margins(table: pd.DataFrame) -> pd.DataFrame:
    """SSAE by dataset at the main code size, and by how much it is above the best other variant without labels."""
    rows = of_metric(table, MCC_TRUTH)
    rows = rows[rows["mean"].notna() & ~rows["variant"].isin(SUPERVISED)]
    ours = scores(rows, MCC_TRUTH, "ssae").sort_values("codes").drop_duplicates(["lm", "dataset"])
    others = rows[rows["variant"] != "ssae"]
    best = [
        others[(others[["lm", "dataset", "codes"]] == [row["lm"], row["dataset"], row["codes"]]).all(axis=1)]
        .sort_values("mean")
        .tail(1)
        for row in ours.to_dict("records")
    ]
    names = [found["variant"].iloc[0] if len(found) else None for found in best]
    means = [found["mean"].iloc[0] if len(found) else float("nan") for found in best]
    return ours.assign(other=names, margin=ours["mean"] - means)


def _sentence(row: dict) -> str:
    text = f"{row['dataset']} ({count(row['codes'], 'code')}): ssae {spoken(row['mean'])}"
    if row["other"] is None:
        return f"{text}, alone."
    beside = f"{row['other']} {spoken(row['mean'] - row['margin'])}"
    if row["margin"] >= TOLERANCE:
        return f"{text}, above all others ({beside})."
    if row["margin"] > -TOLERANCE:
        one = ", as one concept needs no sparsity" if row["codes"] == 1 else ""
        return f"{text}, level with the best other ({beside}){one}."
    return (
        f"{text}, below {beside}, worst model {spoken(row['minimum'])}: contrasts are finite, which breaks the paper's "
        "Assumption 4.2, and a rotation of concepts that change together is nearly as sparse."
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if there is nothing to say."""
    margins = _margins(table)
    if margins.empty:
        return ""
    return (
        f"on a language model whose concepts are known its MCC with them is {spoken(margins['mean'].mean())} on "
        f"average ({spoken(margins['untrained_lm'].mean())} untrained)"
    )
