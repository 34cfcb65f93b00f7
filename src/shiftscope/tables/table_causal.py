"""Steering as a causal test: what vectors do to the next token's law and to what is written, against the counterfactual text.

Neither paper steers a model whose counterfactual law is known. For every method direction, sign, scale and dose are chosen on one
half of a concept's single-concept pairs and scored on the other; of a sparse autoencoder of activations the direction is that of the
latent whose code tells the two sides of the first half apart best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.causal import (
    KL_REMOVED,
    PROBE_MOVED,
    STEERED_BROKEN,
    STEERED_FLUENCY,
    STEERED_SUCCESS,
)
from shiftscope.tables.numbers import span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import THIS_PROJECT, Found, Verdict, anywhere, datasets, judged

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Causal · What vectors do to the next token"
CLAIM = "Adding SSAE's vector leads the law of the next token most of the way to that of the counterfactual text."
SAID_BY = THIS_PROJECT
PARTS = "causal"
METRICS = (KL_REMOVED, PROBE_MOVED, STEERED_SUCCESS, STEERED_BROKEN, STEERED_FLUENCY)
PUBLISHED: dict = {}
SOURCE = "no numbers: neither paper steers a model whose counterfactual law is known."
EMPTY = "No language model was steered: give one `causal` under `lms`."
MOST = 0.5
"""share of what reading the counterfactual text removes from which on this project says most of the way"""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`. Means are over a dataset's concepts."""
    return assemble(metrics[metrics["concept_2"].isna()], METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where on every dataset SSAE's vectors remove at least half of what reading the counterfactual text removes.

    Control: random directions, if on any dataset they remove as much.
    """
    return judged(table, KL_REMOVED, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    if not (rows["ceiling"] > 0).all():
        return None  # not measured, or the language model knows nothing of the concept
    holds = bool((rows["mean"] >= MOST * rows["ceiling"]).all())
    text = (
        f"KL removed {span(rows['mean'])} on {datasets(rows)} (reading the counterfactual text {span(rows['ceiling'])}, random "
        f"directions {span(rows['random_dictionary'])}"
    )
    labelled = here[(here["metric"] == KL_REMOVED.name) & (here["kind"] == "mean_difference")]
    labelled = labelled[labelled["dataset"].isin(rows["dataset"])]
    text += f", mean difference {span(labelled['mean'])})" if len(labelled) else ")"
    return Found(holds, {"random_dictionary": anywhere(rows, "random_dictionary")}, text)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: `figure_a2` speaks of steering."""
    return ""
