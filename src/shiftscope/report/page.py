"""The report: one self-contained HTML page of the tables, the figures and what was run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.report.view import Shown, shown
from shiftscope.tables import verdicts
from shiftscope.tables.base import entry
from shiftscope.tables.numbers import count
from shiftscope.vocabulary import SYNTHETIC
from shiftscope.workflow.paths import VECTORS_ABOUT, parsed

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "templates"
TEMPLATES = [FOLDER / name for name in ("page.html", "page.css", "page.js")]
"""Files the page is made of besides Python: a rule that writes the report declares them as its code."""
STATUSES = [
    verdicts.REPRODUCED,
    verdicts.OUR_RECIPE,
    verdicts.WITHOUT_CONTROL,
    verdicts.NOT_REPRODUCED,
    verdicts.NOT_TESTED,
]
"""In the order of their marks in the style sheet, from a full circle to an empty one."""
FORMATS = {"csv": "CSV", "md": "Markdown", "parquet": "Parquet"}
THREE_LINES = """\
vectors = safetensors.torch.load_file("{path}")
steer = lambda module, inputs, output: output + vectors["{name}"].to(output)
model.get_decoder().{site}.register_forward_hook(steer)"""
NAMES_SHOWN = 4


class ReportSlice(Strict):
    """The slice of the config of the report, which shows it all."""

    config: dict[str, Any]


def render(
    tables: Sequence[Path],
    figures: Sequence[Path],
    vectors: Sequence[Path],
    config: dict[str, Any],
    facts: dict[str, Any],
    report: Path,
) -> str:
    """The page as HTML text.

    Args:
        tables: Parquet files of all tables and of the figures' numbers, named after their entry of the catalogue.
        figures: SVG files of the figures.
        vectors: `…/{lm}/{dataset}/{variant}/steering_vectors.json`, what describes the safetensors file beside it.
        config: the resolved configuration.
        facts: what `shiftscope.report.run_facts.run_facts` found.
        report: where the page will stand; links are relative to it.

    Raises:
        ShiftScopeError: a figure came without its numbers, or a table is not of the catalogue.
    """
    import jinja2

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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["names"] = _marker_of_names(frames)
    page = environment.get_template("page.html")
    return page.render(
        sentences=two_sentences(frames),
        sections=sections,
        statuses=STATUSES,
        glossary=_glossary(sections),
        lms=_distinct(frames, "lm", without=SYNTHETIC),
        vectors=exported,
        snippet=snippet,
        facts=facts,
        warned=warned,
        config=json.dumps(config, indent=2, ensure_ascii=False),
        style=_static("page.css"),
        script=_static("page.js"),
    )


LEADING = ("table_a6", "table_a2", "table_g1", "figure_a2")
"""the entries that the two sentences on top speak of, if they are there; else all are"""


def two_sentences(frames: dict[str, pd.DataFrame]) -> tuple[str, str]:
    """What was found, in one sentence on synthetic data and one on language models, from the tables' own findings."""
    found: dict[str, dict[str, str]] = {"synthetic": {}, "language": {}}
    for name in sorted(frames, key=_place):
        module = entry(name)
        clause = module.finding(frames[name])
        if clause:
            found["synthetic" if module.PARTS == "synthetic" else "language"][name] = clause
    synthetic, language = (
        ", and ".join([clauses[name] for name in clauses if name in LEADING] or clauses.values())
        for clauses in found.values()
    )
    lms = " and ".join(_distinct(frames, "lm", without=SYNTHETIC))
    return (
        f"On synthetic data, where the truth is known, {synthetic}."
        if synthetic
        else "No synthetic data, where the truth is known, were run.",
        f"On {lms or 'language models'}, {language or 'no SSAE was compared with its twin without sparsity'}.",
    )


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
            snippet = THREE_LINES.format(path=path, name=metadata["names"][0], site=_site(metadata["layer"]))
    return list(found.values()), snippet


def _warned(found: list[dict[str, Any]], config: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """What the jobs of each dataset of the config warned of, by dataset and language model: rule and message."""
    datasets = {"", *config.get("pairs", {}), *config.get("synthetic", {})}
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
    names = metadata["names"]
    more = ", …" if len(names) > NAMES_SHOWN else ""
    return {
        "layer": metadata["layer"],
        "names": f"{count(len(names), 'vector')}: {', '.join(names[:NAMES_SHOWN])}{more}",
    }


def _site(layer: str) -> str:
    """The module of a Llama-like decoder after which a layer is read."""
    return "norm" if layer == "final_norm" else f"layers[{layer.partition('.')[2]}]"


def _static(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").strip()
