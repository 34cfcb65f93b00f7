"""A-T3: MCC across training seeds before and after a dense invertible linear map of the embeddings.

Paper A, §3, Table 3: after the map "the gap between SSAE and the affine baseline widens". The paper gives no law for
the map; ours, its seed and its condition number stand in the layer's name (`shiftscope.lms.mapped`). What a method
does with the map depends on how it whitens: exact whitening to full rank undoes any invertible map, up to a rotation,
and would make the comparison empty. `ssae` and `affine` whiten with shrinkage or to the rank of the code, which undoes
it in part; `ssae_paper` and `affine_paper` do not whiten, as the source did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shiftscope.metrics.base import Metric
from shiftscope.metrics.correlation import MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.intervals import units
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import KEYS, about, assemble, kinds_of, line, of_interest, rivals, typed
from shiftscope.tables.verdicts import TOLERANCE, Found, Verdict, datasets, judged, scores, told

if TYPE_CHECKING:
    import pandas as pd

WIDENING_SEEDS = Metric(
    "widening_seeds", "gap widens, seeds",
    "By how much the gap in MCC across seeds to the same autoencoder without sparsity is wider on mapped embeddings "
    "than on unmapped ones, seed by seed.",
    "pair of seeds",
)  # fmt: skip
WIDENING_TRUTH = Metric(
    "widening_truth", "gap widens, truth", "The same of the MCC with the true concept shifts.", "seed"
)

TITLE = "A-T3 · Mapped embeddings: MCC across seeds"
CLAIM = "After a dense invertible linear map of the embeddings, SSAE's gap to the affine autoencoder widens."
SAID_BY = "paper A, Sec. 3, Table 3"
PARTS = "mapped"
METRICS = (MCC_SEEDS_DECODER, WIDENING_SEEDS, MCC_TRUTH, WIDENING_TRUTH)
PUBLISHED: dict = {}
SOURCE = (
    "paper A, Table 3, on Llama-3.1-8B; its numbers are not legible in the extracted text, nor does it give the map's law "
    "(the authors' code draws one with entries uniform in [0, 1) anew for every batch; here one map is drawn for all)."
)
EMPTY = "No variant was trained on mapped embeddings and on those that were mapped."
_WIDENING = {MCC_SEEDS_DECODER: WIDENING_SEEDS, MCC_TRUTH: WIDENING_TRUTH}
_PLACE = ["lm", "dataset", "codes"]


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table, mapped rows after unmapped ones, and in mapped rows by how much the gap to affine widened.

    The widening is that of the gap (SSAE minus affine, same seeds) from unmapped to mapped embeddings, seed by seed.
    """
    import pandas as pd

    table = assemble(metrics, tuple(_WIDENING), PUBLISHED)
    found = pd.DataFrame(_widenings(metrics), columns=table.columns)
    table = typed(pd.concat([table, found])) if len(found) else table
    table["mapped"] = is_mapped(table["layer"])
    both = table.groupby([*_PLACE, "variant"])["mapped"].transform("nunique") == 2
    order = list(dict.fromkeys(table["variant"]))  # as `assemble` has it
    ranks = {
        "variant": {name: place for place, name in enumerate(order)},
        "metric": {metric.name: place for place, metric in enumerate(METRICS)},
    }
    return table[both].sort_values(
        [*_PLACE, "mapped", "layer", "variant", "metric"],
        key=lambda column: column.map(ranks[column.name]) if column.name in ranks else column, ignore_index=True,
    )  # fmt: skip


def is_mapped(layers: pd.Series) -> pd.Series:
    """Which layers' names say that embeddings were mapped (`shiftscope.lms.mapped.layer_name`)."""
    return layers.str.contains(", mapped (", regex=False).astype(bool)


def _widenings(metrics: pd.DataFrame) -> list[dict[str, Any]]:
    rows = of_interest(metrics, tuple(_WIDENING))
    real = {key: units(group) for key, group in rows[rows["control"] == ""].groupby(KEYS)}
    kind_of = kinds_of(rows)
    gaps = {key: (real[key] - real[rival]).dropna() for key, rival in rivals(kind_of).items()}
    names = {metric.name: widening.name for metric, widening in _WIDENING.items()}
    lines = []
    for key, gap in gaps.items():
        place = dict(zip(KEYS, key, strict=True))
        origin = tuple((place | {"layer": place["layer"].partition(", mapped (")[0]}).values())
        if origin != key and origin in gaps:
            widened = (gap - gaps[origin]).dropna()
            if len(widened):
                described = line(place | {"metric": names[place["metric"]]}, widened, {})
                lines.append(described | about(place, kind_of[key], {}))
    return lines


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where the gap narrows on no dataset and widens on most, by an interval above 0 where there is one.

    Control: the same of the MCC with the truth; agreement that widens while truth does not says nothing of concepts.
    """
    return judged(table, MCC_SEEDS_DECODER, _found, SAID_BY)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    widened, truth = (scores(here, metric, rows["variant"].iloc[0]) for metric in (WIDENING_SEEDS, WIDENING_TRUTH))
    if widened.empty:
        return None
    before, after = (rows.loc[rows["mapped"] == mapped, "difference"].mean() for mapped in (False, True))
    beside = f"; by the truth on {int(_wider(truth).sum())} of {len(truth)}" if len(truth) else ""
    return Found(
        _widens(widened),
        {"MCC with the truth": not _widens(truth) if len(truth) else None},
        f"mean gap {spoken(before)} unmapped, {spoken(after)} mapped; wider on {int(_wider(widened).sum())} of "
        f"{datasets(widened)}{beside}",
    )


def _wider(rows: pd.DataFrame) -> pd.Series:
    return rows["low"].fillna(rows["mean"]) > 0


def _widens(rows: pd.DataFrame) -> bool:
    return bool((rows["mean"] > -TOLERANCE).all() and _wider(rows).mean() > 0.5)


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if no SSAE was run."""
    return told(
        verdict(table),
        "widens its gap to no sparsity when embeddings are mapped",
        "does not widen its gap to no sparsity when embeddings are mapped",
    )
