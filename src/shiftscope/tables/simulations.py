"""What the figures of paper B's simulations share: their points, how they are judged, and their panels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.metrics.probing import EXCESS_LOSS, INVERSION_ERROR, SIMULATION_ACCURACY, SIMULATION_ACCURACY_HELDOUT
from shiftscope.tables.tidy import assemble, untrained_as_control
from shiftscope.tables.verdicts import NOT_TESTED, TOLERANCE, Found, Verdict, concluded, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

METRICS = (SIMULATION_ACCURACY, SIMULATION_ACCURACY_HELDOUT, INVERSION_ERROR, EXCESS_LOSS)
PUBLISHED: dict = {}
SOURCE = "paper B, Figure 2, has curves alone, and its numbers are not in the extracted text."
JUDGED_BY = {"paper": SIMULATION_ACCURACY, "ours": SIMULATION_ACCURACY_HELDOUT}
"""by recipe what is judged: probes as the source has them, and those that are tried where other bits are masked"""
LEARNED = 0.02
"""nats above the least possible loss beyond which a network has not learned its world, and tests nothing"""
NAME = re.compile(r"(?P<dataset>.+), (?P<graph>\w+), (?P<n_concepts>\d+) concepts, (?P<n_observed>\d+) observed")


class Point(NamedTuple):
    """What the worlds of a metric row have in common."""

    base: str
    """the dataset of the config"""
    graph: str
    n_concepts: int
    n_observed: int


def point_of(dataset: str) -> Point | None:
    """The point that a metric row's dataset names, such as `observed, chain, 3 concepts, 5 observed`, if it names one."""
    found = NAME.fullmatch(dataset)
    return found and Point(found["dataset"], found["graph"], int(found["n_concepts"]), int(found["n_observed"]))


def build(metrics: pd.DataFrame, *varies: str) -> pd.DataFrame:
    """The tidy table of the datasets whose points differ in nothing but `varies`, with the columns of `Point` and `epsilon`, the
    mean ε of a point's worlds; what was left untrained is a control.
    """
    named = {name: point_of(name) for name in metrics["dataset"].unique()}
    points = {name: point for name, point in named.items() if point}
    kept = [name for name, point in points.items() if differs_in(point, points.values(), varies)]
    metrics = metrics[metrics["dataset"].isin(kept)]
    table = assemble(untrained_as_control(metrics), METRICS, PUBLISHED)
    errors = of_metric(table, INVERSION_ERROR).drop_duplicates("dataset").set_index("dataset")["mean"]
    columns = {name: [getattr(points[one], name) for one in table["dataset"]] for name in Point._fields}
    table = table.assign(**columns, epsilon=[errors.get(name, float("nan")) for name in table["dataset"]])
    table = table.astype({"base": "string", "graph": "string", "n_concepts": int, "n_observed": int, "epsilon": float})
    by = ["base", "graph", "n_concepts", "n_observed", "variant"]
    return table.sort_values(by, kind="stable", ignore_index=True)


def differs_in(point: Point, points: Iterable[Point], varies: tuple[str, ...]) -> bool:
    """Whether the points of a point's dataset differ in just these fields, the first of them at least."""
    same = [one for one in points if one.base == point.base]
    free = {name for name in Point._fields[1:] if len({getattr(one, name) for one in same}) > 1}
    # more bits of equal concepts are a curve over bits, more bits of more concepts are not
    several = len({one._replace(n_observed=0) for one in same}) < len(same)
    return set(varies[:1]) <= free <= set(varies) and not (several and varies[0] != "n_observed")


def judged(table: pd.DataFrame, decide: Callable[[pd.DataFrame], Found | None], too_few: str) -> list[Verdict]:
    """The verdicts of a figure on its claim, as the source measures it and where other bits are masked.

    Networks that are far from the least possible loss test nothing.

    Args:
        table: what `build` made.
        decide: of the rows of the first variant by one metric, in the order of the table, what was found.
        too_few: what is said where it found nothing.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        here = one_curve(table[table["lm"] == lm])
        idle = of_metric(here, EXCESS_LOSS)
        idle = idle[idle["mean"] > LEARNED]
        for recipe, metric in JUDGED_BY.items():
            rows = of_metric(here, metric)
            found = decide(rows) if len(rows) else None
            if found is None or len(idle):
                verdicts.append(Verdict(recipe, lm, NOT_TESTED, too_few if found is None else _not_learned(idle)))
                continue
            verdicts.append(concluded(recipe, lm, found, f"{metric.label} on {here['base'].iloc[0]}: "))
    return verdicts


def one_curve(table: pd.DataFrame) -> pd.DataFrame:
    """What is judged and drawn, one network of one width on one dataset, the first of each."""
    for name in ("base", "codes", "variant"):
        table = table[table[name].isin(table[name].head(1))]
    return table


def _not_learned(idle: pd.DataFrame) -> str:
    worst = idle.loc[idle["mean"].idxmax()]
    return (
        f"The networks are up to {worst['mean']:.2g} nats above the least possible loss ({worst['dataset']}), and have not learned "
        "their worlds: raise `steps`."
    )


def as_well(rows: pd.DataFrame) -> bool | None:
    """Whether the untrained network scores within .02 of the trained one everywhere; None where it was not run."""
    gains = rows["mean"] - rows["untrained_sae"]
    return None if gains.isna().any() else bool((gains <= TOLERANCE).all())


def panel(axes: Axes, rows: pd.DataFrame, x: str) -> None:
    """Accuracies over a column: trained with intervals, and beside them the best that is possible, untrained, and chance."""
    from shiftscope.tables.drawing import CONTROL, FIRST, SECOND

    rows = rows.sort_values(x)
    places = rows[x].to_numpy(float)
    axes.set_ylim(0.45, 1.03)
    axes.grid(axis="y", color=CONTROL, linewidth=0.4, alpha=0.35)
    axes.plot(places, rows["bayes"], "-", color=FIRST, linewidth=1, label="Bayes: the best possible")
    axes.plot(places, rows["log_posterior"], "-.", color=FIRST, linewidth=1, label="exact log-posterior, probed")
    axes.plot(places, rows["mean"], "o", color=SECOND, markersize=4.5, label="trained", zorder=3)
    axes.vlines(places, rows["low"], rows["high"], color=SECOND, linewidth=2.6, alpha=0.6)
    axes.plot(places, rows["untrained_sae"], "--", color=CONTROL, linewidth=1.2, label="untrained network")
    axes.plot(places, rows["majority"], ":", color=CONTROL, linewidth=1.2, label="more frequent value")
