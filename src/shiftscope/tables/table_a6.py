"""A-T6: MCC of the codes against the true concept shifts on synthetic data.

Paper A, App. B.4, Table 6: δz = A δc with a random subset of components of δc drawn from a uniform law, for
(|V|, max|S|) = (3, 2), (4, 3) and (10, 7); SSAE beside the affine autoencoder, mean ± sd over seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import LINEAR_R2, MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.numbers import number, span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import IDENTIFIED, Found, Verdict, above, anywhere, judged, told

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-T6 · Synthetic data: MCC against the true concepts"
CLAIM = "SSAE recovers the true concept shifts up to order and scale; without sparsity the same autoencoder does not."
SAID_BY = "paper A, App. B.4, Table 6"
PARTS = "synthetic"
METRICS = (MCC_TRUTH, LINEAR_R2, MCC_SEEDS_DECODER)
_ILLEGIBLE = {"ssae": None, "affine": None}
PUBLISHED = {MCC_TRUTH.name: {"synth_3_2": _ILLEGIBLE, "synth_4_3": _ILLEGIBLE, "synth_10_7": _ILLEGIBLE}}
SOURCE = (
    'paper A, Table 6; its numbers are not legible in the extracted text, which says that SSAE "can identify concepts".'
)
EMPTY = "No synthetic data were run."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where on every dataset the mean MCC is at least .95 and above that without sparsity.

    Controls: permuted labels and random directions, if one scores as high on any dataset.
    """
    return judged(table, MCC_TRUTH, _found, SAID_BY)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found:
    worst = rows.loc[rows["minimum"].idxmin()]
    without = span(rows["mean"] - rows["difference"])
    return Found(
        bool((rows["mean"] >= IDENTIFIED).all() and above(rows).all()),
        {control: anywhere(rows, control) for control in ("permuted_labels", "random_dictionary")},
        f"mean MCC {span(rows['mean'])}, worst model {number(worst['minimum'])} ({worst['dataset']}); "
        f"{rows['rival'].iloc[0]} {without}",
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if no SSAE was run."""
    sentence = told(verdict(table), "recovers the concepts", "does not recover the concepts")
    return sentence and f"On synthetic data, {sentence[0].lower()}{sentence[1:]}"
