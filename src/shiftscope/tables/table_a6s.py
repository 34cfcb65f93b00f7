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
from shiftscope.tables.verdicts import TOLERANCE, of_metric, status

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-T6s · Sensitivity to sparsity level and learning rate"
CLAIM = "What the paper's recipe finds depends on its sparsity level and learning rate, so that these must be chosen."
PARTS = "all"
METRICS = (MCC_TRUTH, MCC_SEEDS_DECODER, UDR, RECONSTRUCTION)
PUBLISHED: dict = {}
SOURCE = "paper A, App. B, gives the grid; no number of a sensitivity analysis is legible in the extracted text."
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


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where on most datasets MCC (with the truth where it is known) differs by .05 or more between settings.

    Each grid on each dataset counts once. Control: the spread over seeds, if on most of them the settings' range is
    within two standard deviations of it.
    """
    import pandas as pd

    grids = list(dict.fromkeys(table["grid"]))
    ranges = {grid: _ranges(table[table["grid"] == grid]) for grid in grids}
    if not ranges:
        return status({}, {}), "No grid of sparsity levels or learning rates was run."
    found = pd.concat(ranges.values())
    holds = bool((found["range"] >= MATTERS).mean() > 0.5)
    matched = bool((found["range"] <= 2 * found["sd"]).mean() > 0.5)
    sentences = [_sentence(grid, rows) for grid, rows in ranges.items() if len(rows)]
    return status({"grids": holds}, {"grids": matched}), " ".join(sentences)


def _ranges(table: pd.DataFrame) -> pd.DataFrame:
    """Per dataset: the range of MCC over settings, its sd over seeds, and what UDR's choice loses to the best."""
    import pandas as pd

    found = []
    for (lm, dataset), group in table.groupby(["lm", "dataset"], sort=False):
        rows = of_metric(group, MCC_TRUTH)
        rows = rows if len(rows) else of_metric(group, MCC_SEEDS_DECODER)
        if len(rows):
            loss = rows["mean"].max() - rows.loc[rows["chosen"], "mean"].max()
            found.append({"lm": lm, "dataset": dataset, "range": rows["mean"].max() - rows["mean"].min(),
                          "sd": rows["sd"].mean(), "loss": loss})  # fmt: skip
    return pd.DataFrame(found, columns=["lm", "dataset", "range", "sd", "loss"])


def _sentence(grid: str, found: pd.DataFrame) -> str:
    good = int((found["loss"] <= TOLERANCE).sum())
    return (
        f"{grid}: MCC moves by {span(found['range'])} over its settings (sd over seeds {spoken(found['sd'].mean())}); "
        f"UDR's choice is as good as the best of them on {good} of {count(len(found), 'dataset')}."
    )


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is a check of the recipe, not of its claim."""
    return ""
