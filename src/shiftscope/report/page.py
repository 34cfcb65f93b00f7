"""The report: one self-contained HTML page of the tables, the figures and what was run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.report.templating import FOLDER, environment, static
from shiftscope.report.view import Shown, shown
from shiftscope.tables import verdicts
from shiftscope.tables.base import entry
from shiftscope.tables.numbers import count
from shiftscope.tables.wide import DEAD_MEANING
from shiftscope.vocabulary import SYNTHETIC, WRITTEN
from shiftscope.workflow.paths import LATENTS, VECTORS_ABOUT, VECTORS_PAGE, parsed

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = [FOLDER / name for name in ("page.html", "head.html", "page.css", "page.js")]
"""Files the page is made of besides Python: a rule that writes the report declares them as its code."""
MARKS = {
    verdicts.REPRODUCED: "full",
    verdicts.HOLDS: "full",
    verdicts.WITHOUT_CONTROL: "half",
    verdicts.NOT_REPRODUCED: "empty",
    verdicts.DOES_NOT_HOLD: "empty",
    verdicts.NOT_TESTED: "none",
}
"""The mark of each status in the style sheet."""
FORMATS = {"csv": "CSV", "md": "Markdown", "parquet": "Parquet"}
USE = """\
import shiftscope

with shiftscope.steer(model, "{path}", "{name}", scale=1.0):
    model.generate(…)"""
NAMES_SHOWN = 4


class ReportSlice(Strict):
    """The slice of the config of the report, which shows it all."""

    config: dict[str, Any]
    latents: bool = False
    """whether the page of latents stands beside it"""
    vectors: bool = False
    """whether the page of steering vectors does"""


def render(
    tables: Sequence[Path],
    figures: Sequence[Path],
    vectors: Sequence[Path],
    config: dict[str, Any],
    facts: dict[str, Any],
    report: Path,
    latents: bool = False,
    samples: Sequence[Path] = (),
    vectors_page: bool = False,
) -> str:
    """The page as HTML text.

    Args:
        tables: Parquet files of all tables and of the figures' numbers, named after their entry of the catalogue.
        figures: SVG files of the figures.
        vectors: `…/{lm}/{dataset}/{variant}/steering_vectors.json`, what describes the safetensors file beside it.
        config: the resolved configuration.
        facts: what `shiftscope.report.run_facts.run_facts` found.
        report: where the page will stand; links are relative to it.
        latents: whether the page of latents (`shiftscope.report.latents`) will stand beside it.
        samples: JSON files of texts that language models wrote under steering.
        vectors_page: whether the page of steering vectors (`shiftscope.report.vectors`) will stand beside it.

    Raises:
        ShiftScopeError: a figure came without its numbers, or a table is not of the catalogue.
    """
    frames = {path.stem: read_parquet(path).to_pandas() for path in tables}
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in figures}
    lonely = sorted(set(drawn) - set(frames))
    if lonely:
        raise ShiftScopeError(f"figure {lonely[0]} came without its Parquet file: pass it among the tables too")
    sections = [
        shown(entry(path.stem), path.stem, frames[path.stem], _links(path, report), drawn.get(path.stem, ""))
        for path in sorted(tables, key=lambda path: _place(path.stem))
    ]
    exported, snippet = _vectors(vectors, report)
    warned = _warned(facts["warnings"], config)
    filled = environment()
    filled.filters["names"] = _marker_of_names(frames)
    return filled.get_template("page.html").render(
        sentences=top_sentences(frames),
        sections=sections,
        matrix=[matrix_of(section, frames) for section in sections],
        columns=columns_of(frames),
        marks=MARKS,
        recipes=verdicts.RECIPES,
        synthetic=SYNTHETIC,
        dead=DEAD_MEANING,
        paper_run="paper" in _distinct(frames, "recipe"),
        published=any(section.published for section in sections),
        any_dead=any(row.dead for section in sections for group in section.groups for row in group.rows),
        glossary=_glossary(sections),
        lms=_distinct(frames, "lm", without=SYNTHETIC),
        vectors=exported,
        written=[(found["lm"], found["samples"]) for found in map(read_json, samples) if found["samples"]],
        ways=WRITTEN,
        snippet=snippet,
        facts=facts,
        warned=warned,
        latents=Path(LATENTS).name if latents else "",
        vectors_page=Path(VECTORS_PAGE).name if vectors_page else "",
        config=json.dumps(config, indent=2, ensure_ascii=False),
        style=static("page.css"),
        script=static("page.js"),
    )


LEADING = ("table_a6", "table_a2", "figure_a2", "table_truthfulqa")
"""the entries of which the sentences on top speak first"""
MOST_SENTENCES = 3


def top_sentences(frames: dict[str, pd.DataFrame]) -> list[str]:
    """What was found, in three short sentences at most, from the tables' own findings: of what was run alone."""
    order = sorted(frames, key=lambda name: (LEADING.index(name) if name in LEADING else len(LEADING), _place(name)))
    found = [finding for name in order if (finding := entry(name).finding(frames[name]))]
    return found[:MOST_SENTENCES] or ["No sparse shift autoencoder was compared with its twin without sparsity."]


