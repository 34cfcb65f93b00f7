"""A-F9: MCC as the code grows past the number of varying concepts.

Paper A, Figure 9: on cat(135,3), code sizes 135 to 500 where |V| is not known; SSAE's MCC across seeds falls from .906
to .755, the affine autoencoder's from .66 to .32. Shown for every dataset with several code sizes. More codes make a
match easier by chance: beside each score stand as many random directions, and the MCC with the truth, which cannot
gain from agreement on what is wrong.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import assemble, system_of
from shiftscope.tables.verdicts import TOLERANCE, Found, Verdict, above, judged, of_metric, scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "A-F9 · Code sizes past the number of concepts"
CLAIM = "With more codes than concepts SSAE's MCC falls, but less than that of the affine autoencoder."
SAID_BY = "paper A, App. B.3, Figure 9"
PARTS = "language"
METRICS = (MCC_SEEDS_DECODER, MCC_TRUTH)
_SIZES = {135: {"ssae": 0.906, "affine": 0.66}, 500: {"ssae": 0.755, "affine": 0.32}}
PUBLISHED = {MCC_SEEDS_DECODER.name: {"cat_135_3": _SIZES[135]}}
SOURCE = "paper A, Figure 9, on Llama-3.1-8B: cat(135,3) at 135 and 500 codes, read off the authors' figure."
CAPTION = (
    "Mean over seeds and its 95 % interval, against the number of codes. Filled: variants; crosses: the paper's "
    "numbers at 135 and 500 codes; dotted: the ceiling of MCC with the truth; grey diamonds: as many random directions."
)

EMPTY = "No variant was trained with two code sizes."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of variants that were trained at two code sizes or more on a dataset."""
    table = assemble(metrics, METRICS, {})
    sizes = table.groupby(["lm", "layer", "dataset", "variant"])["codes"].transform("nunique")
    table = table[sizes > 1].reset_index(drop=True)
    agreement = (table["dataset"] == "cat_135_3") & (table["metric"] == MCC_SEEDS_DECODER.name)
    systems = table["kind"].combine(table["variant"], lambda kind, variant: system_of(variant, kind))
    for size, numbers in _SIZES.items():
        here = agreement & (table["codes"] == size)
        for system, value in numbers.items():
            table.loc[here & (systems == system), "published"] = value
    return table


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where SSAE is above no sparsity at every size, and falls by less from the smallest to the largest.

    Control: the same of the MCC with the truth.
    """
    return judged(table, MCC_SEEDS_DECODER, _found, SAID_BY)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    rows = _at_several_sizes(rows)
    truth = _at_several_sizes(scores(here, MCC_TRUTH, rows["variant"].iloc[0])) if len(rows) else rows
    if rows.empty:
        return None
    texts = [_sentence(rows, "across seeds"), *([_sentence(truth, "to the truth")] if len(truth) else [])]
    control = not _falls_less(truth) if len(truth) else None
    return Found(_falls_less(rows), {"MCC with the truth": control}, "; ".join(texts))


def _at_several_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["rival"].notna()]
    return rows[rows.groupby("dataset")["codes"].transform("nunique") > 1]


def _falls_less(rows: pd.DataFrame) -> bool:
    ends = _ends(rows)
    return bool(above(rows).all() and (ends["fall"] < ends["rival_fall"] + TOLERANCE).all())


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Per dataset: scores at the smallest and the largest code size, and how far the variant and its rival fall."""
    import pandas as pd

    found = []
    for dataset, group in rows.groupby("dataset", sort=False):
        ordered = group.sort_values("codes")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        rivals = [row["mean"] - row["difference"] for row in (first, last)]
        found.append({"dataset": dataset, "from": first["codes"], "to": last["codes"], "first": first["mean"],
                      "last": last["mean"], "fall": first["mean"] - last["mean"], "rival": first["rival"],
                      "rival_first": rivals[0], "rival_last": rivals[1], "rival_fall": rivals[0] - rivals[1]})  # fmt: skip
    return pd.DataFrame(found)


def _sentence(rows: pd.DataFrame, against: str) -> str:
    return "; ".join(
        f"{end['dataset']}, {end['from']} to {end['to']} codes: MCC {against} {spoken(end['first'])} to "
        f"{spoken(end['last'])} ({end['rival']} {spoken(end['rival_first'])} to {spoken(end['rival_last'])})"
        for end in _ends(rows).to_dict("records")
    )


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: tables A-T2 and A-F2 speak of these models at their main size."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per dataset, one panel per metric, a line per variant over code sizes."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import nothing

    lines = list(table.groupby(["lm", "layer", "dataset"], sort=False))
    if not lines:
        return nothing(EMPTY)
    figure = Figure(figsize=(8.4, 2.9 * len(lines)), layout="constrained")
    figure.get_layout_engine().set(hspace=0.08, wspace=0.06)
    for all_axes, ((lm, _, dataset), rows) in zip(figure.subplots(len(lines), 2, squeeze=False), lines, strict=True):
        name = f"{dataset}, {lm}" if table["lm"].nunique() > 1 else dataset
        for axes, metric in zip(all_axes, METRICS, strict=True):
            _panel(axes, of_metric(rows, metric), f"{name}: {metric.label}")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    from shiftscope.tables.drawing import COLOURS, CONTROL

    axes.set_title(title)
    sizes = sorted(rows["codes"].unique())
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("codes")
    axes.set_ylim(-0.02, 1.05)
    axes.grid(axis="y", color=CONTROL, linewidth=0.4, alpha=0.35)
    for variant, colour in zip(dict.fromkeys(rows["variant"]), cycle(COLOURS), strict=False):
        line = rows[rows["variant"] == variant].sort_values("codes")
        axes.plot(line["codes"], line["mean"], "o-", color=colour, markersize=4.5, linewidth=1.2)
        axes.vlines(line["codes"], line["low"], line["high"], color=colour, linewidth=2.6)
        axes.plot(line["codes"], line["published"], "x", color=colour, markersize=6, markeredgewidth=1.5)
        last = line.iloc[-1]
        axes.annotate(variant, (last["codes"], last["mean"]), xytext=(6, 0), textcoords="offset points", va="center",
                      color=colour, annotation_clip=False)  # fmt: skip
    beside = rows.drop_duplicates("codes").sort_values("codes")
    axes.plot(beside["codes"], beside["random_dictionary"], "D", mfc="none", mec=CONTROL, markersize=4)
    axes.plot(beside["codes"], beside["ceiling"], ":", color=CONTROL, linewidth=1.2)
    axes.margins(x=0.16)
    if rows.empty:
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center")
