"""Rows of the log-posterior test: representations of contexts of a grammar against what the grammar says of its concepts.

Paper B's Theorem 3.1 has a representation linear in the joint log-posterior, for one law of what follows. A context here
belongs to a slot: the words that can follow it. A joint form is tested in the slot with most contexts, a single concept's in
all slots, each with a mean of its own. Only contexts count in which every value of a concept is possible.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shiftscope.activations.last_token import embed_layers
from shiftscope.activations.model import load
from shiftscope.corpora._grammars import grammar_of
from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.evaluation.base import Row
from shiftscope.files import read_json
from shiftscope.generative.grammar import Grammar
from shiftscope.kinds import Strict
from shiftscope.lms.base import LmManifest, read_manifest
from shiftscope.metrics import posterior
from shiftscope.metrics.probing import INVERSION_ERROR
from shiftscope.vocabulary import JOINT, NULL

logger = logging.getLogger(__name__)

HALVES = 3
"""random halves of the contexts, each a value of the scores"""
FEWEST, IN_SLOT = 60, 10
"""contexts below which nothing is tested, and of a slot below which it is left out"""
LEVELS = 10
"""distinct posteriors below which it is said that a regression tells which of a few it is, more than how linear they are"""
DEPTHS = 5
"""groups of contexts by the number of words read, in each of which as many count"""
TRIES = 20
"""documents drawn for a context at most"""
LAST = "final_norm"
WAYS = (posterior.POSTERIOR_R2, posterior.REPRESENTATION_R2)


class PosteriorSlice(Strict):
    """The slice of the config of a log-posterior test: the language model, and what is asked of it."""

    lm: str
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None
    contexts: int
    joint: list[list[str]]
    seed: int


class Prefixes(NamedTuple):
    """Beginnings of documents, no text twice, and what is known of each."""

    words: list[tuple[str, ...]]
    values: list[dict[str, str]]
    """that concepts have in the document, whether or not it has told them"""
    beliefs: list
    slot: np.ndarray
    """`[n]`: contexts that the same words can follow have one number"""
    log_probability: np.ndarray
    """`[n]`, nats"""

    @property
    def depth(self) -> np.ndarray:
        """Words read `[n]`."""
        return np.array([len(one) for one in self.words])


class Known(NamedTuple):
    """What the contexts that count say of a set of concepts."""

    name: str
    rows: np.ndarray
    """numbers of the contexts `[m]`"""
    posterior: np.ndarray
    """`[m, values]`, all above 0"""
    drawn: np.ndarray
    """`[m]`: the value in the document, a column of `posterior`"""
    slot: np.ndarray
    """`[m]`"""

    def half(self, seed: int) -> np.ndarray:
        """Which contexts are fitted, bool `[m]`: half of each slot at random."""
        order = np.random.default_rng(seed).permutation(len(self.rows))
        fit, seen = np.zeros(len(order), bool), {}
        for row in order:
            seen[self.slot[row]] = not seen.get(self.slot[row], False)
            fit[row] = seen[self.slot[row]]
        return fit

    def some(self, which: np.ndarray) -> Known:
        """Those of the contexts `which`, bool `[m]`."""
        return Known(self.name, *(column[which] for column in self[1:]))


def draw_contexts(grammar: Grammar, number: int, seed: int) -> Prefixes:
    """Beginnings of documents that the grammar draws, of a length drawn evenly, at most `number`."""
    generator, found = random.Random(f"contexts {seed}"), {}
    for _ in range(TRIES * number):
        if len(found) == number:
            break
        words, values = grammar.sample(generator)
        found.setdefault(tuple(words[: generator.randint(1, len(words))]), values)
    beliefs = [grammar.beliefs(words) for words in found]
    slots: dict[frozenset, int] = {}
    following = [slots.setdefault(frozenset(grammar.next_words(one)), len(slots)) for one in beliefs]
    logs = np.array([grammar.log_probability(words) for words in found])
    return Prefixes(list(found), list(found.values()), beliefs, np.array(following), logs)


def known_of(grammar: Grammar, contexts: Prefixes, concepts: Sequence[str], one_slot: bool) -> tuple[Known, float]:
    """The contexts in which every joint value of some concepts is possible, and the share of those that are left out.

    Raises:
        ShiftScopeError: the grammar has no such concept; names the nearest.
    """
    for concept in concepts:
        if concept not in grammar.concepts:
            raise ShiftScopeError(
                f"posterior: {unknown(f'the concept {concept!r} of `joint`', concept, grammar.concepts)}"
            )
    joint = list(itertools.product(*(grammar.concepts[name].values for name in concepts)))
    laws = [grammar.posterior(one, concepts) for one in contexts.beliefs]
    table = np.array([[law.get(values, 0.0) for values in joint] for law in laws])
    counts = (table > 0).all(1)
    slots, sizes = np.unique(contexts.slot[counts], return_counts=True)
    kept = slots[sizes >= IN_SLOT]
    if one_slot and len(kept):
        kept = slots[[sizes.argmax()]]
    counts &= np.isin(contexts.slot, kept)
    rows = np.flatnonzero(counts)
    place = {values: number for number, values in enumerate(joint)}
    drawn = np.array([place[tuple(contexts.values[row][name] for name in concepts)] for row in rows], int)
    found = Known(JOINT.join(concepts), rows, table[rows], drawn, contexts.slot[rows])
    return found, 1 - len(rows) / len(counts)


def bag_of_tokens(contexts: Prefixes) -> np.ndarray:
    """How often each word stands in each context, `[n, words]`."""
    place = {word: number for number, word in enumerate(sorted({word for one in contexts.words for word in one}))}
    counts = np.zeros((len(contexts.words), len(place)))
    for row, words in enumerate(contexts.words):
        for word in words:
            counts[row, place[word]] += 1
    return counts


class Representation(NamedTuple):
    """Representations of all contexts `[n, d]`, and what their rows share."""

    about: Row
    values: np.ndarray


def read_all(asked: PosteriorSlice, contexts: Prefixes, folder: Path, twin: Path | None) -> list[Representation]:
    """Representations of the language model at every layer, of its checkpoints at the last, and of its twin at every layer.

    Raises:
        ShiftScopeError: the twin is one of another language model.
    """
    from shiftscope.training.language_model import at_step, kept_steps

    texts = [" ".join(words) for words in contexts.words]
    manifest = read_manifest(folder)
    layers = [*(f"resid_post.{block}" for block in range(manifest["n_layers"])), LAST]

    def read(model: object, tokenizer: object, layers: Sequence[str], about: Row) -> list[Representation]:
        found = embed_layers(model, tokenizer, texts, layers, batch_tokens=asked.batch_tokens)
        return [Representation(about | {"layer": layer}, values) for layer, values in found.items()]

    model, tokenizer = load(folder, asked.dtype, asked.device_map)
    readings = read(model, tokenizer, layers, {})
    for step in kept_steps(folder):
        if 0 < step < manifest["source"]["steps"]:
            readings += read(at_step(model, folder, step), tokenizer, [LAST], {"step": step})
    if twin is not None:
        if read_manifest(twin)["untrained_of"] != asked.lm:
            raise ShiftScopeError(f"{twin} is not the untrained twin of {asked.lm}: give that one's manifest")
        readings += read(*load(twin, asked.dtype, asked.device_map), layers, {"control": "untrained_lm"})
    return readings


def evaluate(asked: PosteriorSlice, folder: Path, corpus_manifest: Path, twin: Path | None) -> list[Row]:
    """All rows of one language model that was trained on a grammar.

    Args:
        asked: what is asked.
        folder: of the language model.
        corpus_manifest: of the corpus that it learned from.
        twin: folder of its untrained twin, None if there is none.

    Raises:
        ShiftScopeError: the corpus is another than the language model's, or nothing can be tested.
    """
    corpus, manifest = read_json(corpus_manifest), read_manifest(folder)
    _check_corpus(corpus, manifest, corpus_manifest)
    grammar = grammar_of(corpus)
    contexts = draw_contexts(grammar, asked.contexts, asked.seed)
    readings, bag = read_all(asked, contexts, folder, twin), bag_of_tokens(contexts)
    base = {
        "dataset": corpus["corpus"], "eval_dataset": corpus["corpus"], "lm": asked.lm, "split": "test", "variant": "", "kind": "",
        "codes": 0, "params": "{}", "selected": True, "control": "", "layer": LAST, "data_seed": 0,
    }  # fmt: skip
    rows: list[Row] = []
    for concepts in [*([name] for name in grammar.concepts), *asked.joint]:
        known, excluded = known_of(grammar, contexts, concepts, one_slot=len(concepts) > 1)
        name = known.name + (NULL if concepts[0] in corpus["null"] and len(concepts) == 1 else "")
        rows += [
            base | {"concept": name, "layer": layer, "metric": posterior.POSTERIOR_EXCLUDED.name, "value": excluded}
            for layer in dict.fromkeys(one.about["layer"] for one in readings)
        ]
        if not _testable(known, excluded, corpus["corpus"]):
            continue
        rows += [base | {"concept": name} | row for row in _of_concepts(known, readings, bag, contexts)]
        if len(concepts) > 1:
            rows += [
                base | {"concept": name} | row for row in _by_depth(known, readings, bag, contexts, corpus["corpus"])
            ]
    if all(row["metric"] == posterior.POSTERIOR_EXCLUDED.name for row in rows):
        raise ShiftScopeError(
            f"no concept of {corpus['corpus']} is uncertain in a graded way in {len(contexts.words)} contexts, so no "
            "log-posterior can be tested: let words hint at concepts, as those of the corpus `hints` do"
        )
    return rows


def _check_corpus(corpus: Mapping, manifest: LmManifest, path: Path) -> None:
    if corpus["sha256"] != manifest.get("corpus_sha256"):
        raise ShiftScopeError(f"{path} is not the corpus that {manifest['lm']} learned from: give that one's manifest")


def _testable(known: Known, excluded: float, corpus: str) -> bool:
    """Whether there are contexts enough in which the log-posterior varies; says so where there are not."""
    enough = len(known.rows) >= FEWEST
    if enough and posterior.predict(known.slot[:, None], posterior.centred(known.posterior), known.half(0), known.slot):
        levels = len(np.unique(known.posterior.round(6), axis=0))
        if levels < LEVELS:
            logger.warning("%s: %s has %d distinct posteriors: R² tells them apart more than it tells how linear they are",
                           corpus, known.name, levels)  # fmt: skip
        return True
    why = (
        "its log-posterior is the same wherever it is uncertain" if enough else f"only {len(known.rows)} contexts count"
    )
    logger.warning("%s: %s is not tested: %s (%.0f %% left out)", corpus, known.name, why, 100 * excluded)
    return False


def _of_concepts(known: Known, readings: list[Representation], bag: np.ndarray, contexts: Prefixes) -> Iterator[Row]:
    """Rows of a set of concepts: both ways at every layer and checkpoint, controls, calibration, and where it fails."""
    target, bag = posterior.centred(known.posterior), bag[known.rows]
    for seed in range(HALVES):
        fit = known.half(seed)
        mixed = _mixed_within(known.slot, fit, seed)
        here = {"seed": seed}
        told = _score(bag, target, fit, known.slot)
        for reading in readings:
            values = reading.values[known.rows]
            yield from _both_ways(values, target, fit, known.slot, here | reading.about)
            if reading.about.get("control") or "step" in reading.about:
                continue
            yield from _both_ways(
                values, target[mixed], fit, known.slot, here | reading.about | {"control": "permuted_labels"}
            )
            counted = here | reading.about | {"control": "bag_of_tokens"}
            yield from _rows_of(posterior.POSTERIOR_R2.name, told, counted)
            if reading.about["layer"] == LAST:
                yield from _rows_of(posterior.REPRESENTATION_R2.name, _score(bag, values, fit, known.slot), counted)
                yield from _where(known, values, target, fit, contexts, here)
        yield from _calibration(known, readings, bag, fit, here)


def _mixed_within(slot: np.ndarray, fit: np.ndarray, seed: int) -> np.ndarray:
    """A random order `[n]` in which no context leaves its slot or its half."""
    place, generator = np.arange(len(slot)), np.random.default_rng([1, seed])
    for one in np.unique(slot):
        for half in (fit, ~fit):
            mine = np.flatnonzero((slot == one) & half)
            place[mine] = generator.permutation(mine)
    return place


def _score(inputs: np.ndarray, targets: np.ndarray, fit: np.ndarray, slot: np.ndarray) -> float | None:
    found = posterior.predict(inputs, targets, fit, slot)
    return found and found.r2


def _rows_of(metric: str, value: float | None, about: Row) -> Iterator[Row]:
    if value is not None:
        yield about | {"metric": metric, "value": value}


def _both_ways(values: np.ndarray, target: np.ndarray, fit: np.ndarray, slot: np.ndarray, about: Row) -> Iterator[Row]:
    for metric, (inputs, wanted) in zip(WAYS, ((values, target), (target, values)), strict=True):
        yield from _rows_of(metric.name, _score(inputs, wanted, fit, slot), about)


def _calibration(
    known: Known, readings: list[Representation], bag: np.ndarray, fit: np.ndarray, here: Row
) -> Iterator[Row]:
    """How far a logistic probe's probabilities are from the exact ones: of the last layer, its twin's, and counts of words."""
    at_end = [one for one in readings if one.about["layer"] == LAST and "step" not in one.about]
    inputs = [(one.about, one.values[known.rows]) for one in at_end]
    inputs.append(({"control": "bag_of_tokens"}, bag))
    for about, values in inputs:
        error = posterior.probability_error(values, known.drawn, known.posterior, fit)
        yield here | about | {"metric": posterior.POSTERIOR_CALIBRATION.name, "value": error}
    order = np.random.default_rng(0).permutation(len(fit))
    mixed = posterior.probability_error(inputs[0][1], known.drawn[order], known.posterior, fit)
    about = {"control": "permuted_labels", "metric": posterior.POSTERIOR_CALIBRATION.name}
    yield here | about | {"value": mixed}


def _where(
    known: Known, values: np.ndarray, target: np.ndarray, fit: np.ndarray, contexts: Prefixes, here: Row
) -> Iterator[Row]:
    """The error by thirds of the contexts: of the posterior's entropy, of depth, and of how rare the context is."""
    found = posterior.predict(values, target, fit, known.slot)
    if found is None:
        return
    rows = known.rows[~fit]
    entropy = -(known.posterior[~fit] * np.log(known.posterior[~fit])).sum(1)
    by = {"entropy": entropy, "depth": contexts.depth[rows], "rarity": -contexts.log_probability[rows]}
    for name, values_of in by.items():
        third = np.searchsorted(np.quantile(values_of, [1 / 3, 2 / 3]), values_of)
        for number, called in enumerate(posterior.THIRDS):
            if (third == number).any():
                metric = posterior.POSTERIOR_ERROR.name.replace("*", f"{name}_{called}")
                yield here | {"metric": metric, "value": float(found.errors[third == number].mean())}


