"""A-F2: steering in distribution, cosine between steered and target embeddings of held-out single-concept pairs.

Paper A, §3, Figure 2: mean ± sd of cosine(z̃, steered z) by dataset for SSAE, a pretrained SAE, the affine
autoencoder, PCA and the mean difference, on Llama-3.1-8B. The authors' code chooses the best column anew for every
pair (`cosine_published`), which rewards having many columns; `cosine_heldout` chooses on one half of the pairs and
scores on the other. Beside both stand not steering at all and a dictionary of random directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.steering import COSINE_PUBLISHED
from shiftscope.tables import cosines
from shiftscope.tables.tidy import ordered, published_number
from shiftscope.tables.verdicts import Verdict, of_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "A-F2 · Steering in distribution: cosine to the target"
CLAIM = "SSAE's vectors bring an embedding closer to its counterpart than those of the affine autoencoder and of PCA."
SAID_BY = "paper A, Sec. 3, Figure 2"
PARTS = "language"
METRICS = cosines.METRICS
_SYSTEMS = ("ssae", "pretrained_sae", "affine", "pca", "mean_difference")
_READ_OFF = {
    "lang_1_1": (0.46, 0.49, 0.43, 0.29, 0.42),
    "gender_1_1": (0.65, 0.59, 0.61, 0.37, 0.49),
    "binary_2_2": (0.77, 0.58, 0.58, 0.16, None),
    "corr_2_1": (0.69, 0.49, 0.44, 0.28, None),
    "cat_135_3": (0.76, 0.47, 0.61, 0.32, None),
    "truthfulqa_1_1": (0.73, 0.66, 0.60, 0.03, 0.18),
}
PUBLISHED = {
    COSINE_PUBLISHED.name: {
        dataset: dict(zip(_SYSTEMS, values, strict=True)) for dataset, values in _READ_OFF.items()
    }
}  # fmt: skip
CAPTION = (
    "Cosine between steered and target embedding on held-out pairs in which one concept changes. Points: mean over "
    "seeds and concepts; thin lines: ± one standard deviation over pairs; thick: 95 % interval of the mean."
)
SOURCE = (
    "paper A, Figure 2, on Llama-3.1-8B; read off the authors' figure, so to about ±.01. " + cosines.OTHER_PROCEDURE
)
EMPTY = "No held-out pair is known to differ in one concept alone, which steering is scored on."


def draw(table: pd.DataFrame) -> Figure:
    """See `shiftscope.tables.cosines.draw`."""
    return cosines.draw(table, EMPTY)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table, with `sd_pairs` (see `shiftscope.tables.cosines.with_spread`).

    The source's pretrained SAE, which is not run here, has rows of its own, with no score and beside the smallest
    code size of a dataset.
    """
    import pandas as pd

    table = cosines.with_spread(metrics, PUBLISHED)
    foreign = _not_run_here(table)
    if foreign:
        columns = table.columns
        table = pd.concat([table, pd.DataFrame(foreign).reindex(columns=columns).astype(table.dtypes)])
    return ordered(table, METRICS, PUBLISHED)


def _not_run_here(table: pd.DataFrame) -> list[dict]:
    run = of_metric(table, COSINE_PUBLISHED).sort_values("codes").drop_duplicates(["lm", "layer", "dataset"])
    rows, foreign = [], {"variant": "pretrained_sae", "kind": "", "recipe": "", "labelled": False, "n": 0}
    for key in run[["lm", "layer", "dataset", "codes", "metric"]].to_dict("records"):
        number = published_number(PUBLISHED, key["metric"], key["dataset"], "pretrained_sae")
        if number is not None and "pretrained_sae" not in set(table["variant"]):
            rows.append(key | foreign | {"published": number})
    return rows


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where SSAE is below no sparsity and PCA on no dataset and above both on most, by the best column for each pair.

    Controls: the same by the held-out score; there also random directions and not steering, if one scores as high on half
    of the datasets.
    """
    return cosines.verdicts_on(table, SAID_BY)


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if no SSAE was run."""
    return cosines.finding_of(verdict(table), "held-out pairs")
