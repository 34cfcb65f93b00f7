"""B-F2l: what linear probes tell of concepts over the number of observed bits, and over the degree of invertibility itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.tables import simulations
from shiftscope.tables.numbers import spoken
from shiftscope.tables.simulations import JUDGED_BY, judged, one_curve, panel
from shiftscope.tables.verdicts import TOLERANCE, Found, Verdict, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "B-F2, left · Linear probes over the number of observed variables"
CLAIM = "The nearer the map from concepts to observed variables is to invertible, the more a linear probe tells of concepts."
SAID_BY = "paper B, Sec. 6 and App. G.1, Figure 2 left"
PARTS = "simulations"
METRICS, PUBLISHED, SOURCE = simulations.METRICS, simulations.PUBLISHED, simulations.SOURCE
EMPTY = "No simulation differs in the number of observed bits alone (`grid: {n_observed: […]}`)."
CAPTION = (
    "Left over the number of observed bits, right over ε, how uncertain the most probable state is in a context (0: the map can "
    "be inverted). Above as the source has it; below probes are tried where other bits are masked than those they were fitted on. "
    "Points: mean over worlds and concepts; bars: 95 % interval of the mean."
)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """See `shiftscope.tables.simulations.build`."""
    return simulations.build(metrics, "n_observed")


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where the accuracy with the most bits is over .02 above that with the fewest, and nowhere between two numbers of
    bits falls by more than .02.

    Control: the untrained network, if its accuracy rises so, too.
    """
    return judged(table, _found, "Three numbers of observed bits are needed, and were not run.")


def _found(rows: pd.DataFrame) -> Found | None:
    if rows["n_observed"].nunique() < 3:
        return None
    first, last = rows.iloc[0], rows.iloc[-1]
    untrained = rows["untrained_sae"]
    control = None if untrained.isna().any() else _rises(untrained)
    text = (
        f"{spoken(first['mean'])} with {first['n_observed']} observed bits (ε {spoken(first['epsilon'])}, best possible "
        f"{spoken(first['bayes'])}), {spoken(last['mean'])} with {last['n_observed']} (ε {spoken(last['epsilon'])}, best possible "
        f"{spoken(last['bayes'])}); untrained {spoken(first['untrained_sae'])} and {spoken(last['untrained_sae'])}"
    )
    return Found(_rises(rows["mean"]), {"untrained_sae": control}, text)


def _rises(scores: pd.Series) -> bool:
    """From the fewest bits to the most by more than .02, and never falls by more."""
    return bool(scores.iloc[-1] - scores.iloc[0] > TOLERANCE and (scores.diff().iloc[1:] > -TOLERANCE).all())


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: a simulation."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """Two rows of panels, by what is judged: over the count, and over ε."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    if table.empty:
        return nothing(EMPTY)
    table = one_curve(table)
    figure = Figure(figsize=(8.4, 5.4), layout="constrained")
    for across, metric in zip(figure.subplots(2, 2), JUDGED_BY.values(), strict=True):
        rows = of_metric(table, metric)
        for axes, x, named in zip(across, ("n_observed", "epsilon"), ("observed bits", "ε"), strict=True):
            panel(axes, rows, x)
            axes.set_xlabel(named)
        across[0].set_title(metric.label)
        across[1].invert_xaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=4, frameon=False)
    return figure
