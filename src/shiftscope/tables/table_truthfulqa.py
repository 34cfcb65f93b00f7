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
from shiftscope.tables.cosines import OTHER_PROCEDURE
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import TOLERANCE, Found, Verdict, judged, mostly, of_metric, scores, told

if TYPE_CHECKING:
    import pandas as pd

TITLE = "A-F2 · TruthfulQA: steering and answers"
CLAIM = (
    "On TruthfulQA SSAE's vector brings an embedding closer to that of the right answer than affine's, the mean "
    "difference and PCA."
)
SAID_BY = "paper A, Sec. 3, Figure 2"
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
    "not run here; it has no numbers of answers. " + OTHER_PROCEDURE
)
EMPTY = "No answers of a steered language model were measured."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table; see `shiftscope.tables.tidy`."""
    return assemble(metrics, METRICS, PUBLISHED)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where SSAE's cosine, by the best column for each pair, is above that without sparsity, of the mean difference
    and of PCA by more than .02.

    Controls: the same by the held-out score; there also random directions and not steering, if one scores as high. What
    steering does to answers does not enter: the source makes no claim about it.
    """
    return judged(table, COSINE_PUBLISHED, _found, SAID_BY, not_run=OTHER_PROCEDURE)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    variant = rows["variant"].iloc[0]
    heldout = scores(here, COSINE_HELDOUT, variant)
    published_rivals, heldout_rivals = (_rivals(found, here) for found in (rows, heldout))
    if published_rivals is None:
        return None
    controls = {"held-out score": None if heldout_rivals is None else not _above(heldout, heldout_rivals)}
    controls |= {name: mostly(heldout, name) for name in ("random_dictionary", "no_steering")}
    cosines = [
        ", ".join(f"{name} {spoken(mean)}" for name, mean in {variant: found["mean"].mean(), **(others or {})}.items())
        for found, others in ((rows, published_rivals), (heldout, heldout_rivals))
    ]
    text = f"cosine, best column for each pair: {cosines[0]}; held out: {cosines[1]}"
    if heldout["no_steering"].notna().any():
        text += f", unsteered {spoken(heldout['no_steering'].mean())}"
    return Found(_above(rows, published_rivals), controls, "; ".join(filter(None, [text, _answers(here, variant)])))


def _rivals(rows: pd.DataFrame, here: pd.DataFrame) -> dict[str, float] | None:
    """The mean of the twin without sparsity, of the mean difference and of PCA; None if one was not measured."""
    if rows.empty or rows["difference"].isna().all():
        return None
    found = {rows["rival"].iloc[0]: float((rows["mean"] - rows["difference"]).mean())}
    for kind in ("mean_difference", "pca"):
        others = here[(here["kind"] == kind) & (here["metric"] == rows["metric"].iloc[0]) & here["mean"].notna()]
        if others.empty:
            return None
        found[others["variant"].iloc[0]] = float(others["mean"].mean())
    return found


def _above(rows: pd.DataFrame, rivals: dict[str, float]) -> bool:
    return all(float(rows["mean"].mean()) > one + TOLERANCE for one in rivals.values())


def _answers(here: pd.DataFrame, variant: str) -> str:
    """What the variant's vector does to mc2, empty if behaviour was not measured."""
    rows = scores(here, MC2_CHOSEN, variant)
    if rows.empty:
        return ""
    gain = float((rows["mean"] - rows["no_steering"]).mean())
    error = float(scores(here, MC2_GAIN_SE, variant)["mean"].mean())
    others = of_metric(here[here["recipe"] == ""], MC2_CHOSEN)
    means = others.groupby("variant", sort=False)["mean"].mean()
    beside = ", ".join(f"{name} {spoken(mean)}" for name, mean in means.items())
    clear = "more than two standard errors" if abs(gain) > 2 * error else "less than two standard errors"
    return (
        f"answers with {variant}: mc2 {spoken(rows['mean'].mean())} against {spoken(rows['no_steering'].mean())} "
        f"unsteered ({clear} of the gain over questions), {spoken(rows['random_dictionary'].mean())} with random "
        f"directions of its length; {beside}"
    )


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if no SSAE was run or no behaviour was measured."""
    return told(
        verdict(table), "steers towards right answers further than what it is compared with",
        "does not steer towards right answers further than what it is compared with",
    )  # fmt: skip
