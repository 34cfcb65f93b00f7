"""TruthfulQA: mc2, mc1 and perplexity of neutral text against the dose of each variant's vector.

Ours: paper A shows no answers. All held-out questions enter and no dose is chosen; `table_truthfulqa` scores a chosen
one. Beside each variant stand random directions of its vectors' length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shiftscope.metrics.truthfulness import MC1_ACCURACY, MC2, PERPLEXITY
from shiftscope.tables.numbers import number
from shiftscope.tables.tidy import assemble, variants_in_order, with_errors
from shiftscope.tables.verdicts import THIS_PROJECT, TOLERANCE, Found, Verdict, judged, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "TruthfulQA: answers and perplexity against the dose"
CLAIM = "The more of SSAE's vector is added, the more probability right answers have; random directions do not do that."
SAID_BY = THIS_PROJECT
PARTS = "behaviour"
METRICS = (MC2, MC1_ACCURACY, PERPLEXITY)
PUBLISHED: dict = {}
CAPTION = (
    "Doses are multiples of each variant's vector; positive ones point from wrong to right answers of the training "
    "questions. Lines: mean over seeds; bands: 95 % interval of the mean; grey line: random directions of the same "
    "length; thin horizontal line: unsteered."
)
SOURCE = "none: the source shows no answers of a steered model."

EMPTY = "No answers of a steered language model were measured."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of `shiftscope.tables.tidy`, once per dose, with the column `dose`."""
    import pandas as pd

    unsteered = metrics["control"] == "no_steering"
    tables = []
    for dose in sorted(metrics["dose"].dropna().unique()) or [0.0]:
        at_dose = metrics[(metrics["dose"] == dose) | (unsteered & metrics["dose"].notna())]
        table = assemble(at_dose.assign(dose=float("nan")), METRICS, PUBLISHED)
        tables.append(table.assign(dose=float(dose)))
    found = pd.concat(tables, ignore_index=True)
    found = with_errors(found, metrics, found["dataset"])
    keys = ["lm", "layer", "dataset", "codes"]
    names = variants_in_order(zip(found["variant"], found["kind"], strict=True))
    order = {name: place for place, name in enumerate(names)}
    return found.sort_values(
        [*keys, "variant", "dose"], key=lambda column: column.map(order) if column.name == "variant" else column,
        kind="stable", ignore_index=True,
    )  # fmt: skip


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where mc2 at positive doses is above mc2 at the same negative doses by more than .02, mean over doses.

    Control: random directions of the same length do that as well, to within .02.
    """
    return judged(table, MC2, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    means = rows.groupby("dose")[["mean", "random_dictionary"]].mean()
    both = [dose for dose in means.index if dose > 0 and -dose in means.index]
    if not both:
        return None
    climbs = means.loc[both].to_numpy() - means.loc[[-dose for dose in both]].to_numpy()
    climb, control = (float(value) for value in climbs.mean(0))
    return Found(
        climb > TOLERANCE,
        {"random_dictionary": None if math.isnan(control) else control >= climb - TOLERANCE},
        f"mc2 changes by {number(climb, 2, signed=True)} from -dose to +dose, with random directions by "
        f"{number(control, 2, signed=True)}",
    )


def finding(table: pd.DataFrame) -> str:
    """Empty: what the figure finds stands in its table's sentence."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per variant, a column per metric; the doses are the abscissa."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import CONTROL, SECOND, nothing

    lines = list(
        dict.fromkeys(zip(*(table[name] for name in ("lm", "layer", "dataset", "codes", "variant")), strict=True))
    )
    if not lines:
        return nothing(EMPTY)
    figure = Figure(figsize=(8.4, 1.5 * len(lines) + 0.5), layout="constrained")
    axes = figure.subplots(len(lines), len(METRICS), squeeze=False, sharex="row", sharey="col")
    for across, line in zip(axes, lines, strict=True):
        here = table[(table[["lm", "layer", "dataset", "codes", "variant"]] == list(line)).all(axis=1)]
        for place, metric in zip(across, METRICS, strict=True):
            rows = of_metric(here, metric).sort_values("dose")
            doses = rows["dose"].to_numpy(float)
            place.axhline(rows["no_steering"].mean(), color=CONTROL, linewidth=0.6)
            place.plot(doses, rows["random_dictionary"].to_numpy(float), "--", color=CONTROL, linewidth=1.2)
            place.plot(doses, rows["mean"].to_numpy(float), "o-", color=SECOND, linewidth=1.4, markersize=3)
            if rows["low"].notna().any():
                ends = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
                place.fill_between(doses, *ends, color=SECOND, alpha=0.2, linewidth=0)
            if metric is PERPLEXITY:
                place.set_yscale("log")
            place.set_title(f"{line[-1]}: {metric.label}")
    for place in axes[-1]:
        place.set_xlabel("dose")
    return figure
