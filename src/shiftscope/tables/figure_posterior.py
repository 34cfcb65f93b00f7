"""How far representations are from linear in the exact log-posterior, over ε, and where in the text they are.

Paper B's Theorem 3.1 has an error that shrinks with ε, by how much the most probable joint value of the concepts is short of
certain (Definition 2.1). Points are simulated worlds with different numbers of observed bits, and contexts of a grammar by how
many words have been read: the more, the smaller ε.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.posterior import POSTERIOR_ERROR, POSTERIOR_R2, REPRESENTATION_R2, THIRDS
from shiftscope.metrics.probing import EXCESS_LOSS, INVERSION_ERROR
from shiftscope.tables.layers import LAST
from shiftscope.tables.numbers import spoken
from shiftscope.tables.simulations import LEARNED, differs_in, point_of
from shiftscope.tables.tidy import assemble, joined, untrained_as_control
from shiftscope.tables.verdicts import NOT_TESTED, TOLERANCE, Found, Verdict, concluded, of_metric
from shiftscope.vocabulary import JOINT, SYNTHETIC

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Log-posterior · Linearity over ε, and where it fails"
CLAIM = "The nearer the text is to telling the concepts (the smaller ε), the more linear a representation is in their log-posterior."
SAID_BY = "paper B, Theorem 3.1 and Definition 2.1; tested by this project"
PARTS = "posterior"
METRICS = (POSTERIOR_R2, REPRESENTATION_R2, INVERSION_ERROR, POSTERIOR_ERROR)
SHOWN = METRICS[:2]
PUBLISHED: dict = {}
SOURCE = "no numbers: of the text that paper B reads nobody knows the posterior."
EMPTY = "No joint log-posterior was tested: name concepts in `joint` of the `posterior` of a language model."
CAPTION = (
    "Above, held-out R² of the joint log-posterior from the representation, and the other way round, over ε (0: the concepts are "
    "certain): contexts of a grammar by the number of words read, and simulated worlds. Points: mean; bars: 95 % interval of the "
    "mean over random halves, of simulations over worlds. Below, where it fails: the error of the log-posterior over its variance "
    "in thirds of the contexts, by the entropy of the posterior, the number of words read, and how improbable the context is."
)
WORDS = r"(?P<corpus>.+), \d+(?: to \d+)? words"
"""datasets of contexts by how many words have been read"""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of joint log-posteriors, with what a point belongs to as `series` and its ε.

    Of a language model the concepts stand in the place of a variant, and rows of errors have no ε. Of simulations it is those that
    differ in the number of observed bits alone, and whose networks have learned their worlds.
    """
    real = metrics[metrics["lm"] != SYNTHETIC]
    real = real[real["concept"].fillna("").str.contains(JOINT, regex=False) & real["step"].isna()]
    real = real[real["layer"] == LAST]
    tables = [assemble(real.assign(variant=real["concept"]), METRICS, PUBLISHED)]
    simulated = _simulated(metrics[metrics["lm"] == SYNTHETIC])
    if len(simulated):
        tables.append(assemble(simulated, METRICS, PUBLISHED))
    table = joined(tables)
    errors = of_metric(table, INVERSION_ERROR).set_index(["lm", "dataset", "variant"])["mean"]
    keys = zip(table["lm"], table["dataset"], table["variant"], strict=True)
    corpus = table["dataset"].str.extract(WORDS)["corpus"].fillna("")
    points = [point_of(name) for name in table["dataset"]]
    named = zip(corpus, points, table["dataset"], strict=True)
    table = table.assign(
        series=[one or (point.base if point else name) for one, point, name in named],
        epsilon=[errors.get(key, float("nan")) for key in keys],
    ).astype({"series": "string", "epsilon": float})
    of_error = table["metric"].str.startswith(POSTERIOR_ERROR.name[:-1])
    return table[of_error | table["epsilon"].notna()].reset_index(drop=True)


def _simulated(metrics: pd.DataFrame) -> pd.DataFrame:
    points = {name: point for name in metrics["dataset"].unique() if (point := point_of(name))}
    kept = [name for name, point in points.items() if differs_in(point, points.values(), ("n_observed",))]
    rows = untrained_as_control(metrics[metrics["dataset"].isin(kept)])
    losses = of_metric(rows[rows["control"] == ""], EXCESS_LOSS).groupby("dataset")["value"].mean()
    return rows[rows["dataset"].isin(losses.index[losses <= LEARNED])]


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where by both R² the contexts, or worlds, with the smallest ε are over .02 above those with the largest.

    Control: the untrained network, if its R² rise so, too.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        curves = [_curve(table[table["lm"] == lm], metric) for metric in SHOWN]
        if any(curve["epsilon"].nunique() < 3 for curve in curves):
            verdicts.append(Verdict("ours", lm, NOT_TESTED, "Three values of ε are needed, and were not run."))
            continue
        verdicts.append(concluded("ours", lm, _found(curves)))
    return verdicts


