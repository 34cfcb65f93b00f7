"""A-T2: MCC across training seeds on the embeddings of a language model.

Paper A, §3, Table 2: decoder directions of pairs of seeds at the selected hyperparameters, SSAE beside the affine
autoencoder, on six datasets of Llama-3.1-8B. Agreement across seeds says that a method finds the same answer every
time, not that the answer is right, so the MCC against the truth stands beside it where the truth is known, and the
same network with random weights beside both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_OTHER_TRUTH, MCC_SEEDS_CODES, MCC_SEEDS_DECODER, MCC_TRUTH
from shiftscope.tables.numbers import count, span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import above, judged, leading_scores, matched_by, never_below, scores, sparse_scores

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-T2 · Language models: MCC across seeds"
CLAIM = "SSAE finds the same steering vectors from every seed; without sparsity that fails when many concepts vary."
PARTS = "language"
METRICS = (MCC_SEEDS_DECODER, MCC_SEEDS_CODES, MCC_TRUTH, MCC_OTHER_TRUTH)
PUBLISHED = {
    MCC_SEEDS_DECODER.name: {
        "lang_1_1": {"ssae": 0.99, "affine": None},
        "gender_1_1": {"ssae": 0.99, "affine": None},
        "binary_2_2": {"ssae": 0.99, "affine": None},
        "corr_2_1": {"ssae": None, "affine": None},
        "cat_135_3": {"ssae": 0.906, "affine": 0.66},
        "truthfulqa_1_1": {"ssae": None, "affine": None},
    }
}
SOURCE = (
    "paper A, Table 2, on Llama-3.1-8B; cat from the authors' figure, the .99 approximate, the others not legible in "
    "the extracted text."
)
CONSISTENT = 0.9
"""A mean MCC across seeds from which on this project calls a method consistent (the source's lowest is .906)."""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where MCC is at least .9 and not below affine on every dataset, and above it where most codes are learned.

    Control: the untrained network, if it agrees across seeds as well on most datasets.
    """
    return judged(sparse_scores(table, MCC_SEEDS_DECODER), _holds, _untrained_matches, _sentence)


def _holds(rows: pd.DataFrame) -> bool:
    hardest = rows[rows["codes"] == rows["codes"].max()]
    return bool((rows["mean"] >= CONSISTENT).all() and never_below(rows) and above(hardest).all())


def _untrained_matches(rows: pd.DataFrame) -> bool:
    return bool(matched_by(rows, "untrained_lm").mean() > 0.5)


def _sentence(variant: str, rows: pd.DataFrame) -> str:
    affine = span(rows["mean"] - rows["difference"])
    text = f"{variant}: MCC {span(rows['mean'])} ({rows['rival'].dropna().iloc[0]} {affine})"
    if rows["untrained_lm"].isna().all():
        return f"{text}; no untrained network was run."
    matches = int(matched_by(rows, "untrained_lm").sum())
    return f"{text}; the untrained network agrees as well on {matches} of {count(len(rows), 'dataset')}."


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if no SSAE was run."""
    seeds = leading_scores(table, MCC_SEEDS_DECODER)
    if seeds.empty:
        return ""
    variant = seeds["variant"].iloc[0]
    result = "finds" if (seeds["mean"] >= CONSISTENT).all() else "does not always find"
    either = ", whether the network is trained or not" if _untrained_matches(seeds) else ""
    text = f"{variant} {result} the same directions from every seed{either} (MCC {_beside(seeds)})"
    truth = scores(table, MCC_TRUTH, variant)
    return text if truth.empty else f"{text}, matches the true concepts where they are known (MCC {_beside(truth)})"


def _beside(rows: pd.DataFrame) -> str:
    """A score and what stands beside it, where it was measured."""
    others = {
        "without sparsity": rows["mean"] - rows["difference"],
        "untrained network": rows["untrained_lm"],
        "ceiling": rows["ceiling"],
    }
    said = [f"{name} {span(values)}" for name, values in others.items() if values.notna().any()]
    return "; ".join([span(rows["mean"]), ", ".join(said)]) if said else span(rows["mean"])
