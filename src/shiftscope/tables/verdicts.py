"""What a table says of its claim: one of five plain statuses, decided by rules that stand here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

REPRODUCED = "reproduced"
OUR_RECIPE = "reproduced by our recipe only"
WITHOUT_CONTROL = "only without its control"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested"

TOLERANCE = 0.02
"""Two means closer than this are called equal."""


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


def scores(table: pd.DataFrame, metric: str, variant: str) -> pd.DataFrame:
    """The measured rows of one metric of one variant, in the order of the table."""
    return table[(table["metric"] == metric) & (table["variant"] == variant) & table["mean"].notna()]


def sparse_variants(table: pd.DataFrame, metric: str) -> list[str]:
    """The SSAE variants that the table measured together with their rival, the default first."""
    found = table[(table["metric"] == metric) & table["rival"].notna()]
    return list(dict.fromkeys(found["variant"]))


def never_below(rows: pd.DataFrame) -> bool:
    """The variant falls below its rival by more than the tolerance on no dataset."""
    return bool((rows["difference"] > -TOLERANCE).all())


def above(rows: pd.DataFrame) -> pd.Series:
    """Per row: the variant is above its rival on the same seeds, by an interval without 0 where there is one."""
    return rows["difference_low"].fillna(rows["difference"]) > 0


def matched_by(rows: pd.DataFrame, control: str) -> pd.Series:
    """Per row: the control scores as high as the variant; False where the control was not measured."""
    return rows[control] >= rows["mean"] - TOLERANCE
