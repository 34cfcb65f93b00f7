"""What the figures of steering share: the tidy table with its spread over pairs, who beats whom, and the drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.steering import COSINE_HELDOUT, COSINE_HELDOUT_SD, COSINE_PUBLISHED, COSINE_PUBLISHED_SD
from shiftscope.tables.numbers import count, spoken
from shiftscope.tables.tidy import KEYS, Published, assemble, ordered, variants_in_order
from shiftscope.tables.verdicts import TOLERANCE, Found, Verdict, judged, mostly, of_metric, scores, told

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


METRICS = (COSINE_PUBLISHED, COSINE_HELDOUT)
SPREADS = {COSINE_PUBLISHED_SD.name: COSINE_PUBLISHED.name, COSINE_HELDOUT_SD.name: COSINE_HELDOUT.name}
"""Names of the metrics that are a standard deviation over pairs, and of what."""
OTHER_PROCEDURE = (
    "The published figure steers by the encoded shift of the test pair itself, with PCA fitted on test shifts; here, as in "
    "code that the authors published five months later, a column of the decoder steers."
)
"""How the source's figures were made, which is not run here."""


def with_spread(metrics: pd.DataFrame, published: Published) -> pd.DataFrame:
    """The tidy table, with `sd_pairs`, the mean over seeds of the sd over pairs (the source's ± is over pairs)."""
    table = assemble(metrics, [*METRICS, COSINE_PUBLISHED_SD, COSINE_HELDOUT_SD], published)
    is_spread = table["metric"].isin(SPREADS)
    spread = table.loc[is_spread, [*KEYS, "mean"]].rename(columns={"mean": "sd_pairs"})
    spread["metric"] = spread["metric"].map(SPREADS).astype("string")
    return ordered(table[~is_spread].merge(spread, on=KEYS, how="left"), METRICS, published)


def verdicts_on(table: pd.DataFrame, said_by: str) -> list[Verdict]:
    """The claim holds where `beats`; its controls are the same held out, random directions and not steering."""
    return judged(table, COSINE_PUBLISHED, _found, said_by, not_run=OTHER_PROCEDURE)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    heldout = scores(here, COSINE_HELDOUT, rows["variant"].iloc[0])
    published_gains, heldout_gains = gains(rows, here), gains(heldout, here)
    if published_gains.empty:
        return None
    controls = {"held-out score": None if heldout_gains.empty else not beats(heldout_gains)}
    controls |= {control: mostly(heldout, control) for control in ("random_dictionary", "no_steering")}
    return Found(
        beats(published_gains), controls,
        f"of {count(len(published_gains), 'dataset')}, best column for each pair (mean {spoken(rows['mean'].mean())}) above "
        f"{_wins(published_gains)}; held out (mean {spoken(heldout['mean'].mean())}) above {_wins(heldout_gains)}",
    )  # fmt: skip


def gains(rows: pd.DataFrame, here: pd.DataFrame) -> pd.DataFrame:
    """By how much a variant is above its rival without sparsity and above PCA, for each row that has both.

    Args:
        rows: of one metric of the variant.
        here: all rows of its language model, PCA's among them.
    """
    import pandas as pd

    place = ["layer", "dataset"]
    pca = here[(here["kind"] == "pca") & here["metric"].isin(rows["metric"])].drop_duplicates(place)
    with_pca = rows.merge(pca[[*place, "mean"]], on=place, how="left", suffixes=("", "_pca"))
    found = pd.DataFrame({"no sparsity": with_pca["difference"], "pca": with_pca["mean"] - with_pca["mean_pca"]})
    return found.dropna().astype(float)


def beats(gains: pd.DataFrame) -> bool:
    """Whether a variant is below neither rival anywhere, and above both on most datasets."""
    return bool((gains > -TOLERANCE).all(axis=None) and (gains > 0).all(axis=1).mean() > 0.5)


def _wins(gains: pd.DataFrame) -> str:
    return ", ".join(f"{rival} on {int((gains[rival] > 0).sum())}" for rival in gains)


def finding_of(verdicts: list[Verdict], where: str) -> str:
    """One sentence for the top of the report; `where` says which pairs are steered."""
    return told(
        verdicts, f"steers {where} closer to the target than no sparsity and PCA",
        f"does not steer {where} closer to the target than no sparsity and PCA",
    )  # fmt: skip


def draw(table: pd.DataFrame, empty: str) -> Figure:
    """A panel per dataset, a line per variant: both scores, the source's number, and the controls in grey."""
    from shiftscope.tables.drawing import CONTROL, FIRST, SECOND, TEXT, grid, legend, nothing, points

    panels = list(dict.fromkeys(zip(table["lm"], table["layer"], table["dataset"], table["codes"], strict=True)))
    if not panels:
        return nothing(empty)
    variants = variants_in_order(zip(table["variant"], table["kind"], strict=True))
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
            ("o", "none", FIRST, "best column for each pair"),
            ("o", SECOND, SECOND, "held out: chosen on half, scored on half"),
            ("x", TEXT, TEXT, "the paper's number (Llama-3.1-8B), by another procedure"),
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
