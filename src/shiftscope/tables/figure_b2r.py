"""B-F2r: what linear probes tell of concepts over the number of concepts and the density of the graph that links them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.tables import simulations
from shiftscope.tables.numbers import count, spoken
from shiftscope.tables.simulations import JUDGED_BY, as_well, judged, one_curve, panel
from shiftscope.tables.verdicts import Found, Verdict, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "B-F2, right · Linear probes over the number of concepts and the graph"
CLAIM = "A linear probe tells the concepts whatever their number and the graph that links them."
SAID_BY = "paper B, Sec. 6 and App. G.1, Figure 2 right"
PARTS = "simulations"
METRICS, PUBLISHED, SOURCE = simulations.METRICS, simulations.PUBLISHED, simulations.SOURCE
EMPTY = "No simulation differs in the number of concepts (`grid: {n_concepts: […]}`)."
CAPTION = (
    "A column per graph (er2: 2 n expected edges among n concepts, as far as there are so many: with up to five concepts er2 "
    "links all of them, with up to seven er3). Above as the source has it; "
    "below probes are tried where other bits are masked than those they were fitted on. Points: mean over worlds and concepts; "
    "bars: 95 % interval of the mean."
)
TOLD = 0.9
"""the share of what can be known beyond the more frequent value that counts as telling a concept; the source has no number"""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """See `shiftscope.tables.simulations.build`."""
    return simulations.build(metrics, "n_concepts", "graph", "n_observed")


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, for every graph and number of concepts, probes have .9 or more of what the Bayes rule has above the more
    frequent value.

    Control: the untrained network, if it is everywhere within .02.
    """
    return judged(table, _found, "Several numbers of concepts are needed, and were not run.")


def _found(rows: pd.DataFrame) -> Found | None:
    if rows["n_concepts"].nunique() < 2:
        return None
    shares = (rows["mean"] - rows["majority"]) / (rows["bayes"] - rows["majority"])
    worst = rows.loc[shares.idxmin()]
    text = (
        f"{spoken(rows['mean'].min())} to {spoken(rows['mean'].max())} at {count(len(rows), 'point')}, untrained "
        f"{spoken(rows['untrained_sae'].min())} to {spoken(rows['untrained_sae'].max())}; of what can be known beyond the more "
        f"frequent value least, {spoken(float(shares.min()))}, with {worst['n_concepts']} concepts and {worst['graph']}"
    )
    return Found(bool((shares >= TOLD).all()), {"untrained_sae": as_well(rows)}, text)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: a simulation."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels by what is judged, a column per graph."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    if table.empty:
        return nothing(EMPTY)
    table = one_curve(table)
    graphs = list(dict.fromkeys(table["graph"]))
    figure = Figure(figsize=(2.6 * len(graphs) + 0.8, 5.4), layout="constrained")
    for across, metric in zip(figure.subplots(2, len(graphs), squeeze=False), JUDGED_BY.values(), strict=True):
        rows = of_metric(table, metric)
        for axes, graph in zip(across, graphs, strict=True):
            panel(axes, rows[rows["graph"] == graph], "n_concepts")
            axes.set_title(f"{metric.label}\n{graph}" if axes is across[0] else graph)
            axes.set_xlabel("concepts")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False)
    return figure
