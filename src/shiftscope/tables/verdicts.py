"""What a table says of its claim: one rule for all, by recipe and language model.

A claim is judged of a recipe of the sparse shift autoencoder on a language model (or on synthetic data), by what an entry
`Found`: whether the recipe's score is what the claim says beside its rival, and whether a control does as well.
"Reproduced" and "not reproduced" are for what a source claims, of the source's recipe; of ours, and of claims that are
ours, it is said that they hold or do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.tables.numbers import count, number, series
from shiftscope.vocabulary import CONTROLS, RECOMMENDED, SYNTHETIC

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.metrics.base import Metric

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
HOLDS = "holds"
DOES_NOT_HOLD = "does not hold"
WITHOUT_CONTROL = "only without its control"
NOT_TESTED = "not tested"

RECIPES = {"paper": "the paper's recipe", "ours": "our recipe"}
"""values of a variant's `recipe`, in the order of verdicts, and what they are called"""
THIS_PROJECT = "this project"
"""the `SAID_BY` of claims that no source makes"""

TOLERANCE = 0.02
"""Two means closer than this are called equal."""
IDENTIFIED = 0.95
"""A mean MCC from which on this project calls concepts recovered; no source names a number."""
DEAD = 0.9
"""A model whose error is this share of doing nothing's (1) or more reconstructs nothing, and can reproduce nothing."""


class Verdict(NamedTuple):
    """On one claim, of one recipe on one language model."""

    recipe: str
    """a key of `RECIPES`"""
    lm: str
    status: str
    sentence: str


class Found(NamedTuple):
    """What decides on a claim."""

    holds: bool
    """the score is what the claim says, beside the rival where it names one"""
    controls: Mapping[str, bool | None]
    """by a control's name: whether it does as well; None if it was not measured; empty if none can stand for the claim"""
    text: str
    """the numbers, in words"""


def status(found: Found | None, dead: bool, of_source: bool) -> str:
    """The status of a claim of one recipe on one language model.

    Args:
        found: None if the recipe, or what the claim compares it with, was not run.
        dead: whether one of the models reconstructs nothing.
        of_source: whether a source makes the claim, of this recipe.
    """
    if found is None:
        return NOT_TESTED
    if dead or not found.holds:
        return NOT_REPRODUCED if of_source else DOES_NOT_HOLD
    if any(does_as_well is not False for does_as_well in found.controls.values()):
        return WITHOUT_CONTROL  # one that was not run excludes nothing either
    return REPRODUCED if of_source else HOLDS


def judged(
    table: pd.DataFrame,
    metric: Metric | None,
    decide: Callable[[pd.DataFrame, pd.DataFrame], Found | None],
    said_by: str,
    needs_rival: bool = True,
    not_run: str = "",
) -> list[Verdict]:
    """The verdicts of a table on its claim, for every language model in it and every recipe.

    Args:
        table: a tidy table (see `shiftscope.tables.tidy`).
        metric: whose rows decide; None for all rows of a recipe, whichever variant's.
        decide: of these rows, and of all rows of the language model, what was found; None if it cannot be told.
        said_by: who makes the claim, `THIS_PROJECT` or a source.
        needs_rival: rows without a rival are not judged.
        not_run: how the source's procedure differs from the one that is run here; its recipe is then not tested.
    """
    verdicts = []
    for recipe, lm, own, here in _places(table):
        of_source = said_by != THIS_PROJECT and recipe == "paper"
        if of_source and not_run:
            verdicts.append(Verdict(recipe, lm, NOT_TESTED, not_run))
            continue
        rows = own if metric is None else _leading(own, metric)
        alone = rows[rows["rival"].isna()] if needs_rival else rows.head(0)
        rows = rows.drop(alone.index)
        found = decide(rows, here) if len(rows) else None
        dead = _dead_on(rows)
        said = [_numbers(rows, found) if found else _untold(own, recipe), *_beside(found, dead, alone)]
        verdicts.append(Verdict(recipe, lm, status(found, bool(dead), of_source), " ".join(filter(None, said))))
    return verdicts


