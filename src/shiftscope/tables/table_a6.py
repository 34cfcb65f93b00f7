"""A-T6: MCC of the codes against the true concept shifts on synthetic data.

Paper A, App. B.4, Table 6: δz = A δc with a random subset of components of δc drawn from a uniform law, for
(|V|, max|S|) = (3, 2), (4, 3) and (10, 7); SSAE beside the affine autoencoder, mean ± sd over seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import LINEAR_R2, MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.numbers import number, span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import IDENTIFIED, above, chance_matches, judged, sparse_scores

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-T6 · Synthetic data: MCC against the true concepts"
CLAIM = "SSAE recovers the true concept shifts up to order and scale; without sparsity the same autoencoder does not."
PARTS = "synthetic"
METRICS = (MCC_TRUTH, LINEAR_R2, MCC_SEEDS_DECODER)
_ILLEGIBLE = {"ssae": None, "affine": None}
PUBLISHED = {MCC_TRUTH.name: {"synth_3_2": _ILLEGIBLE, "synth_4_3": _ILLEGIBLE, "synth_10_7": _ILLEGIBLE}}
SOURCE = "paper A, Table 6; its numbers are not legible in the extracted text, which says that SSAE identifies."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where on every dataset the mean MCC is at least .95 and above the affine one.

    Controls: permuted labels and random directions, if one scores as high on any dataset.
    """
    return judged(sparse_scores(table, MCC_TRUTH), _holds, chance_matches, _sentence)


def _holds(rows: pd.DataFrame) -> bool:
    return bool((rows["mean"] >= IDENTIFIED).all() and above(rows).all())


def _sentence(variant: str, rows: pd.DataFrame) -> str:
    worst = rows.loc[rows["minimum"].idxmin()]
    affine = span(rows["mean"] - rows["difference"])
    return (
        f"{variant}: mean MCC {span(rows['mean'])}, worst model {number(worst['minimum'])} ({worst['dataset']}); "
        f"{rows['rival'].dropna().iloc[0]} {affine}."
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if no SSAE was run."""
    measured = sparse_scores(table, MCC_TRUTH)
    if not measured:
        return ""
    (variant, rows), *others = measured.items()
    paper = dict(others).get("ssae_paper", rows.head(0))
    beside = f"without sparsity {span(rows['mean'] - rows['difference'])}"
    beside += f", with the paper's own recipe {span(paper['mean'])}" if len(paper) else ""
    result = "recovers" if (rows["mean"] >= IDENTIFIED).all() else "does not reliably recover"
    return f"{variant} {result} the concepts (MCC {span(rows['mean'])}; {beside})"
