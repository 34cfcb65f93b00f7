"""A-T2: MCC across training seeds on the embeddings of a language model.

Paper A, §3, Table 2: decoder directions of pairs of seeds at the selected hyperparameters, SSAE beside the affine
autoencoder, on six datasets of Llama-3.1-8B. Agreement across seeds says that a method finds the same answer every
time, not that the answer is right, so the MCC against the truth stands beside it where the truth is known, and the
same network with random weights beside both. With a code less than values an attribute has a value without a code, and
which one is up to the seed (`mcc_seeds_reference`): the verdict asks for agreement up to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import (
    MCC_OTHER_TRUTH,
    MCC_SEEDS_CODES,
    MCC_SEEDS_DECODER,
    MCC_SEEDS_REFERENCE,
    MCC_TRUTH,
)
from shiftscope.tables.numbers import span
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import (
    Found,
    Verdict,
    above,
    anywhere,
    datasets,
    judged,
    matched_by,
    mostly,
    never_below,
    scores,
    told,
)

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-T2 · Language models: MCC across seeds"
CLAIM = "SSAE finds the same steering vectors from every seed; without sparsity that fails when many concepts vary."
SAID_BY = "paper A, Sec. 3, Table 2"
PARTS = "language"
METRICS = (MCC_SEEDS_DECODER, MCC_SEEDS_REFERENCE, MCC_SEEDS_CODES, MCC_TRUTH, MCC_OTHER_TRUTH)
PUBLISHED = {
    MCC_SEEDS_DECODER.name: {
        "lang_1_1": {"ssae": 0.995, "affine": None},
        "gender_1_1": {"ssae": None, "affine": None},
        "binary_2_2": {"ssae": 0.991, "affine": None},
        "corr_2_1": {"ssae": None, "affine": None},
        "cat_135_3": {"ssae": 0.906, "affine": 0.66},
        "truthfulqa_1_1": {"ssae": None, "affine": None},
    }
}
SOURCE = (
    "paper A, on Llama-3.1-8B: lang from Figure 5 and binary from Figure 6, each the best setting; cat at 135 codes from "
    "Figure 9. Those of Table 2 are not legible in the extracted text."
)
EMPTY = "No variant was trained with two seeds."
CONSISTENT = 0.9
"""A mean MCC across seeds from which on this project calls a method consistent; no source names a number."""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of the smallest code size of each dataset; larger ones are `figure_a9`'s."""
    table = assemble(metrics, METRICS, PUBLISHED)
    smallest = table.groupby(["lm", "layer", "dataset"])["codes"].transform("min")
    return table[table["codes"] == smallest].reset_index(drop=True)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where MCC is at least .9 and not below that without sparsity on every dataset, and above it where most codes
    are learned.

    It is the MCC of decoder directions, as the source has it, and where one-hot codes leave a value arbitrary that of
    codes up to this. Controls: the untrained network, if it agrees as well on half of the datasets; random directions,
    if they do on any.
    """
    return judged(table, MCC_SEEDS_DECODER, _found, SAID_BY)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    rows = _up_to_reference(rows, here)
    hardest = rows[rows["codes"] == rows["codes"].max()]
    if rows["difference"].isna().any():
        return None
    holds = (rows["mean"] >= CONSISTENT).all() and never_below(rows) and above(hardest).all()
    text = f"MCC {span(rows['mean'])} on {datasets(rows)} ({rows['rival'].iloc[0]} {span(rows['mean'] - rows['difference'])})"
    if rows["untrained_lm"].notna().any():
        text += f"; the untrained network agrees as well on {int(matched_by(rows, 'untrained_lm').sum())}"
    controls = {"untrained_lm": mostly(rows, "untrained_lm"), "random_dictionary": anywhere(rows, "random_dictionary")}
    return Found(bool(holds), controls, text)


def _up_to_reference(rows: pd.DataFrame, here: pd.DataFrame) -> pd.DataFrame:
    """Rows of a variant, in place of those that a reference value spoils the ones that are judged up to it."""
    import pandas as pd

    better = scores(here, MCC_SEEDS_REFERENCE, rows["variant"].iloc[0])
    return pd.concat([rows[~rows["dataset"].isin(better["dataset"])], better])


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if no SSAE was run."""
    return told(
        verdict(table), "finds the same directions from every seed", "does not find the same directions from every seed"
    )
