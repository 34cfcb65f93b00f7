"""What a table says of its claim: one of five plain statuses, decided by rules that stand here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.metrics.base import Metric

Found = TypeVar("Found")
"""what a table found of one variant: its rows, as a rule"""

REPRODUCED = "reproduced"
OUR_RECIPE = "reproduced by our recipe only"
WITHOUT_CONTROL = "only without its control"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested"

TOLERANCE = 0.02
"""Two means closer than this are called equal."""
IDENTIFIED = 0.95
"""A mean MCC from which on this project calls concepts recovered (the source says "near 1")."""


def status(holds: Mapping[str, bool], matched: Mapping[str, bool]) -> str:
    """Status of a claim.

    Args:
        holds: by SSAE variant, the default first: whether the claim holds for it on every dataset; empty if it could
            not be tested.
        matched: by SSAE variant, whether a control does as well as it; asked of the first for which the claim holds.
    """
    if not holds:
        return NOT_TESTED
    leading = next((variant for variant, does in holds.items() if does), None)
    if leading is None:
        return NOT_REPRODUCED
    if matched[leading]:
        return WITHOUT_CONTROL
    if not holds.get("ssae_paper", True):
        return OUR_RECIPE
    return REPRODUCED


def judged(
    measured: Mapping[str, Found],
    holds: Callable[[Found], bool],
    matched: Callable[[Found], bool],
    sentence: Callable[[str, Found], str],
    untested: str = "No SSAE and its affine twin were run.",
) -> tuple[str, str]:
    """Status of a claim, and a sentence on each variant.

    Args:
        measured: by SSAE variant, the default first: what was found of it; empty if the claim could not be tested.
        holds: whether the claim holds, given what was found of a variant.
        matched: whether a control does as well.
        sentence: of a variant's name and what was found of it.
        untested: what is said if nothing was measured.
    """
    of_claim = {variant: holds(found) for variant, found in measured.items()}
    of_control = {variant: matched(found) for variant, found in measured.items()}
    sentences = [sentence(variant, found) for variant, found in measured.items()]
    return status(of_claim, of_control), " ".join(sentences) or untested


def of_metric(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The rows of one metric, in the order of the table."""
    return table[table["metric"] == metric.name]


def scores(table: pd.DataFrame, metric: Metric, variant: str) -> pd.DataFrame:
    """The measured rows of one metric of one variant, in the order of the table."""
    rows = of_metric(table, metric)
    return rows[(rows["variant"] == variant) & rows["mean"].notna()]


def sparse_variants(table: pd.DataFrame, metric: Metric) -> list[str]:
    """The SSAE variants that the table measured together with their rival, the default first."""
    found = of_metric(table, metric)
    return list(dict.fromkeys(found.loc[found["rival"].notna(), "variant"]))


def sparse_scores(table: pd.DataFrame, metric: Metric) -> dict[str, pd.DataFrame]:
    """By SSAE variant that was measured together with its rival, the default first: its `scores`."""
    return {variant: scores(table, metric, variant) for variant in sparse_variants(table, metric)}


def leading_scores(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The `scores` of the first of `sparse_variants`, of which a finding speaks; no row if there is none."""
    return next(iter(sparse_scores(table, metric).values()), table.head(0))


def never_below(rows: pd.DataFrame) -> bool:
    """The variant falls below its rival by more than the tolerance on no dataset."""
    return bool((rows["difference"] > -TOLERANCE).all())


def above(rows: pd.DataFrame) -> pd.Series:
    """Per row: the variant is above its rival on the same seeds, by an interval without 0 where there is one."""
    return rows["difference_low"].fillna(rows["difference"]) > 0


def matched_by(rows: pd.DataFrame, control: str) -> pd.Series:
    """Per row: the control scores as high as the variant; False where the control was not measured."""
    return rows[control] >= rows["mean"] - TOLERANCE


def chance_matches(rows: pd.DataFrame) -> bool:
    """Permuted labels or random directions score as high as the variant on any dataset."""
    return bool((matched_by(rows, "permuted_labels") | matched_by(rows, "random_dictionary")).any())