def _places(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """Recipe, language model, and the rows of both and of the latter, without what is recommended, which repeats others."""
    for lm in dict.fromkeys(table["lm"]):
        here = table[(table["lm"] == lm) & (table["variant"] != RECOMMENDED)]
        for recipe in RECIPES:
            yield recipe, lm, here[here["recipe"] == recipe], here


def _leading(own: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The measured rows of the first variant of a recipe that has any."""
    rows = of_metric(own, metric)
    rows = rows[rows["mean"].notna()]
    return rows[rows["variant"] == rows["variant"].iloc[0]] if len(rows) else rows


def _dead_on(rows: pd.DataFrame) -> list[str]:
    chosen = rows[rows["chosen"]] if "chosen" in rows else rows
    return list(dict.fromkeys(chosen.loc[chosen["error"] >= DEAD, "dataset"]))


def _numbers(rows: pd.DataFrame, found: Found) -> str:
    name = rows["grid" if "grid" in rows else "variant"].unique()
    return f"{series(name)}: {found.text}."


def _untold(own: pd.DataFrame, recipe: str) -> str:
    if len(own):
        return f"{series(own['variant'].unique())} was run, but not all that the claim compares it with."
    return f"Nothing of {RECIPES[recipe]} was run for this."


def _beside(found: Found | None, dead: list[str], alone: pd.DataFrame) -> Iterator[str]:
    """What else decided: dead models, controls that were not run, rows that could not be judged."""
    if dead:
        yield f"Dead on {series(dead)}: the error is {number(DEAD, 1)} of doing nothing's or more."
    yield from missing_controls(found)
    if found and len(alone):
        yield f"Not judged, without a rival: {series(alone['dataset'].unique())}."


def missing_controls(found: Found | None) -> list[str]:
    """A sentence that names the controls that were not measured; none if all were."""
    missing = [
        CONTROLS.get(name, (name,))[0] for name, does in (found.controls if found else {}).items() if does is None
    ]
    return [f"Control not run: {series(missing)}."] if missing else []


def concluded(recipe: str, lm: str, found: Found, about: str = "") -> Verdict:
    """The verdict on a claim where no dead model enters; the paper's recipe is that of a source's claim.

    `about` stands before the numbers.
    """
    said = [f"{about}{found.text}.", *missing_controls(found)]
    return Verdict(recipe, lm, status(found, False, recipe == "paper"), " ".join(said))


def told(verdicts: list[Verdict], does: str, does_not: str) -> str:
    """One short sentence on all verdicts of a claim, ours first; empty if none was tested."""
    clauses = []
    for recipe in reversed(RECIPES):
        found = {one.lm: one.status for one in verdicts if one.recipe == recipe and one.status != NOT_TESTED}
        if found:
            subject = RECIPES[recipe] if not clauses else RECIPES[recipe].removesuffix(" recipe")
            clauses.append(f"{subject} {_clause(found, does, does_not if not clauses else 'does not')}")
    text = "; ".join(clauses)
    return text and f"{text[0].upper()}{text[1:]}."


def _clause(found: Mapping[str, str], does: str, does_not: str) -> str:
    good, part, bad = (
        [lm for lm, status in found.items() if status in some]
        for some in ((REPRODUCED, HOLDS), (WITHOUT_CONTROL,), (NOT_REPRODUCED, DOES_NOT_HOLD))
    )
    said = [f"{does}{_on(good)}"] if good else []
    if part:
        said.append(f"{'' if said else does}{_on(part)} {WITHOUT_CONTROL}".strip())
    if bad:
        said.append(f"not{_on(bad)}" if said else f"{does_not}{_on(bad)}")
    return ", ".join(said)


def _on(lms: list[str]) -> str:
    return "" if lms == [SYNTHETIC] else f" on {series(lms)}"


def of_metric(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The rows of one metric, in the order of the table."""
    return table[table["metric"] == metric.name]


def scores(table: pd.DataFrame, metric: Metric, variant: str) -> pd.DataFrame:
    """The measured rows of one metric of one variant, in the order of the table."""
    rows = of_metric(table, metric)
    return rows[(rows["variant"] == variant) & rows["mean"].notna()]


def is_dead(row: Mapping) -> bool:
    """Whether a row of a tidy table is of a sparse shift autoencoder that reconstructs nothing."""
    return row["recipe"] != "" and row["error"] is not None and row["error"] >= DEAD


def never_below(rows: pd.DataFrame) -> bool:
    """The variant falls below its rival by more than the tolerance on no dataset."""
    return bool((rows["difference"] > -TOLERANCE).all())


def above(rows: pd.DataFrame) -> pd.Series:
    """Per row: the variant is above its rival on the same seeds, by an interval without 0 where there is one."""
    return rows["difference_low"].fillna(rows["difference"]) > 0


def matched_by(rows: pd.DataFrame, control: str) -> pd.Series:
    """Per row: the control scores as high as the variant; False where it was not measured."""
    return rows[control] >= rows["mean"] - TOLERANCE


def anywhere(rows: pd.DataFrame, control: str) -> bool | None:
    """Whether a control does as well on any row; None if that cannot be told, for it was not measured on all."""
    if matched_by(rows, control).any():
        return True
    return None if rows[control].isna().any() else False


def mostly(rows: pd.DataFrame, control: str) -> bool | None:
    """Whether a control does as well on half of the rows or more; None if that cannot be told."""
    matched = matched_by(rows, control)
    if matched.mean() >= 0.5:
        return True
    return None if (matched | rows[control].isna()).mean() >= 0.5 else False


def datasets(rows: pd.DataFrame) -> str:
    """`3 datasets`."""
    return count(rows["dataset"].nunique(), "dataset")