class ClaimRow(NamedTuple):
    """One recipe's line of a claim in the matrix."""

    recipe: str
    statuses: list[str]
    """By column; empty where the claim says nothing of it."""


def columns_of(frames: dict[str, pd.DataFrame]) -> list[str]:
    """The columns of the matrix of claims: language models, and synthetic data last."""
    found = _distinct(frames, "lm")
    return [*(lm for lm in found if lm != SYNTHETIC), *(lm for lm in found if lm == SYNTHETIC)]


def matrix_of(section: Shown, frames: dict[str, pd.DataFrame]) -> list[ClaimRow]:
    """The lines of one claim, for every recipe that was run at all; one that says that it was not tested if none was."""
    run = [recipe for recipe in verdicts.RECIPES if recipe in _distinct(frames, "recipe")]
    told = {(one.recipe, one.lm): one.status for one in section.verdicts}
    parts = entry(section.name).PARTS
    return [
        ClaimRow(
            recipe,
            [
                told.get((recipe, lm), verdicts.NOT_TESTED if _speaks_of(parts, lm) else "")
                for lm in columns_of(frames) or [""]
            ],
        )
        for recipe in run or ["ours"]
    ]


def _speaks_of(parts: str, lm: str) -> bool:
    """Whether a claim on these parts says anything of a language model, or of synthetic data."""
    if parts in ("synthetic", "crowded", "simulations"):
        return lm in (SYNTHETIC, "")
    return parts == "all" or (lm != SYNTHETIC and parts not in ("known", "posterior", "causal"))


def _place(name: str) -> tuple[bool, bool, str]:
    """The order of the page: first what is known to be true, and tables before figures."""
    return entry(name).PARTS != "synthetic", not name.startswith("table_"), name


def _distinct(frames: dict[str, pd.DataFrame], column: str, without: str = "") -> list[str]:
    return sorted({value for frame in frames.values() for value in frame[column].unique()} - {without})


def _marker_of_names(frames: dict[str, pd.DataFrame]) -> Any:
    """A filter for prose: typographic apostrophes, and names of variants, datasets and models in a typewriter face."""
    from markupsafe import Markup

    known = {name for column in ("variant", "dataset", "lm") for name in _distinct(frames, column, without=SYNTHETIC)}
    longest_first = sorted(known, key=lambda name: (-len(name), name))
    pattern = re.compile(rf"(?<![\w])({'|'.join(map(re.escape, longest_first)) or chr(0)})(?![\w])")

    def names(text: str) -> Markup:
        curled = escape(text.replace("'", "’"), quote=False)
        return Markup(pattern.sub(r"<code>\1</code>", curled))  # escaped just above

    return names


def _links(path: Path, report: Path) -> list[tuple[str, str]]:
    folder = os.path.relpath(path.parent, report.parent)
    return [(name, f"{folder}/{path.stem}.{ending}") for ending, name in FORMATS.items()]


def _glossary(sections: list[Shown]) -> list[tuple[str, str]]:
    """Every metric and control that a table shows, once, with its explanation."""
    terms: dict[str, str] = {}
    for section in sections:
        terms |= {name: text for name, text, _ in section.heads if text}
        terms |= {column.title: text for column, text in section.columns if column.is_control}
    return list(terms.items())


def _vectors(paths: Sequence[Path], report: Path) -> tuple[list[dict[str, Any]], str]:
    """What was exported, by language model and dataset, and the lines that apply the first vector of the first file."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    snippet = ""
    for sidecar in paths:
        lm, dataset, variant = _place_of(sidecar)
        metadata, path = read_json(sidecar), sidecar.with_suffix(".safetensors")
        here = found.setdefault((lm, dataset), {"lm": lm, "dataset": dataset, "files": [], **_described(metadata)})
        here["files"].append((variant, os.path.relpath(path, report.parent)))
        if not snippet and metadata["names"]:
            snippet = USE.format(path=path.parent, name=metadata["names"][0])
    return list(found.values()), snippet


def _warned(found: list[dict[str, Any]], config: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """What the jobs of each dataset of the config warned of, by dataset and language model: rule and message."""
    sections = ("pairs", "synthetic", "simulations", "activations")
    datasets = {""}.union(*(config.get(section, {}) for section in sections))
    places: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for job in (job for job in found if job["dataset"] in datasets):
        here = places.setdefault((job["dataset"], job["lm"]), [])
        here += [(job["rule"], message) for message in job["messages"]]
    return places


def _place_of(sidecar: Path) -> tuple[str, str, str]:
    """The language model, the dataset and the variant of what describes vectors."""
    found = parsed(VECTORS_ABOUT, sidecar)
    return found["lm"], found["dataset"], found["variant"]


def _described(metadata: dict[str, Any]) -> dict[str, str]:
    """Where vectors were read, their names with the pairs behind each, and why their variant is recommended."""
    names = [f"{name} ({count(metadata['pairs'][name], 'pair')})" for name in metadata["names"]]
    why = metadata.get("recommended", "")
    more = ", …" if len(names) > NAMES_SHOWN else ""
    return {
        "layer": metadata["layer"],
        "names": f"{count(len(names), 'vector')}: {', '.join(names[:NAMES_SHOWN])}{more}",
        "why": f"Recommended is {metadata['variant']}: it {why}" if why else "",
    }
