"""B-F7: the structured autoencoder over the weight γ of its low-rank term: error, mean PCC and coverage over training.

Paper B, App. H.3, Figure 7: every other hyperparameter stays as it is; in the mode `path_scale` γ = 0 is p-annealing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shiftscope.metrics.dictionary import ACTIVE_SPARSE, COLLAPSED, MSE_WORDS
from shiftscope.metrics.pcc import PCC, PCC_COVERAGE, PCC_HELDOUT
from shiftscope.tables.numbers import number, series
from shiftscope.tables.saes import NOT_AS_LONG, SYSTEMS, by_source, by_step, curves, legend, on_words, panels
from shiftscope.tables.tidy import system_of
from shiftscope.tables.verdicts import NOT_TESTED, TOLERANCE, Found, Verdict, missing_controls, of_metric, status
from shiftscope.vocabulary import PATH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "B-F7 · The weight γ of the structured autoencoder's low-rank term"
CLAIM = (
    "A moderate γ has the lowest error and the highest PCC; one that is too large or too small loses in at least one."
)
SAID_BY = "paper B, App. H.3, Figure 7"
PARTS = "saes"
METRICS = (MSE_WORDS, PCC, PCC_COVERAGE, PCC_HELDOUT, ACTIVE_SPARSE, COLLAPSED)
PUBLISHED: dict = {}
SOURCE = "paper B, Figure 7, has curves alone, and neither its numbers nor the values of γ are in the extracted text."
EMPTY = "No structured autoencoder was trained at several values of γ (`gamma`)."
CAPTION = (
    "A curve per γ over steps of training, all other hyperparameters equal. Points: mean over seeds (and concepts); "
    "bars: 95 % interval of the mean."
)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table by step of the settings that differ from the chosen one in γ alone, with the column `gamma`."""
    import numpy as np

    rows = on_words(metrics)
    rows = rows[~rows["variant"].str.endswith(PATH)]
    settings = {params: json.loads(params) for params in rows["params"].unique()}
    chosen = rows[rows["selected"] & (rows["variant"] != "")].drop_duplicates("variant").set_index("variant")["params"]
    kept = []
    for key in rows[["variant", "kind", "params"]].drop_duplicates().itertuples(index=False):
        structured = bool(key.kind) and system_of(key.variant, key.kind) == SYSTEMS[0]
        if structured and _only_gamma(settings[key.params], settings.get(chosen.get(key.variant), {})):
            kept.append((key.variant, key.params))
    keys = zip(rows["variant"], rows["params"], strict=True)
    rows = rows.loc[np.array([key in kept for key in keys], bool)]
    gammas = rows["params"].map(lambda params: settings[params].get("gamma"))
    rows = rows[gammas.groupby([rows["dataset"], rows["variant"]]).transform("nunique") > 1]
    names = rows["variant"] + ": γ " + gammas[rows.index].map("{:g}".format)
    table = by_step(rows.assign(variant=names, selected=True), METRICS)
    table = by_source(table, rows.assign(variant=names, selected=True))
    return table.assign(gamma=[float(name.rpartition(" ")[2]) for name in table["variant"]])


def _only_gamma(setting: dict, other: dict) -> bool:
    return "gamma" in setting and setting | {"gamma": None} == other | {"gamma": None}


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, at the last step, the γ with the highest mean PCC is neither the smallest nor the largest, no γ has
    an error more than 2 % below its, and both ends of the grid lose to it: .02 in PCC, or 2 % in error. A γ at which the
    sparse path has died loses, whatever its numbers: a dense path alone has a high PCC and a low error.

    Control: the spread over seeds, if PCC's range over γ is within two standard deviations of it.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        here = table[table["lm"] == lm]
        grids = here["variant"].str.rpartition(": γ ")[0]
        found = [_at_the_end(rows) for _, rows in here.groupby(["layer", "dataset", "codes", grids], sort=False)]
        if any(one is None for one in found):
            verdicts.append(Verdict("paper", lm, NOT_TESTED, "A moderate γ needs three values of γ or more."))
            continue
        decided = Found(all(one.holds for one in found), _spread(found), "; ".join(one.text for one in found))
        said = [f"{decided.text}.", *missing_controls(decided)]
        found_it = status(decided, False, True)
        if not here["by_source"].all():
            said, found_it = [NOT_AS_LONG, *said], NOT_TESTED
        verdicts.append(Verdict("paper", lm, found_it, " ".join(said)))
    return verdicts


def _collapsed(last: pd.DataFrame) -> list[float]:
    """Every γ at which the sparse path has died for a seed."""
    rows = of_metric(last, COLLAPSED)
    return sorted(rows.loc[rows["mean"] > 0, "gamma"].unique())


def _spread(found: list[Found]) -> dict[str, bool | None]:
    within = [one.controls["spread over seeds"] for one in found]
    return {"spread over seeds": True if True in within else None if None in within else False}


def _at_the_end(rows: pd.DataFrame) -> Found | None:
    last = rows[rows["step"] == rows["step"].max()]
    scores, errors = (of_metric(last, metric).set_index("gamma")["mean"].sort_index() for metric in (PCC, MSE_WORDS))
    if len(scores) < 3 or len(errors) != len(scores):
        return None
    fallen = _collapsed(last)
    alive = scores.drop(fallen)
    values = series(f"{number(scores[one])} at {one:g} (MSE {errors[one]:.3g})" for one in scores.index)
    text = f"{last['dataset'].iloc[0]}: mean PCC by γ {values}"
    if fallen:
        text += f"; the sparse path has died at γ {series(f'{one:g}' for one in fallen)}, which loses"
    if alive.empty:
        return Found(False, {"spread over seeds": None}, text)
    best, ends = alive.idxmax(), [scores.index[0], scores.index[-1]]
    loses = [
        end in fallen or scores[best] - scores[end] > TOLERANCE or errors[end] * (1 - TOLERANCE) > errors[best]
        for end in ends
    ]
    lowest = errors[best] * (1 - TOLERANCE) <= errors[alive.index].min()
    spread = of_metric(last, PCC).set_index("gamma")["sd"][alive.index]
    within = bool(alive.max() - alive.min() <= 2 * spread.mean()) if spread.notna().all() and len(alive) > 1 else None
    return Found(best not in ends and all(loses) and lowest, {"spread over seeds": within}, text)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is an ablation of one variant."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per place: error, mean PCC and coverage over steps, a curve per γ."""
    from shiftscope.tables.drawing import nothing

    axes = None
    for axes, rows, metric in panels(table, (MSE_WORDS, PCC, PCC_COVERAGE)):
        curves(axes, rows, "step", "variant")
        axes.set_yscale("log" if metric is MSE_WORDS else "linear")
        axes.set_xlabel("step")
    if axes is None:
        return nothing(EMPTY)
    legend(axes)
    return axes.figure