def _curve(table: pd.DataFrame, metric: object) -> pd.DataFrame:
    """The points of the first series with one, from the largest ε to the smallest."""
    rows = of_metric(table, metric)
    rows = rows[rows["epsilon"].notna()]
    rows = rows[rows["series"].isin(rows["series"].head(1)) & rows["variant"].isin(rows["variant"].head(1))]
    return rows.sort_values("epsilon", ascending=False)


def _found(curves: list[pd.DataFrame]) -> Found:
    rises = [_rise(curve["mean"]) for curve in curves]
    untrained = [curve["untrained_lm"].fillna(curve["untrained_sae"]) for curve in curves]
    missing = any(one.isna().any() for one in untrained)
    control = None if missing else all(_rise(one) > TOLERANCE for one in untrained)
    largest, smallest = (curves[0]["epsilon"].iloc[end] for end in (0, -1))
    text = "; ".join(
        f"{metric.label} {spoken(curve['mean'].iloc[0])} at ε {spoken(largest)} and {spoken(curve['mean'].iloc[-1])} at "
        f"{spoken(smallest)} (untrained {spoken(other.iloc[0])} and {spoken(other.iloc[-1])})"
        for metric, curve, other in zip(SHOWN, curves, untrained, strict=True)
    )
    name = "untrained_lm" if curves[0]["untrained_lm"].notna().any() else "untrained_sae"
    return Found(all(rise > TOLERANCE for rise in rises), {name: control}, text)


def _rise(scores: pd.Series) -> float:
    return float(scores.iloc[-1] - scores.iloc[0])


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is of representations, not of vectors."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A panel per R² over ε, and below a panel per language model with the errors by thirds."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    points = table[table["metric"].isin([metric.name for metric in SHOWN])]
    points = points[points["epsilon"].notna()]
    if points.empty:
        return nothing(EMPTY)
    thirds = table[table["metric"].str.startswith(POSTERIOR_ERROR.name[:-1])]
    figure = Figure(figsize=(9.2, 6.4 if len(thirds) else 3.4), layout="constrained")
    parts = figure.subfigures(2 if len(thirds) else 1, 1, squeeze=False)[:, 0]
    above = parts[0].subplots(1, 2)
    for axes, metric in zip(above, SHOWN, strict=True):
        _over_epsilon(axes, of_metric(points, metric))
        axes.set_title(metric.label)
    figure.legend(*above[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, frameon=False)
    if len(thirds):
        lms = list(thirds.groupby("lm", sort=False))
        for axes, (lm, mine) in zip(parts[1].subplots(1, len(lms), squeeze=False)[0], lms, strict=True):
            _by_thirds(axes, str(lm), mine)
    return figure


def _over_epsilon(axes: Axes, rows: pd.DataFrame) -> None:
    """A colour per series, with its untrained network and counts of tokens; R² below 0 is drawn at the edge."""
    from shiftscope.tables.drawing import COLOURS, CONTROL

    low = -0.04
    axes.set_ylim(low - 0.01, 1.03)
    axes.set_xlabel("ε")
    axes.invert_xaxis()
    axes.grid(axis="y", color=CONTROL, linewidth=0.4, alpha=0.35)
    for number, ((lm, series, variant), curve) in enumerate(rows.groupby(["lm", "series", "variant"], sort=False)):
        colour, curve = COLOURS[number % len(COLOURS)], curve.sort_values("epsilon")
        named = f"{lm}, {variant}" if lm != SYNTHETIC else f"simulations, {series}"
        x = curve["epsilon"].to_numpy(float)
        axes.plot(x, curve["mean"].clip(lower=low), "o", color=colour, markersize=4.5, label=named)
        axes.vlines(
            x, curve["low"].clip(lower=low), curve["high"].clip(lower=low), color=colour, linewidth=2, alpha=0.5
        )
        for style, control in (("--", "untrained_lm"), ("--", "untrained_sae"), (":", "bag_of_tokens")):
            if curve[control].notna().any():
                axes.plot(x, curve[control].clip(lower=low), style, color=colour, linewidth=1, alpha=0.7)
    axes.plot([], [], "--", color=CONTROL, linewidth=1, label="untrained network")
    axes.plot([], [], ":", color=CONTROL, linewidth=1, label="counts of tokens")


def _by_thirds(axes: Axes, lm: str, rows: pd.DataFrame) -> None:
    """Bars of the error in each third, by what the thirds are of; of the first joint posterior."""
    from shiftscope.tables.drawing import CONTROL, FIRST

    rows = rows[rows["variant"].isin(rows["variant"].head(1))]
    names = rows["metric"].str.removeprefix(POSTERIOR_ERROR.name[:-1]).str.rsplit("_", n=1, expand=True)
    order = {name: place for place, name in enumerate(THIRDS)}
    groups = list(dict.fromkeys(names[0]))
    x = names[0].map(groups.index) + (names[1].map(order) - 1) * 0.26
    axes.bar(x, rows["mean"], width=0.24, color=FIRST, alpha=0.8)
    axes.axhline(1, color=CONTROL, linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(groups)), [f"{name}\nlow, middle, high" for name in groups])
    axes.set_title(f"error, {lm}")
