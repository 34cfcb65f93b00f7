"""A-F5, A-F6: UDR and MCC over learning rate and sparsity level, on one-concept and two-concept pairs.

Paper A, App. B.1.1, Figures 5 and 6: heatmaps of UDR and of MCC over primal_lr {.005, .007, .01} × β {.05, .1, .2} for
lang(1,1) and binary(2,2); "UDR tracks MCC", so hyperparameters can be chosen without truth. UDR is the median, over
pairs of seeds, of what the MCC across seeds is the mean of: they agree by construction. The MCC with the truth, which
the source did not have, is the test of it, and stands beside both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.metrics.sparsity import RECONSTRUCTION
from shiftscope.metrics.udr import UDR
from shiftscope.tables.numbers import count, number, spoken
from shiftscope.tables.tidy import by_setting
from shiftscope.tables.verdicts import Found, Verdict, judged, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "A-F5, A-F6 · UDR and MCC over learning rate and sparsity level"
CLAIM = "UDR tracks MCC, so the hyperparameters can be chosen without labels."
SAID_BY = "paper A, App. B.1.1, Figures 5 and 6"
PARTS = "language"
METRICS = (MCC_SEEDS_DECODER, UDR, MCC_TRUTH, RECONSTRUCTION)
BEST = {"lang_1_1": (0.005, 0.5, 0.995), "binary_2_2": (0.005, 0.6, 0.991)}
"""The source's best MCC that can be read, at which learning rate and sparsity level, which are shares here (`SOURCE`)."""
PUBLISHED = {MCC_SEEDS_DECODER.name: {dataset: {"ssae": best} for dataset, (_, _, best) in BEST.items()}}
SOURCE = (
    "paper A, Figures 5 and 6, on Llama-3.1-8B; only the best settings are legible: lang .995 at learning rate .005 and β .1, "
    "binary .991 at .005 and .2. The axis relabels β: in the authors' runs of binary .05, .1 and .2 were mean absolute codes "
    "of 11, 13 and 15. Here β is a share of what PCA needs, and these stand at .4, .5 and .6: PCA of SmolLM2's shifts needs "
    "9.8 at d 576, which is 26 at the source's 4096 if its shifts are alike."
)
EMPTY = "No variant was trained on a grid of learning rates and sparsity levels."
CAPTION = (
    "A cell per setting: mean over seeds (UDR: median over pairs of seeds). Colours span each panel's own range, as "
    "its numbers do; the frame marks the setting that UDR chooses among those that reconstruct decently, the cross the "
    "source's best."
)
TRACKS = 0.5
"""A rank correlation over settings from which on this project says that one score tracks another."""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of all settings of variants whose grid has at least two learning rates and two sparsity levels."""
    table = by_setting(metrics, METRICS)
    sizes = table.groupby("grid")[["lr", "sparsity_level"]].nunique()
    table = table[table["grid"].isin(sizes.index[(sizes >= 2).all(axis=1)])].reset_index(drop=True)
    for dataset, (lr, level, best) in BEST.items():
        here = (table["dataset"] == dataset) & (table["metric"] == MCC_SEEDS_DECODER.name)
        table.loc[here & (table["lr"] == lr) & (table["sparsity_level"] == level), "published"] = best
    return table


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where over the settings UDR and the MCC across seeds have a rank correlation of at least .5 on every
    dataset.

    Control: the MCC with the truth; if UDR does not track it too on every dataset where it is known, settings are chosen
    blindly.
    """
    return judged(table, None, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    tracked = _tracked(rows)
    if tracked.empty:
        return None
    known = tracked["truth"].dropna()
    return Found(
        bool((tracked["seeds"] >= TRACKS).all()),
        {"MCC with the truth": bool((known < TRACKS).any()) if len(known) else None},
        "; ".join(_sentence(row) for row in tracked.to_dict("records")),
    )


def _tracked(table: pd.DataFrame) -> pd.DataFrame:
    """Per grid and dataset: rank correlation of UDR with both MCCs over settings, and what its choice loses."""
    import pandas as pd

    found = []
    for (grid, dataset), rows in table.groupby(["grid", "dataset"], sort=False):
        wide = rows.pivot_table(index=["lr", "sparsity_level"], columns="metric", values="mean")
        if UDR.name not in wide or MCC_SEEDS_DECODER.name not in wide:
            continue
        ranks = wide.round(6).rank().corr()[UDR.name]
        truth = of_metric(rows, MCC_TRUTH)
        found.append({
            "grid": grid, "dataset": dataset, "settings": len(wide),
            "seeds": ranks[MCC_SEEDS_DECODER.name], "truth": ranks.get(MCC_TRUTH.name, math.nan),
            "chosen": truth.loc[truth["chosen"], "mean"].mean(), "best": truth["mean"].max(),
        })  # fmt: skip
    return pd.DataFrame(found, columns=["grid", "dataset", "settings", "seeds", "truth", "chosen", "best"])


def _sentence(row: dict) -> str:
    text = (
        f"on {row['dataset']} over {count(row['settings'], 'setting')} UDR's rank correlation with MCC across seeds is "
        f"{number(row['seeds'], 2)}"
    )
    if math.isnan(row["best"]):
        return text
    return (
        f"{text}, with MCC to the truth {number(row['truth'], 2)}; its choice scores {spoken(row['chosen'])} where "
        f"the best setting scores {spoken(row['best'])}"
    )


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is a check of how settings are chosen."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of heatmaps per grid and dataset: UDR, MCC across seeds, MCC with the truth."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    shown = (UDR, MCC_SEEDS_DECODER, MCC_TRUTH)
    lines = list(table.groupby(["grid", "lm", "layer", "dataset", "codes"], sort=False))
    if not lines:
        return nothing(EMPTY)
    lrs = table["lr"].nunique()
    figure = Figure(figsize=(8.4, (0.42 * lrs + 0.95) * len(lines)), layout="constrained")
    figure.get_layout_engine().set(hspace=0.08, wspace=0.04)
    for axes_of_line, ((_, lm, _, dataset, codes), rows) in zip(
        figure.subplots(len(lines), len(shown), squeeze=False), lines, strict=True
    ):
        several = table["lm"].nunique() > 1
        name = ", ".join([dataset, *([lm] if several else []), count(codes, "code")])
        for axes, metric in zip(axes_of_line, shown, strict=True):
            title = f"{name}: {metric.label}" if metric is shown[0] else metric.label
            _heatmap(axes, of_metric(rows, metric), rows, title)
    return figure


def _heatmap(axes: Axes, cells: pd.DataFrame, all_rows: pd.DataFrame, title: str) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    from shiftscope.tables.drawing import FIRST

    lrs, levels = sorted(all_rows["lr"].unique()), sorted(all_rows["sparsity_level"].unique())
    axes.set_title(title)
    axes.set_xticks(range(len(levels)), [f"{level:g}".removeprefix("0") for level in levels])
    axes.set_yticks(range(len(lrs)), [f"{lr:g}".removeprefix("0") for lr in lrs])
    axes.set_xlabel("sparsity level β")
    axes.set_ylabel("learning rate")
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_ylim(-0.5, len(lrs) - 0.5)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    low, high = cells["mean"].min(), cells["mean"].max()
    for cell in cells.to_dict("records"):
        x, y = levels.index(cell["sparsity_level"]), lrs.index(cell["lr"])
        share = (cell["mean"] - low) / (high - low) if high - low > 1e-9 else 0.5
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colormaps["cividis"](share), linewidth=0))
        axes.text(x, y, number(cell["mean"]), ha="center", va="center", color="#ffffff" if share < 0.55 else "#000000")
        if cell["chosen"]:
            axes.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, edgecolor=FIRST, linewidth=2.2))
        if BEST.get(cell["dataset"], ())[:2] == (cell["lr"], cell["sparsity_level"]):
            axes.plot(x + 0.38, y + 0.32, "x", color="#ffffff" if share < 0.55 else "#000000", markersize=5)
    if cells.empty:
        axes.text((len(levels) - 1) / 2, (len(lrs) - 1) / 2, "not known", ha="center", va="center")
