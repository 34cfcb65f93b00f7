"""Figures that read on a light and on a dark page, with the same bytes for the same numbers."""

from __future__ import annotations

import html
import io
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shiftscope.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shiftscope.tables.base import FigureEntry

FIRST = "#d55e00"
SECOND = "#0072b2"
CONTROL = "#808080"
"""Two colours that colour-blind readers tell apart (Okabe and Ito), and the grey of controls; each has a contrast of
at least 3 to white and to the dark page."""
COLOURS = (SECOND, FIRST, "#009e73", "#cc79a7", "#b58900", "#6a3d9a", "#a6761d", "#1b9e9e")
"""More of them, for figures with a curve per variant."""
TEXT = "#010203"
"""Stands for the page's own text colour and becomes `currentColor` in the file."""
STYLE = """<style>
.shiftscope-figure{color:#1d1d1b;font-family:inherit}
@media (prefers-color-scheme:dark){.shiftscope-figure{color:#e6e3dc}}
</style>"""
RC = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.linewidth": 0.6,
    "text.color": TEXT,
    "axes.edgecolor": CONTROL,
    "axes.labelcolor": TEXT,
    "xtick.color": CONTROL,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "ytick.left": False,
    "xtick.major.width": 0.6,
}
"""How matplotlib draws all figures: its own name for that is rc."""


def nothing(reason: str) -> Figure:
    """What stands in place of a figure without data: why there is none."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 0.6))
    figure.text(0, 0.5, reason, va="center")
    return figure


def grid(panels: int, lines: list[str], columns: int) -> tuple[Figure, list[Axes], Axes]:
    """An empty figure with a panel per dataset, one named line of text per variant in each, and a place for a legend.

    Returns:
        the figure, its `panels` axes in reading order, and the empty axes after them.
    """
    from matplotlib.figure import Figure

    columns = min(columns, panels)
    rows = math.ceil((panels + 1) / columns)
    needs_row = panels % columns == 0  # the legend has no free place beside the last panel
    height = 0.24 * len(lines) + 0.75
    heights = [height] * (rows - needs_row) + [1.1] * needs_row
    figure = Figure(figsize=(3.0 * columns + 1.5, sum(heights)), layout="constrained")
    figure.get_layout_engine().set(hspace=0.06, wspace=0.06)
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights}).ravel()
    for unused in axes[panels:]:
        unused.set_axis_off()
    for place, used in enumerate(axes[:panels]):
        used.set_yticks(range(len(lines)), lines if place % columns == 0 else [""] * len(lines))
        used.set_ylim(len(lines) - 0.4, -0.6)
        for line in range(len(lines)):
            used.axhline(line + 0.5, color=CONTROL, linewidth=0.4, alpha=0.35, zorder=0)
    return figure, list(axes[:panels]), axes[panels]


def scale_of_scores(axes: Axes, rows: pd.DataFrame, top: float) -> bool:
    """Scores from 0 to 1 upwards on a panel, or words in its place; whether there are rows to draw."""
    axes.set_ylim(-0.03, top)
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.grid(axis="y", color=CONTROL, linewidth=0.4, alpha=0.35)
    if rows.empty:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not measured", ha="center", va="center", color=TEXT, transform=axes.transAxes)
    return not rows.empty


def points(axes: Axes, rows: pd.DataFrame, lines: list[str], colour: str, offset: float, hollow: bool = False) -> None:
    """One point per line of the panel: the mean, a thin bar of ± sd over pairs, a thick one of the 95 % interval."""
    for row in rows[rows["mean"].notna()].to_dict("records"):
        place = lines.index(row["variant"]) + offset
        spread = row["sd_pairs"]
        if not math.isnan(spread):
            axes.plot([row["mean"] - spread, row["mean"] + spread], [place] * 2, color=colour, linewidth=0.7, alpha=0.6)
        if not math.isnan(row["low"]):
            axes.plot([row["low"], row["high"]], [place] * 2, color=colour, linewidth=2.6)
        axes.plot(row["mean"], place, "o", mfc="none" if hollow else colour, mec=colour, markersize=4.5, zorder=3)


def legend(axes: Axes, entries: list[tuple[str, str, str, str]]) -> None:
    """A legend in place of a panel, from `(marker, fill, edge, text)`."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="none", marker=marker, markerfacecolor=fill, markeredgecolor=edge, label=text)
        for marker, fill, edge, text in entries
    ]
    axes.legend(handles=handles, loc="center left", frameon=False, borderpad=0, handletextpad=0.4)


def svg_text(figure: Figure, name: str, title: str) -> str:
    """The figure as SVG: fixed ids, no date, text as text, and text colours that follow the page.

    `name` makes the ids differ from those of other figures on one page; `title` is what a screen reader says.
    """
    import matplotlib

    written = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = text[text.index("<svg ") :].replace(TEXT, "currentColor")
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace("*{stroke", ".shiftscope-figure *{stroke")  # inline, a bare * would style the whole page
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = text.replace("<svg ", f'<svg class="shiftscope-figure" role="img" aria-label="{html.escape(title)}" ', 1)
    head = text.index(">") + 1
    return text[:head] + "\n" + STYLE + text[head:]


def write_figure(entry: FigureEntry, table: pd.DataFrame, path: Path) -> None:
    """Draw a figure of the catalogue and write it as SVG."""
    import matplotlib

    with matplotlib.rc_context(RC):
        text = svg_text(entry.draw(table), path.stem, entry.TITLE)
    write_text(path, text)
