"""TruthfulQA: cosine of steering as in A-F2, and beside it what steering does to the language model's answers.

Paper A, §3, Figure 2, shows for TruthfulQA the cosine between steered and target embeddings on Llama-3.1-8B. Whether
right answers become more likely it does not show; here mc1 and mc2 (Lin et al. 2022) and perplexity stand beside the
cosine, at a dose chosen on other questions, with the unsteered model and random directions of the same length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.steering import COSINE_HELDOUT, COSINE_PUBLISHED
from shiftscope.metrics.truthfulness import (
    DOSE_CHOSEN,
    MC1_ACCURACY_CHOSEN,
    MC1_ACCURACY_GAIN_SE,
    MC2_CHOSEN,
    MC2_GAIN_SE,
    PERPLEXITY_CHOSEN,
)
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import TOLERANCE, judged, leading_scores, scores, sparse_variants

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.metrics.base import Metric

TITLE = "A-F2 · TruthfulQA: steering and answers"
CLAIM = (
    "On TruthfulQA SSAE's vector brings an embedding closer to that of the right answer than affine's, the mean "
    "difference and PCA."
)
PARTS = "behaviour"
METRICS = (
    COSINE_PUBLISHED, COSINE_HELDOUT, MC2_CHOSEN, MC2_GAIN_SE, MC1_ACCURACY_CHOSEN, MC1_ACCURACY_GAIN_SE,
    PERPLEXITY_CHOSEN, DOSE_CHOSEN,
)  # fmt: skip
PUBLISHED = {
    COSINE_PUBLISHED.name: {"truthfulqa_1_1": {"ssae": 0.73, "affine": 0.60, "pca": 0.03, "mean_difference": 0.18}}
}
SOURCE = (
    "paper A, Figure 2, on Llama-3.1-8B; read off the authors' figure, so to about ±.01. Its pretrained SAE (.66) is "
    "not run here; it has no numbers of answers."
)
RIVALS = ("affine", "mean_difference", "pca")


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where SSAE's cosine, as published, is above that of affine, the mean difference and PCA by more than .02.

    Controls: the same by the held-out score, and there it must also beat random directions and not steering. What
    steering does to answers does not enter: the source makes no claim about it.
    """
    variants = {variant: variant for variant in sparse_variants(table, COSINE_PUBLISHED)}
    return judged(
        variants,
        lambda variant: _above(table, COSINE_PUBLISHED, variant, RIVALS),
        lambda variant: not _survives(table, variant),
        lambda variant, _: _sentence(table, variant),
    )


def _mean(table: pd.DataFrame, metric: Metric, variant: str, column: str = "mean") -> float:
    return float(scores(table, metric, variant)[column].mean())


def _above(table: pd.DataFrame, metric: Metric, variant: str, rivals: tuple[str, ...]) -> bool:
    """Above every rival that was measured."""
    found = [_mean(table, metric, rival) for rival in rivals if len(scores(table, metric, rival))]
    return bool(found) and all(_mean(table, metric, variant) > one + TOLERANCE for one in found)


def _survives(table: pd.DataFrame, variant: str) -> bool:
    controls = [_mean(table, COSINE_HELDOUT, variant, name) for name in ("random_dictionary", "no_steering")]
    beaten = all(_mean(table, COSINE_HELDOUT, variant) > one + TOLERANCE for one in controls if one == one)
    return beaten and _above(table, COSINE_HELDOUT, variant, RIVALS)


def _sentence(table: pd.DataFrame, variant: str) -> str:
    beside = [variant, *(rival for rival in RIVALS if len(scores(table, COSINE_PUBLISHED, rival)))]
    cosines = [
        ", ".join(f"{name} {spoken(_mean(table, metric, name))}" for name in beside if len(scores(table, metric, name)))
        for metric in (COSINE_PUBLISHED, COSINE_HELDOUT)
    ]
    text = f"Cosine as published: {cosines[0]}; held out: {cosines[1]}"
    unsteered = _mean(table, COSINE_HELDOUT, variant, "no_steering")
    if unsteered == unsteered:
        text += f", unsteered {spoken(unsteered)}"
    answers = _answers(table, variant)
    return f"{text}. {answers}." if answers else f"{text}."


def _answers(table: pd.DataFrame, variant: str) -> str:
    """What the variant's vector does to mc2, empty if behaviour was not measured."""
    rows = scores(table, MC2_CHOSEN, variant)
    if rows.empty:
        return ""
    gain = float((rows["mean"] - rows["no_steering"]).mean())
    error = _mean(table, MC2_GAIN_SE, variant)
    others = [
        f"{rival} {spoken(_mean(table, MC2_CHOSEN, rival))}"
        for rival in RIVALS
        if len(scores(table, MC2_CHOSEN, rival))
    ]
    clear = "more than two standard errors" if abs(gain) > 2 * error else "less than two standard errors"
    return (
        f"Answers with {variant}: mc2 {spoken(rows['mean'].mean())} against {spoken(rows['no_steering'].mean())} "
        f"unsteered ({clear} of the gain over questions), {spoken(rows['random_dictionary'].mean())} with random "
        f"directions of its length; {', '.join(others)}"
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if no SSAE was run or no behaviour was measured."""
    rows = leading_scores(table, MC2_CHOSEN)
    if rows.empty:
        return ""
    return (
        f"steering with {rows['variant'].iloc[0]} takes mc2 of TruthfulQA from {spoken(rows['no_steering'].mean())} to "
        f"{spoken(rows['mean'].mean())} (random directions {spoken(rows['random_dictionary'].mean())})"
    )
