"""Rows of PCC: autoencoders of activations against the concepts of word pairs, and what stands beside every score.

Words are those of a dataset of pairs in which one concept changes at a time (`bat27`), embedded as any pairs. Features
of a word are the codes of its embedding. What no training made is scored by the same function, as rows of controls: the
embedding's own coordinates (`neurons`), principal directions of the activations (`pca`), as many random directions as
an autoencoder has latents, the autoencoder before its first step, and labels that were permuted before any probe.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import (
    RANDOM_DICTIONARIES,
    Row,
    ScoredCodes,
    Trained,
    common,
    random_directions,
    scored_codes,
    step_of,
)
from shiftscope.metrics import dictionary, pcc
from shiftscope.metrics.dictionary import Reconstruction
from shiftscope.pair_embeddings import PairEmbeddings

PERMUTATIONS = 10
"""draws of permuted labels behind each chance level, of which every concept has its own"""
HEADLINE = ((pcc.PCC, pcc.PCC_COVERAGE, "train"), (pcc.PCC_HELDOUT, pcc.PCC_HELDOUT_COVERAGE, "test"))
"""of in sample and held out: the score of a concept, its coverage, and the split of their rows"""


class Words(NamedTuple):
    """All distinct words of a dataset, their probes, and the probes of permuted labels."""

    embeddings: np.ndarray
    """`[words, d]` float32"""
    concepts: list[pcc.ConceptWords]
    logits: pcc.Logits
    permuted: list[tuple[list[pcc.ConceptWords], pcc.Logits]]
    """draws of labels, each with its probes"""


def words_of(data: PairEmbeddings) -> Words:
    """The words of every concept of a dataset, with probes that were fitted once, and those of permuted labels.

    Raises:
        ShiftScopeError: as `distinct_words` does.
    """
    embeddings, concepts = distinct_words(data)
    draws = [[one.permuted(seed) for one in concepts] for seed in range(PERMUTATIONS)]
    permuted = [(draw, pcc.probe_logits(embeddings, draw)) for draw in draws]
    return Words(embeddings, concepts, pcc.probe_logits(embeddings, concepts), permuted)


def distinct_words(data: PairEmbeddings) -> tuple[np.ndarray, list[pcc.ConceptWords]]:
    """All words of a dataset once each, `[words, d]` float32, and those of every concept by their rows.

    A word is before or after by the sign with which its concept changes in the pair, whichever way the pair was turned.
    Training pairs are the half that chooses, held-out pairs the half that is scored.

    Raises:
        ShiftScopeError: a pair changes several concepts or none, or one half of a concept lacks words of one side;
            names the concept.
    """
    truth = data.truths[data.facts["primary_truth"]][0]
    names = data.facts["truths"][data.facts["primary_truth"]]
    rows = np.concatenate([data.rows("train"), data.rows("test")])
    held = np.isin(rows, data.rows("test"))
    changed, text = truth[rows] != 0, _texts(data)
    if not (changed.sum(1) == 1).all():
        raise ShiftScopeError(
            f"{data.facts['dataset']}: probes need pairs that change one concept each, and "
            f"{int((changed.sum(1) != 1).sum())} do not: choose another dataset of words"
        )
    both = np.concatenate([data.embedding_0[0], data.embedding_1[0]])
    _, place, row = np.unique(text.reshape(-1), return_index=True, return_inverse=True)
    row = row.reshape(2, -1)[:, rows]
    concepts = []
    for column, name in enumerate(names):
        mine = np.flatnonzero(changed[:, column])
        up = truth[rows[mine], column] > 0
        sides = np.stack([row[:, mine].ravel(), np.concatenate([~up, up]), np.tile(held[mine], 2)], 1)
        word, after, second = np.unique(sides.astype(np.int64), axis=0).T
        concepts.append(_checked(pcc.ConceptWords(name, word, after == 1, second == 1), data.facts["dataset"]))
    return both[place], concepts


def _texts(data: PairEmbeddings) -> np.ndarray:
    """The number of every text, `[2, n]`; without numbers all texts differ."""
    n = data.embedding_0.shape[1]
    return np.arange(2 * n).reshape(2, n) if data.text is None else data.text


def _checked(concept: pcc.ConceptWords, dataset: str) -> pcc.ConceptWords:
    for half in (False, True):
        if len(set(concept.after[concept.second == half])) < 2:
            raise ShiftScopeError(
                f"{dataset}: concept {concept.name!r} lacks words of one side in its "
                f"{'held-out' if half else 'training'} pairs, so no probe can be fitted or scored: "
                "give it more pairs, or another `held_out`"
            )
    return concept


def feature_rows(words: Words, features: np.ndarray, on_the_way: bool = False) -> Iterator[Row]:
    """Rows of one feature map on the words, `[words, F]`: PCC per concept, coverage, F1 and selectivity of one latent.

    Of a point on a curve `on_the_way` PCC and coverage alone.
    """
    several = [words.logits] if on_the_way else [words.logits, pcc.labels(words.concepts)]
    found, *known = pcc.correlations_with_each(features, words.concepts, several)
    yield from _headline(words.concepts, found)
    if on_the_way:
        return
    yield {"metric": pcc.PCC_CHOOSING.name, "split": "train", "value": float(pcc.choosing(found).mean())}
    per_concept = {
        pcc.PCC_TRUTH: pcc.held_out(known[0]),
        pcc.LATENT_F1: pcc.latent_f1(features, words.concepts, found),
        pcc.PCC_OTHERS: pcc.others(found),
    }
    for metric, values in per_concept.items():
        yield from _by_concept(metric.name, "test", words.concepts, values)


def reading_rows(words: Words, features: np.ndarray) -> Iterator[Row]:
    """The means over concepts of all ways to read PCC but the headline, of features `[words, F]`."""
    for exponent, readings in itertools.groupby(
        sorted(pcc.READINGS[1:], key=lambda one: one.exponent), lambda one: one.exponent
    ):
        table = pcc.correlations(features, words.concepts, words.logits, exponent)
        for reading in readings:
            for metric, split, read in (
                (pcc.PCC_AS, "train", pcc.in_sample), (pcc.PCC_HELDOUT_AS, "test", pcc.held_out)
            ):  # fmt: skip
                value = float(read(table, reading).mean())
                yield {"metric": metric.name.replace("*", reading.name), "split": split, "value": value}


def permuted_rows(words: Words, features: np.ndarray) -> Iterator[Row]:
    """What the same features `[words, F]` score against probes of permuted labels: means over the draws."""
    values: dict[tuple, list[float]] = {}
    draws = pcc.correlations_with_each(features, words.concepts, [logits for _, logits in words.permuted])
    for (concepts, _), found in zip(words.permuted, draws, strict=True):
        rows = [*_headline(concepts, found)]
        rows += _by_concept(pcc.LATENT_F1.name, "test", concepts, pcc.latent_f1(features, concepts, found))
        for row in rows:
            values.setdefault((row["metric"], row["split"], row.get("concept")), []).append(row["value"])
    for (metric, split, concept), drawn in values.items():
        value = float(np.mean(drawn))
        yield {"metric": metric, "split": split, "concept": concept, "control": "permuted_labels", "value": value}


def _headline(concepts: list[pcc.ConceptWords], found: pcc.Correlations) -> Iterator[Row]:
    for (metric, coverage, split), read in zip(HEADLINE, (pcc.in_sample, pcc.held_out), strict=True):
        values = read(found)
        yield from _by_concept(metric.name, split, concepts, values)
        yield {"metric": coverage.name, "split": split, "value": pcc.coverage(values)}


def _by_concept(metric: str, split: str, concepts: list[pcc.ConceptWords], values: np.ndarray) -> Iterator[Row]:
    for concept, value in zip(concepts, values, strict=True):
        yield {"metric": metric, "split": split, "concept": concept.name, "value": float(value)}


def evaluate_words(data: PairEmbeddings, dataset: str, trained: list[Trained], sample: np.ndarray) -> list[Row]:
    """All rows of the autoencoders that were trained on `dataset`, on the words of `data`, with their controls.

    Of an untrained twin only what its finished autoencoders score, as the control `untrained_lm`. `sample` `[n, d]` are
    activations of the training stream (see `control_rows`).
    """
    words, twin = words_of(data), bool(data.facts["untrained_of"])
    base = common(data, data.facts["dataset"], "test") | {"dataset": dataset}
    rows = [row for one in trained for row in sae_rows(words, one, alone=twin)]
    rows += [] if twin else control_rows(words, sorted({one.n_codes for one in trained}), sample)
    return [base | row for row in rows]


def sae_rows(words: Words, one: Trained, alone: bool = False) -> Iterator[Row]:
    """Rows of all models of one autoencoder of activations, at the end of training and, by `step`, on the way.

    A model at step 0 is the autoencoder before training: its rows are the control `untrained_sae` of its setting.
    `alone`: only finished models, and no controls. All other ways to read PCC are of the setting that tables show.
    """
    for model in one.models:
        at = step_of(one, model)
        if at and alone:
            continue
        for path, scored in enumerate(scored_codes(one, model, words.embeddings)):
            rows = [*feature_rows(words, scored.codes, on_the_way="step" in at), *_error_rows(words, scored)]
            if not (at or alone):
                rows += permuted_rows(words, scored.codes)
            if not at and not path and model.setting == one.chosen:
                rows += reading_rows(words, scored.codes)
            yield from (scored.described | at | row for row in rows)


def _error_rows(words: Words, scored: ScoredCodes) -> Iterator[Row]:
    counted = Reconstruction()
    counted.add(words.embeddings, scored.codes, scored.outputs)
    yield {"metric": dictionary.MSE_WORDS.name, "split": "test", "value": counted.mse}
    yield {"metric": dictionary.FVU_WORDS.name, "split": "test", "value": counted.fvu}
    yield {"metric": dictionary.ACTIVE_LATENTS_WORDS.name, "split": "test", "value": counted.l0}


def control_rows(words: Words, codes: list[int], sample: np.ndarray) -> Iterator[Row]:
    """What no training can change: neurons, principal directions, random directions, and what is linearly readable.

    `codes` are the numbers of latents for which there are as many random directions; `sample` `[n, d]` are activations
    of the training stream, whose principal directions are all taken.
    """
    width = words.embeddings.shape[1]
    principal = np.linalg.eigh(np.cov(sample, rowvar=False, dtype=np.float64))[1]
    maps = {"neurons": words.embeddings, "pca": words.embeddings @ principal.astype(np.float32)}
    for control, features in maps.items():
        rows = [*feature_rows(words, features), *reading_rows(words, features)]
        yield from ({"codes": 0, "control": control} | row for row in rows)
    for size in codes:
        for seed in range(RANDOM_DICTIONARIES):
            features = words.embeddings @ random_directions(size, seed, 0, width).T.astype(np.float32)
            base = {"codes": size, "control": "random_dictionary", "seed": seed}
            yield from (base | row for row in [*feature_rows(words, features), *reading_rows(words, features)])
    readable = pcc.probe_f1(words.concepts, words.logits)
    for row in _by_concept(pcc.LATENT_F1.name, "test", words.concepts, readable):
        yield {"codes": 0, "control": "ceiling"} | row
    for row in _by_concept(pcc.PROBE_ACCURACY.name, "test", words.concepts, words.logits.accuracy):
        yield {"codes": 0} | row