def _by_depth(
    known: Known, readings: list[Representation], bag: np.ndarray, contexts: Prefixes, corpus: str
) -> Iterator[Row]:
    """Both ways among contexts of about equal length, each with its ε: how far the most probable joint value is from certain."""
    depth = contexts.depth[known.rows]
    edges = np.unique(np.quantile(depth, np.linspace(0, 1, DEPTHS + 1)[1:-1], method="nearest"))
    group = np.searchsorted(edges, depth)
    at_end = [one for one in readings if one.about["layer"] == LAST and "step" not in one.about]
    inputs = [(one.about, one.values) for one in at_end] + [({"control": "bag_of_tokens"}, bag)]
    numbers, sizes = np.unique(group, return_counts=True)
    numbers = numbers[sizes >= FEWEST]
    size = sizes[sizes >= FEWEST].min(initial=len(group))
    for number in numbers:
        rows = np.flatnonzero(group == number)
        drawn = np.random.default_rng(0).permutation(rows)[:size]  # as many as any other has, for R² depends on it
        mine = known.some(np.isin(np.arange(len(group)), drawn))
        shortest, longest = depth[rows].min(), depth[rows].max()
        name = f"{corpus}, {shortest} to {longest} words" if shortest < longest else f"{corpus}, {shortest} words"
        here = {"dataset": name, "eval_dataset": name}
        error = float(1 - mine.posterior.max(1).mean())
        yield here | {"metric": INVERSION_ERROR.name, "value": error}
        target = posterior.centred(mine.posterior)
        for seed in range(HALVES):
            fit = mine.half(seed)
            for about, values in inputs:
                yield from _both_ways(values[mine.rows], target, fit, mine.slot, here | {"seed": seed} | about)
