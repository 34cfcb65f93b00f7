"""T-2: more concepts than dimensions, so that single embeddings cannot tell the concepts and shifts can.

The talk ("Reliably steering and interpreting LLMs with causal representation learning") argues: with |C| > d concepts z
is not injective in them, so an autoencoder of z cannot identify them; of pairs only those concepts show that vary, and
|V| ≤ d. Here as an experiment: the talk's own sparse autoencoder on z beside SSAE on δz, with few or no pairs in which
one concept changes alone, and with changes that were not meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import LINEAR_R2, MCC_SEEDS_CODES, MCC_TRUTH
from shiftscope.tables.numbers import span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import IDENTIFIED, THIS_PROJECT, Found, Verdict, anywhere, judged, of_metric, told

if TYPE_CHECKING:
    import pandas as pd

TITLE = "T-2 · More concepts than dimensions: shifts against embeddings"
CLAIM = "SSAE on shifts identifies the concepts that vary where a sparse autoencoder of embeddings cannot."
SAID_BY = THIS_PROJECT
PARTS = "crowded"
METRICS = (MCC_TRUTH, MCC_SEEDS_CODES, LINEAR_R2)
PUBLISHED: dict = {}
SOURCE = "the talk makes the argument without numbers; the experiment is ours."
EMPTY = "No dataset has more concepts than dimensions."
OF_EMBEDDINGS = "l1_tied"


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where on every dataset SSAE's mean MCC is at least .95 and the autoencoder's of embeddings is not.

    Controls: permuted labels and random directions, if one scores as high on any dataset.
    """
    return judged(table, MCC_TRUTH, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    embeddings = of_metric(here[here["kind"] == OF_EMBEDDINGS], MCC_TRUTH)
    best = embeddings.groupby("dataset")["mean"].max()
    rows = rows[rows["dataset"].isin(best.index)]
    if rows.empty:
        return None
    failed = sorted(rows.loc[rows["mean"] < IDENTIFIED, "dataset"])
    exception = f"; it falls short on {', '.join(failed)}" if failed else ""
    return Found(
        not failed and bool((best < IDENTIFIED).all()),
        {control: anywhere(rows, control) for control in ("permuted_labels", "random_dictionary")},
        f"MCC {span(rows['mean'])}; {OF_EMBEDDINGS}, at its best code size, {span(best)}{exception}",
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if one of the two was not run."""
    return told(
        verdict(table), "tells of shifts what embeddings do not tell", "does not tell of shifts more than embeddings do"
    )
