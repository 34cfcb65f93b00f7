"""What the figures of steering share: the tidy table with its spread over pairs, who beats whom, and the drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.steering import COSINE_HELDOUT, COSINE_HELDOUT_SD, COSINE_PUBLISHED, COSINE_PUBLISHED_SD
from shiftscope.tables.numbers import count, spoken
from shiftscope.tables.tidy import FAMILIES, KEYS, Published, assemble, ordered
from shiftscope.tables.verdicts import TOLERANCE, judged, never_below, of_metric, scores, sparse_variants

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shiftscope.metrics.base import Metric

METRICS = (COSINE_PUBLISHED, COSINE_HELDOUT)
SPREADS = {COSINE_PUBLISHED_SD.name: COSINE_PUBLISHED.name, COSINE_HELDOUT_SD.name: COSINE_HELDOUT.name}
"""Names of the metrics that are a standard deviation over pairs, and of what."""


def with_spread(metrics: pd.DataFrame, published: Published) -> pd.DataFrame:
    """The tidy table, with `sd_pairs`, the mean over seeds of the sd over pairs (the source's ± is over pairs)."""
    table = assemble(metrics, [*METRICS, COSINE_PUBLISHED_SD, COSINE_HELDOUT_SD], published)
    is_spread = table["metric"].isin(SPREADS)
    spread = table.loc[is_spread, [*KEYS, "mean"]].rename(columns={"mean": "sd_pairs"})
    spread["metric"] = spread["metric"].map(SPREADS).astype("string")
    return ordered(table[~is_spread].merge(spread, on=KEYS, how="left"), METRICS, published)


def gains(table: pd.DataFrame, metric: Metric, variant: str) -> pd.DataFrame:
    """Mean differences to affine, PCA, random directions and not steering, by dataset; null where not measured."""
    rows = scores(table, metric, variant).set_index(["lm", "layer", "dataset"])
    pca = scores(table, metric, "pca").drop_duplicates(["lm", "layer", "dataset"]).set_index(["lm", "layer", "dataset"])
    gains = rows[["difference"]].rename(columns={"difference": "affine"})
    gains["pca"] = rows["mean"] - pca["mean"].reindex(rows.index)
    gains["random directions"] = rows["mean"] - rows["random_dictionary"]
    gains["not steering"] = rows["mean"] - rows["no_steering"]
    return gains


def beats(table: pd.DataFrame, metric: Metric, variant: str) -> bool:
    """Whether a variant is below affine and PCA nowhere, and above both on most datasets."""
    rivals = gains(table, metric, variant)[["affine", "pca"]]
    above_both = ((rivals > 0) | rivals.isna()).all(axis=1)
    return never_below(scores(table, metric, variant)) and bool(
        ((rivals["pca"] > -TOLERANCE) | rivals["pca"].isna()).all() and above_both.mean() > 0.5
    )


def survives(table: pd.DataFrame, variant: str) -> bool:
    """Whether that is so held out, too, and there above random directions and not steering on most datasets."""
    controls = gains(table, COSINE_HELDOUT, variant)[["random directions", "not steering"]]
    above_controls = ((controls > 0) | controls.isna()).all(axis=1)
    return beats(table, COSINE_HELDOUT, variant) and bool(above_controls.mean() > 0.5)


def verdict_on(table: pd.DataFrame) -> tuple[str, str]:
    """Status and sentences: the claim holds where a variant `beats`, and its control is that it `survives`."""
    variants = {variant: variant for variant in sparse_variants(table, COSINE_PUBLISHED)}
    return judged(
        variants,
        lambda variant: beats(table, COSINE_PUBLISHED, variant),
        lambda variant: not survives(table, variant),
        lambda variant, _: sentence(table, variant),
    )


def sentence(table: pd.DataFrame, variant: str) -> str:
    """On how many datasets a variant is above each rival, by both scores."""
    published, heldout = (gains(table, metric, variant) for metric in METRICS)
    means = [scores(table, metric, variant)["mean"].mean() for metric in METRICS]
    return (
        f"{variant}: of {count(len(published), 'dataset')}, as published (mean {spoken(means[0])}) above "
        f"{_wins(published)}; held out (mean {spoken(means[1])}) above {_wins(heldout)}."
    )


def _wins(gains: pd.DataFrame) -> str:
    return ", ".join(f"{rival} on {int((gains[rival] > 0).sum())}" for rival in gains if gains[rival].notna().any())


def draw(table: pd.DataFrame) -> Figure:
    """A panel per dataset, a line per variant: both scores, the source's number, and the controls in grey."""
    from shiftscope.tables.drawing import CONTROL, FIRST, SECOND, TEXT, grid, legend, nothing, points

    panels = list(dict.fromkeys(zip(table["lm"], table["layer"], table["dataset"], table["codes"], strict=True)))
    if not panels:
        return nothing()
    order = [name for name in FAMILIES if name in set(table["variant"])]
    variants = [*order, *sorted(set(table["variant"]) - set(order))]
    figure, all_axes, aside = grid(len(panels), variants, columns=2)
    for axes, (lm, layer, dataset, codes) in zip(all_axes, panels, strict=True):
        here = table[(table[["lm", "layer", "dataset", "codes"]] == [lm, layer, dataset, codes]).all(axis=1)]
        axes.set_title(_panel_title(table, lm, layer, dataset, codes))
        points(axes, of_metric(here, COSINE_PUBLISHED), variants, FIRST, offset=-0.17, hollow=True)
        points(axes, of_metric(here, COSINE_HELDOUT), variants, SECOND, offset=0.17)
        _controls(axes, here, variants)
    legend(
        aside,
        [
            ("o", "none", FIRST, "as published: best column for each pair"),
            ("o", SECOND, SECOND, "held out: chosen on half, scored on half"),
            ("x", TEXT, TEXT, "the paper's number (Llama-3.1-8B)"),
            ("D", "none", CONTROL, "random directions, held out"),
            ("|", CONTROL, CONTROL, "no steering"),
        ],
    )
    return figure


def _panel_title(table: pd.DataFrame, lm: str, layer: str, dataset: str, codes: int) -> str:
    """The dataset, and whatever else tells two panels apart."""
    same = table[table["dataset"] == dataset]
    extra = [str(value) for value, column in ((lm, "lm"), (layer, "layer")) if same[column].nunique() > 1]
    return ", ".join([dataset, *extra, count(codes, "code")])


def _controls(axes: Axes, here: pd.DataFrame, variants: list[str]) -> None:
    from shiftscope.tables.drawing import CONTROL, TEXT

    unsteered = here["no_steering"].dropna()
    if len(unsteered):
        axes.axvline(unsteered.mean(), color=CONTROL, linewidth=1, zorder=1)
    for row in here.to_dict("records"):
        place = variants.index(row["variant"])
        if row["metric"] == COSINE_HELDOUT.name:
            axes.plot(row["random_dictionary"], place + 0.17, "D", mfc="none", mec=CONTROL, markersize=4, zorder=2)
        else:
            axes.plot(row["published"], place - 0.17, "x", color=TEXT, markersize=5, zorder=4)
