"""PCC against sparsity: every setting of every autoencoder of activations, and the controls that need no training.

Paper B shows one setting of each. Dense features score high, trained or not, so that a ranking says little without the
number of latents that it took; here is the whole curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.dictionary import ACTIVE_LATENTS, FVU
from shiftscope.metrics.pcc import LATENT_F1, PCC, PCC_CHOOSING, PCC_HELDOUT, PCC_OTHERS
from shiftscope.tables.numbers import series, spoken
from shiftscope.tables.saes import PLACE, SPARSE, best_control, curves, each_setting, legend, on_words, panels
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import (
    NOT_TESTED,
    THIS_PROJECT,
    TOLERANCE,
    Found,
    Verdict,
    missing_controls,
    of_metric,
    status,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "PCC against sparsity, with its controls"
CLAIM = "A trained sparse autoencoder has features closer to concepts than any basis that no training made."
SAID_BY = THIS_PROJECT
PARTS = "saes"
METRICS = (PCC_HELDOUT, PCC, PCC_CHOOSING, LATENT_F1, PCC_OTHERS, ACTIVE_LATENTS, FVU)
PUBLISHED: dict = {}
SOURCE = "no numbers: paper B shows one setting of each autoencoder and says nothing of its sparsity."
EMPTY = "No autoencoder of activations was measured on words whose concepts are known."
CAPTION = (
    "A point per setting over its mean number of active latents, held out and in sample, and what one latent detects. "
    "Bars: 95 % interval of the mean over seeds; hollow: the same autoencoder untrained, over its own active latents. "
    "Horizontal lines: what needs no dictionary."
)
LINES = {"neurons": "-", "pca": "--", "random_dictionary": ":", "permuted_labels": "-."}
"""Controls that are drawn as lines, with their style."""
CONTROLS_OF_SAES = (*LINES, "untrained_sae")


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of all settings, with the columns `grid`, the variant's name, and `active`, its active latents.

    `active_untrained` are those of the same autoencoder untrained, and `choosing` is the score by which it is chosen.
    """
    rows = each_setting(on_words(metrics))
    grids = dict(zip(rows["variant"], rows["grid"], strict=True))
    table = assemble(rows, METRICS, PUBLISHED)
    keys = [*PLACE, "codes", "variant"]
    active = of_metric(table, ACTIVE_LATENTS)[[*keys, "mean", "untrained_sae"]]
    active = active.rename(columns={"mean": "active", "untrained_sae": "active_untrained"})
    choosing = of_metric(table, PCC_CHOOSING)[[*keys, "mean"]].rename(columns={"mean": "choosing"})
    table = table.assign(grid=table["variant"].map(grids).astype("string"))
    return table.merge(active, "left", keys).merge(choosing, "left", keys)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, in every place, one setting of one autoencoder, of those with at most half of its latents active, has a
    held-out PCC more than .02 above that of neurons, principal directions and random directions: the one that is best on
    the half of the words that chooses.

    Controls: permuted labels and the same autoencoder untrained, if one scores as high.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        rows = of_metric(table[table["lm"] == lm], PCC_HELDOUT)
        places = [here for _, here in rows.groupby(["layer", "dataset"], sort=False)]
        best = [_chosen(here) for here in places]
        if not best or any(row is None for row in best):
            dense = [here["dataset"].iloc[0] for here, row in zip(places, best, strict=True) if row is None]
            said = [f"No autoencoder has half of its latents or fewer active on {series(dense)}."] if dense else []
            verdicts.append(Verdict("ours", lm, NOT_TESTED, *(said or ["No held-out PCC was measured."])))
            continue
        found = _found(best)
        said = [f"{found.text}.", *missing_controls(found)] if found else ["Without all bases beside it."]
        verdicts.append(Verdict("ours", lm, status(found, False, False), " ".join(said)))
    return verdicts


def _chosen(here: pd.DataFrame) -> pd.Series | None:
    """The row of a place whose setting is best on the half that chooses, None if none is sparse."""
    sparse = here[(here["active"] <= here["codes"] * SPARSE) & here["choosing"].notna()]
    return sparse.loc[sparse["choosing"].idxmax()] if len(sparse) else None


def _found(best: list[pd.Series]) -> Found | None:
    bases = ("neurons", "pca", "random_dictionary")
    if any(row[name] != row[name] for row in best for name in bases):
        return None
    controls = {name: [row[name] for row in best] for name in ("permuted_labels", "untrained_sae")}
    return Found(
        all(row["mean"] - max(row[name] for name in bases) > TOLERANCE for row in best),
        {name: _as_high(best, values) for name, values in controls.items()},
        "; ".join(f"{row['dataset']} {row['variant']} {spoken(row['mean'])}{_beside(row)}" for row in best),
    )


def _as_high(best: list[pd.Series], values: list[float]) -> bool | None:
    if any(value >= row["mean"] - TOLERANCE for row, value in zip(best, values, strict=True)):
        return True
    return None if any(value != value for value in values) else False


def _beside(row: pd.Series) -> str:
    name, value = best_control(row, CONTROLS_OF_SAES)
    return f" at L0 {row['active']:.3g} ({name} {spoken(value)})"


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: `table_b2` says it."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per place: scores over active latents, a curve per variant, and lines of controls."""
    from shiftscope.tables.drawing import nothing

    axes = None
    for axes, rows, _ in panels(table, (PCC_HELDOUT, PCC, LATENT_F1)):
        curves(axes, rows[rows["active"] > 0], "active", "grid")
        _lines(axes, rows)
        axes.set_xscale("log")
        axes.set_xlabel("active latents (L0)")
    if axes is None:
        return nothing(EMPTY)
    legend(axes)
    return axes.figure


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    from shiftscope.tables.drawing import CONTROL
    from shiftscope.vocabulary import CONTROLS

    for name, style in LINES.items():
        if rows[name].notna().any():
            axes.axhline(rows[name].mean(), linestyle=style, color=CONTROL, linewidth=1.1, label=CONTROLS[name][0])
    untrained = rows[rows["untrained_sae"].notna()]
    axes.plot(untrained["active_untrained"], untrained["untrained_sae"], "o", mfc="none", mec=CONTROL, markersize=4,
              label=CONTROLS["untrained_sae"][0])  # fmt: skip
