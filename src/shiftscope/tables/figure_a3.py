"""A-F3: steering out of distribution, with vectors learned on one dataset and tried on another.

Paper A, §3, Figure 3: the language vector of lang on the pairs of binary and corr, and so on, on Llama-3.1-8B. The
direction, its sign and scale are chosen on the single-concept pairs of the first dataset and scored on those of the
second, without pairs of which a text occurs in the first. Only datasets that are read in the same frame are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.steering import COSINE_HELDOUT
from shiftscope.tables import cosines
from shiftscope.tables.numbers import span, spoken
from shiftscope.tables.verdicts import leading_scores

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-F3 · Steering out of distribution: cosine to the target"
CLAIM = (
    "SSAE's vectors also steer pairs of other datasets, closer to the target than those of the affine autoencoder and "
    "PCA."
)
PARTS = "transfer"
METRICS = cosines.METRICS
PUBLISHED: dict = {}
CAPTION = (
    "Learned on the dataset left of the arrow, tried on the pairs of the one right of it. Cosine between steered and "
    "target embedding; points: mean over seeds; thin lines: ± one standard deviation over pairs; thick: 95 % interval."
)
SOURCE = "paper A, Figure 3, on Llama-3.1-8B; its numbers are not legible in the extracted text."

draw = cosines.draw


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table, its datasets named `first → second`."""
    moved = metrics[metrics["dataset"] != metrics["eval_dataset"]]
    names = moved["dataset"] + " → " + moved["eval_dataset"]
    return cosines.with_spread(moved.assign(dataset=names, eval_dataset=names), PUBLISHED)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where SSAE is below affine or PCA on no pair of datasets and above both on most, by the published score.

    Controls: the same by the held-out score, and there it must also beat random directions and not steering.
    """
    return cosines.verdict_on(table)


def finding(table: pd.DataFrame) -> str:
    """This figure in one clause for the top of the report, empty if no SSAE was run."""
    rows = leading_scores(table, COSINE_HELDOUT)
    if rows.empty:
        return ""
    return (
        f"on other datasets its vectors reach a cosine of {span(rows['mean'])} "
        f"({spoken(rows['no_steering'].mean())} unsteered on average)"
    )
