"""A-T6s: how much the recipe's two hyperparameters matter, on synthetic data and on language models.

Paper A, App. B: the sparsity level β of the constraint and the learning rate are its hyperparameters, chosen by UDR.
Each is varied here while the other stays where UDR put it. The recipe is the paper's; `ssae` has no β.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.metrics.sparsity import RECONSTRUCTION
from shiftscope.metrics.udr import UDR
from shiftscope.tables.numbers import count, span, spoken
from shiftscope.tables.tidy import SYMBOLS, by_setting
from shiftscope.tables.verdicts import THIS_PROJECT, TOLERANCE, Found, Verdict, judged, of_metric

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-T6s · Sensitivity to sparsity level and learning rate"
CLAIM = "What the paper's recipe finds depends on its sparsity level and learning rate, so that these must be chosen."
SAID_BY = THIS_PROJECT
PARTS = "all"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER, UDR, RECONSTRUCTION)
PUBLISHED: dict = {}
SOURCE = (
    "paper A, App. B.1.1, says that a sensitivity analysis was made, and not what it found; none of its numbers is legible "
    "in the extracted text."
)
EMPTY = "No variant was trained on a grid of sparsity levels or learning rates."
MATTERS = 0.05
"""A difference in MCC between settings from which on this project says that a hyperparameter matters."""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of settings that differ from the chosen one, which is marked, in one hyperparameter at most."""
    import pandas as pd

    table = by_setting(metrics, METRICS)
    places = ["lm", "layer", "dataset", "codes", "grid"]
    kept = []
    for _, group in table.groupby(places, sort=False):
        chosen = group[group["chosen"]].iloc[0]
        differs = sum((group[name] != chosen[name]).astype(int) for name in SYMBOLS)
        kept.append(group[differs <= 1])
    table = pd.concat(kept, ignore_index=True) if kept else table
    table["variant"] = table["variant"].where(~table["chosen"], table["variant"] + " (chosen)").astype("string")
    return table


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where on most datasets MCC (with the truth where it is known) differs by .05 or more between settings.

    Each grid on each dataset counts once. Control: the spread over seeds, if on most of them the settings' range is
    within two standard deviations of it.
    """
    return judged(table, None, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    ranges = _ranges(rows)
    if ranges.empty:
        return None
    good = int((ranges["loss"] <= TOLERANCE).sum())
    return Found(
        bool((ranges["range"] >= MATTERS).mean() > 0.5),
        {
            "spread over seeds": bool((ranges["range"] <= 2 * ranges["sd"]).mean() > 0.5)
            if ranges["sd"].notna().all()
            else None
        },
        f"MCC moves by {span(ranges['range'])} over settings (sd over seeds {spoken(ranges['sd'].mean())}); UDR's choice is as "
        f"good as the best of them on {good} of {count(len(ranges), 'grid')}",
    )


def _ranges(table: pd.DataFrame) -> pd.DataFrame:
    """Per grid and dataset: the range of MCC over settings, its sd over seeds, and what UDR's choice loses to the best."""
    import pandas as pd

    found = []
    for _, group in table.groupby(["grid", "dataset"], sort=False):
        rows = of_metric(group, MCC_TRUTH)
        rows = rows if len(rows) else of_metric(group, MCC_SEEDS_DECODER)
        if len(rows):
            loss = rows["mean"].max() - rows.loc[rows["chosen"], "mean"].max()
            found.append({"range": rows["mean"].max() - rows["mean"].min(), "sd": rows["sd"].mean(), "loss": loss})
    return pd.DataFrame(found, columns=["range", "sd", "loss"])


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is a check of the recipe, not of its claim."""
    return ""
