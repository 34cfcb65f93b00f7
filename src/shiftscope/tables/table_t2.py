"""T-2: more concepts than dimensions, so that single embeddings cannot tell the concepts and shifts can.

The talk ("Reliably steering and interpreting LLMs with causal representation learning") argues: with |C| > d concepts z
is not injective in them, so an autoencoder of z cannot identify them; of pairs only those concepts show that vary, and
|V| ≤ d. Here as an experiment: the talk's own sparse autoencoder on z beside SSAE on δz, with few or no pairs in which
one concept changes alone, and with changes that were not meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import LINEAR_R2, MCC_SEEDS_CODES, MCC_TRUTH
from shiftscope.tables.numbers import count, number, span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import IDENTIFIED, chance_matches, scores, status

if TYPE_CHECKING:
    import pandas as pd

TITLE = "T-2 · More concepts than dimensions: shifts against embeddings"
CLAIM = "SSAE on shifts identifies the concepts that vary where a sparse autoencoder of embeddings cannot."
PARTS = "crowded"
METRICS = (MCC_TRUTH, MCC_SEEDS_CODES, LINEAR_R2)
PUBLISHED: dict = {}
SOURCE = "the talk makes the argument without numbers; the experiment is ours."
OF_EMBEDDINGS = "l1_tied"


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where on every dataset SSAE's mean MCC is at least .95 and the autoencoder's of embeddings is not.

    Controls: permuted labels and random directions, if one scores as high on any dataset.
    """
    shifts, embeddings = scores(table, MCC_TRUTH, "ssae"), scores(table, MCC_TRUTH, OF_EMBEDDINGS)
    if shifts.empty or embeddings.empty:
        return status({}, {}), f"SSAE and {OF_EMBEDDINGS} were not both run."
    best = embeddings.groupby("dataset")["mean"].max()
    found = shifts.set_index("dataset")["mean"]
    holds = bool((found >= IDENTIFIED).all() and (best < IDENTIFIED).all())
    failed = sorted(found.index[found < IDENTIFIED])
    exception = f" It falls short on {', '.join(failed)}." if failed else ""
    return status({"ssae": holds}, {"ssae": chance_matches(shifts)}), (
        f"ssae: MCC {span(found)} on {count(found.index.nunique(), 'dataset')}; {OF_EMBEDDINGS}, at its best code "
        f"size, {span(best)}.{exception}"
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if one of the two was not run."""
    shifts, embeddings = scores(table, MCC_TRUTH, "ssae"), scores(table, MCC_TRUTH, OF_EMBEDDINGS)
    if shifts.empty or embeddings.empty:
        return ""
    return (
        f"with more concepts than dimensions shifts tell what embeddings do not (MCC "
        f"{number(shifts['mean'].mean(), 2)} against {number(embeddings['mean'].mean(), 2)})"
    )
