"""Texts that a language model writes under steering, and what its grammar says of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shiftscope.evaluation.base import Row
from shiftscope.evaluation.causal_pairs import CausalSlice, ConceptPairs, Laws
from shiftscope.generative.grammar import END, Grammar
from shiftscope.metrics import causal

ODDS = 2.0
"""from which on a text is likelier after one of two texts than after the other"""


def steered_texts(
    pairs: ConceptPairs, vector: np.ndarray | None, asked: CausalSlice, laws: Laws, variant: str, given: int = 0
) -> tuple[list[Row], list[dict]]:
    """Scores of what is written after texts (of side `given`) under steering, and samples."""
    some = pairs.some(np.ones(len(pairs.before), bool), asked.written)
    written = laws.law.write(some.texts[given], vector, asked.seed)
    judged = [
        judge(laws.grammar, *both, text) for both, text in zip(zip(*some.texts, strict=True), written, strict=True)
    ]
    ways = [way for way, _ in judged]
    logs = [value for _, value in judged if value is not None]
    rows = [
        {"metric": causal.STEERED_SUCCESS.name, "value": ways.count("target") / len(ways)},
        {"metric": causal.STEERED_BROKEN.name, "value": ways.count("neither") / len(ways)},
    ]
    rows += [{"metric": causal.STEERED_FLUENCY.name, "value": float(np.mean(logs))}] if logs else []
    samples = [
        {"dataset": pairs.dataset, "concept": pairs.concept, "variant": variant, "text": text, "counterfactual": other,
         "written": found.strip(), "judged": way}
        for text, other, found, way in list(zip(*some.texts, written, ways, strict=True))[: asked.samples]
    ]  # fmt: skip
    return rows, samples


def unsteered_texts(pairs: ConceptPairs, asked: CausalSlice, laws: Laws) -> Iterator[Row]:
    """The same of what is written without steering: after the text itself, and, as a ceiling, after the counterfactual one."""
    for control, given in (("no_steering", 0), ("ceiling", 1)):
        rows, _ = steered_texts(pairs, None, asked, laws, "", given)
        yield from (row | {"control": control} for row in rows)


def judge(grammar: Grammar, text: str, other: str, written: str) -> tuple[str, float | None]:
    """What of `shiftscope.vocabulary.WRITTEN` a written text is, and its exact log-probability a word after the counterfactual text, None if impossible.

    Args:
        grammar: parses.
        text: what was read; other: the counterfactual text.
        written: what was written after it; with a line feed at its end, the end of the document.
    """
    words = written.split() + ([END] if written.endswith("\n") else [])
    if not words:
        return "either", None
    after, before = (grammar.log_probability(words, one.split()) for one in (other, text))
    if max(after, before) == -np.inf:
        return "neither", None
    odds = after - before
    way = "target" if odds > np.log(ODDS) else "source" if odds < -np.log(ODDS) else "either"
    return way, after / len(words) if after > -np.inf else None
