"""A-F3: steering out of distribution, with vectors learned on one dataset and tried on another.

Paper A, §3, Figure 3: the language vector of lang on the pairs of binary and corr, and so on, on Llama-3.1-8B. The
direction, its sign and scale are chosen on the single-concept pairs of the first dataset and scored on those of the
second, without pairs of which a text occurs in the first. Only datasets that are read in the same frame are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.steering import COSINE_PUBLISHED
from shiftscope.tables import cosines
from shiftscope.tables.tidy import with_errors
from shiftscope.tables.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "A-F3 · Steering out of distribution: cosine to the target"
CLAIM = (
    "SSAE's vectors also steer pairs of other datasets, closer to the target than those of the affine autoencoder and "
    "PCA."
)
SAID_BY = "paper A, Sec. 3, Figure 3"
PARTS = "transfer"
METRICS = cosines.METRICS
PUBLISHED = {
    COSINE_PUBLISHED.name: {
        "binary_2_2 → gender_1_1": {"ssae": 0.745, "affine": 0.530, "mean_difference": 0.491},
        "corr_2_1 → lang_1_1": {"ssae": 0.713, "affine": 0.483, "mean_difference": 0.418},
    }
}
CAPTION = (
    "Learned on the dataset left of the arrow, tried on the pairs of the one right of it. Cosine between steered and "
    "target embedding; points: mean over seeds; thin lines: ± one standard deviation over pairs; thick: 95 % interval."
)
SOURCE = (
    "paper A, Figure 3, on Llama-3.1-8B; from the authors' plotting script, where only two pairs of datasets are legible. "
    + cosines.OTHER_PROCEDURE
)
EMPTY = "No two datasets of one language model share a concept and a template."


def draw(table: pd.DataFrame) -> Figure:
    """See `shiftscope.tables.cosines.draw`."""
    return cosines.draw(table, EMPTY)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table, its datasets named `first → second`."""
    moved = metrics[metrics["dataset"] != metrics["eval_dataset"]]
    names = moved["dataset"] + " → " + moved["eval_dataset"]
    table = cosines.with_spread(moved.assign(dataset=names, eval_dataset=names), PUBLISHED)
    return with_errors(table, metrics, [name.partition(" → ")[0] for name in table["dataset"]])


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where SSAE is below no sparsity and PCA on no pair of datasets and above both on most, by the best column.

    Controls: the same by the held-out score; there also random directions and not steering, if one scores as high on half
    of the pairs of datasets.
    """
    return cosines.verdicts_on(table, SAID_BY)


def finding(table: pd.DataFrame) -> str:
    """This figure in one sentence for the top of the report, empty if no SSAE was run."""
    return cosines.finding_of(verdict(table), "pairs of other datasets")
