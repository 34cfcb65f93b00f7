"""Pearson correlation of a dictionary's features with the logits of linear probes (PCC), in sample and held out.

Paper B (§5, App. H.2) fits a probe per concept on the words of its pairs and asks of a dictionary for one feature that
correlates with the probe's logit over the same words. It says neither whether correlation is signed or absolute, nor
whether a feature may serve two concepts ("best-matching" in §6, the Hungarian algorithm in H.2), nor at which
scale features are exponentiated first. All of these are here, by name. The headline is absolute, one to one, not
exponentiated, beside the same held out: probe, feature and sign are chosen on one half of a concept's words and scored
on the other. Choosing the best of many features inflates what is in sample: with 50 words a class, thousands of
features of pure noise come to .3 and more.
"""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import numpy as np

from shiftscope.metrics.base import Metric
from shiftscope.metrics.correlation import signed_correlation

PCC = Metric(
    "pcc", "PCC",
    "Feature against the logit of a concept's probe over the words that the probe was fitted on, as paper B has it: "
    "absolute correlation after the best one-to-one matching of concepts and features. It rewards density and choice "
    "among many: read it beside its controls.",
    "seed × concept", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
PCC_HELDOUT = Metric(
    "pcc_heldout", "PCC, held out",
    "As `pcc`, but probe, feature and sign are chosen on one half of the concept's words and scored on the other.",
    "seed × concept", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
PCC_CHOOSING = Metric(
    "pcc_choosing", "PCC, choosing half",
    "Mean over concepts of `pcc` on the half of the words that `pcc_heldout` chooses on: by it a setting can be chosen "
    "before it is scored on the other half.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
PCC_COVERAGE = Metric(
    "pcc_coverage", "coverage@0.5", "Share of the concepts whose `pcc` is above .5.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
PCC_HELDOUT_COVERAGE = Metric(
    "pcc_heldout_coverage", "coverage@0.5, held out", "Share of the concepts whose `pcc_heldout` is above .5.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
PCC_AS = Metric(
    "pcc_as_*", "PCC, read as",
    "Mean over concepts of `pcc`, read in another way: `signed`, with correlations as they are; `free`, each concept "
    "with its best feature, whoever else has it; `exp`, of exponentials of features over their standard deviation; "
    "`exp_raw`, of exponentials of features as they are, which depends on their scale.",
    "seed", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
PCC_HELDOUT_AS = Metric(
    "pcc_heldout_as_*", "PCC, held out, read as", "The same of `pcc_heldout`.",
    "seed", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
PCC_OTHERS = Metric(
    "pcc_others", "PCC, others",
    "Mean absolute correlation of the feature that `pcc_heldout` chose with the logits of all other concepts, each "
    "over the held-out half of its own words: what a selective feature has low.",
    "seed × concept", higher_is_better=False, limits=(0, 1),
)  # fmt: skip
PCC_TRUTH = Metric(
    "pcc_truth", "PCC, truth, held out",
    "As `pcc_heldout`, with what is known of the words, before or after, in place of a probe's logit.",
    "seed × concept", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
LATENT_F1 = Metric(
    "latent_f1", "F1, one latent",
    "F1 of telling words after from words before by whether the feature that `pcc_heldout` chose is past a threshold, "
    "which is chosen on one half of the words and scored on the other; a feature of pure noise comes to half and more.",
    "seed × concept", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
PROBE_ACCURACY = Metric(
    "probe_accuracy", "probe accuracy",
    "Share of words of the held-out half that a concept's probe (logistic regression, L2, C = 1), fitted on the other, "
    "classifies rightly.",
    "concept", higher_is_better=True, limits=(0, 1),
)  # fmt: skip

COVERED = 0.5
"""above which paper B calls a concept covered (App. H.2)"""
PENALTY = 1.0
"""`C` of the probes, the inverse strength of their L2 penalty: scikit-learn's default, for paper B names no other"""


class ConceptWords(NamedTuple):
    """The distinct words of one concept, `n` of them, by their rows in a table of all words."""

    name: str
    row: np.ndarray
    """int `[n]`"""
    after: np.ndarray
    """bool `[n]`: whether it stands at the concept's second value"""
    second: np.ndarray
    """bool `[n]`: whether it is of the half that is scored; the other half chooses"""

    def permuted(self, seed: int) -> ConceptWords:
        """The same words with labels drawn anew: permuted within each half, so that both keep their balance."""
        generator, after = np.random.default_rng(seed), self.after.copy()
        for half in (self.second, ~self.second):
            after[half] = generator.permutation(after[half])
        return self._replace(after=after)


class Logits(NamedTuple):
    """What probes say of the words of every concept, a list over concepts of float64 `[n]`."""

    whole: list[np.ndarray]
    """of a probe that was fitted on all of them, in sample"""
    half: list[np.ndarray]
    """of one that was fitted on the first half alone"""
    accuracy: np.ndarray
    """of the latter on the second half, `[concepts]`"""


def probe_logits(embeddings: np.ndarray, concepts: list[ConceptWords]) -> Logits:
    """Logits of two linear probes per concept on embeddings of words `[words, d]` (paper B, §5 and App. H.2).

    Scikit-learn's logistic regression with its default penalty, L2 with `C` = 1, on embeddings as they are. Its default
    solver often stops at 100 steps short of the optimum; Newton's steps reach it. The weights lie in the span of the
    words that are fitted, so coordinates in that span give the same probe in less time where d is more than the words.
    """
    from sklearn.linear_model import LogisticRegression

    def fitted(some: np.ndarray, concept: ConceptWords) -> np.ndarray:
        inputs = embeddings[concept.row].astype(np.float64)
        inputs = inputs @ np.linalg.qr(inputs[some].T)[0]
        probe = LogisticRegression(C=PENALTY, solver="newton-cholesky", tol=1e-8, max_iter=1000)
        return probe.fit(inputs[some], concept.after[some]).decision_function(inputs)

    whole = [fitted(np.ones(len(one.row), bool), one) for one in concepts]
    half = [fitted(~one.second, one) for one in concepts]
    right = [
        np.mean((logit > 0)[one.second] == one.after[one.second]) for one, logit in zip(concepts, half, strict=True)
    ]
    return Logits(whole, half, np.array(right))


def labels(concepts: list[ConceptWords]) -> Logits:
    """What is known of the words, ±1, in the place of what probes say of them."""
    known = [np.where(one.after, 1.0, -1.0) for one in concepts]
    return Logits(known, known, np.ones(len(concepts)))


class Correlations(NamedTuple):
    """Signed correlation of every feature with every concept's logit over the concept's words, `[concepts, F]` each."""

    whole: np.ndarray
    """over all words, of the logit in sample"""
    first: np.ndarray
    """over the half that chooses, of its own probe"""
    second: np.ndarray
    """over the half that is scored, of the same probe"""


Exponent = Literal["", "exp", "exp_raw"]
"""what is done to features first: nothing, or exp() at unit scale or at their own"""


def correlations(
    features: np.ndarray, concepts: list[ConceptWords], logits: Logits, exponent: Exponent = ""
) -> Correlations:
    """Correlate all features of words `[words, F]` with the logits; 0 for a feature that does not vary over the words.

    At unit scale every feature is divided by its standard deviation over all words. Exponentials are taken of what a
    feature is below its largest value: that scales the column, which no correlation sees, and cannot overflow.
    """
    scale = _unit_scale(features) if exponent == "exp" else 1.0

    def over(concept: ConceptWords, logit: np.ndarray, some: np.ndarray) -> np.ndarray:
        chosen = features[concept.row[some]]
        if exponent:
            chosen = chosen * scale
            chosen = np.exp(chosen - chosen.max(0))
        return signed_correlation(chosen, logit[some, None])[:, 0]

    every = [
        (over(one, whole, np.ones(len(one.row), bool)), over(one, half, ~one.second), over(one, half, one.second))
        for one, whole, half in zip(concepts, logits.whole, logits.half, strict=True)
    ]
    return Correlations(*(np.stack(part) for part in zip(*every, strict=True)))


def _unit_scale(features: np.ndarray) -> np.ndarray:
    """One over each feature's standard deviation over all words, `[F]` float64; 0 where it does not vary."""
    deviation = features.std(0, dtype=np.float64)
    return np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)


class Reading(NamedTuple):
    """A way to read what paper B leaves open; the default is the headline."""

    signed: bool = False
    free: bool = False
    exponent: Exponent = ""

    @property
    def name(self) -> str:
        """What stands for the `*` of `PCC_AS`, empty for the headline."""
        return "_".join(filter(None, ["signed" * self.signed, "free" * self.free, self.exponent]))


READINGS = [Reading(*one) for one in itertools.product((False, True), (False, True), ("", "exp", "exp_raw"))]
"""all ways to read PCC, the headline first"""


def match(correlation: np.ndarray, reading: Reading = READINGS[0]) -> np.ndarray:
    """The feature of every concept, int `[concepts]`, -1 for one that is left without; of correlations `[concepts, F]`.

    One to one by the Hungarian algorithm, or free, each concept's largest.
    """
    from scipy.optimize import linear_sum_assignment  # here, for tables read this file while the Snakefile is parsed

    score = correlation if reading.signed else np.abs(correlation)
    if reading.free:
        return score.argmax(1)
    concept, feature = linear_sum_assignment(score, maximize=True)
    found = np.full(len(score), -1)
    found[concept] = feature
    return found


def _of(correlation: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Every concept's correlation `[concepts]` with its feature, 0 for one without."""
    return np.where(feature < 0, 0.0, correlation[np.arange(len(feature)), feature])


def in_sample(found: Correlations, reading: Reading = READINGS[0]) -> np.ndarray:
    """PCC of every concept `[concepts]` as paper B computes it: matched and read on the same words (App. H.2)."""
    values = _of(found.whole, match(found.whole, reading))
    return values if reading.signed else np.abs(values)


def choosing(found: Correlations) -> np.ndarray:
    """The absolute correlation `[concepts]` on the first half with the feature that the first half chose."""
    return np.abs(_of(found.first, match(found.first)))


def held_out(found: Correlations, reading: Reading = READINGS[0]) -> np.ndarray:
    """PCC of every concept `[concepts]` on the second half, with the feature that the first half chose.

    Unless it is signed, it counts in the direction that it has on the first half: one that turns round scores below 0.
    """
    feature = match(found.first, reading)
    values = _of(found.second, feature)
    return values if reading.signed else values * np.sign(_of(found.first, feature))


def coverage(values: np.ndarray) -> float:
    """Share of concepts `[concepts]` above .5 (paper B, App. H.2).

    Of the concepts alone: paper B's Table 2 counts its row of averages as a 28th, so that it has 96.4 % for 26 of 27.
    """
    return float(np.mean(values > COVERED))


def others(found: Correlations) -> np.ndarray:
    """Mean absolute correlation `[concepts]` of each concept's feature with the other concepts' logits, held out."""
    feature = match(found.first)
    table = np.abs(found.second[:, feature]) * (feature >= 0)  # [concept that is read, concept whose feature it is]
    return (table.sum(0) - np.diag(table)) / max(len(feature) - 1, 1)


def f1(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """F1 of predictions bool `[..., n]` against labels bool `[n]`: 2·right / (predicted + true), 0 if none is right."""
    right, named = (predicted & true).sum(-1), predicted.sum(-1) + true.sum()
    return 2 * right / np.maximum(named, 1)


def threshold(values: np.ndarray, true: np.ndarray) -> float:
    """The threshold above which values `[n]` tell labels bool `[n]` best by F1: midway between two distinct values.

    Infinite, so that nothing is above it, for values that do not differ: a dead latent tells nothing.
    """
    distinct = np.unique(values)
    if len(distinct) < 2:
        return np.inf
    candidates = (distinct[1:] + distinct[:-1]) / 2
    return float(candidates[f1(values > candidates[:, None], true).argmax()])


def latent_f1(features: np.ndarray, concepts: list[ConceptWords], found: Correlations) -> np.ndarray:
    """F1 `[concepts]` on the second half of "this latent is past its threshold", all of it chosen on the first half."""
    feature = match(found.first)
    sign = np.sign(_of(found.first, feature))
    scores = [
        _halves_f1(way * features[one.row, column].astype(np.float64), one)
        for one, column, way in zip(concepts, feature, sign, strict=True)
    ]
    return np.where(feature < 0, 0.0, scores)


def probe_f1(concepts: list[ConceptWords], logits: Logits) -> np.ndarray:
    """The same of the probes' own logits `[concepts]`, in place of one latent: what is linearly readable."""
    return np.array([_halves_f1(logit, one) for one, logit in zip(concepts, logits.half, strict=True)])


def _halves_f1(values: np.ndarray, concept: ConceptWords) -> float:
    first = ~concept.second
    above = values > threshold(values[first], concept.after[first])
    return float(f1(above[concept.second], concept.after[concept.second]))
