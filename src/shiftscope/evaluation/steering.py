"""Steering scores as metric rows: on a dataset's own held-out pairs, and on another's (paper A, Fig. 2 and 3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from shiftscope.evaluation.base import RANDOM_DICTIONARIES, Row, Trained, common, described, random_directions
from shiftscope.files import read_parquet
from shiftscope.kinds import Strict
from shiftscope.metrics import steering
from shiftscope.pair_embeddings import PairEmbeddings

logger = logging.getLogger(__name__)

MIN_PAIRS = 4
"""single-concept pairs below which a concept's steering is not scored: too few to halve"""
STEERING = (
    (steering.COSINE_PUBLISHED.name, steering.COSINE_PUBLISHED_SD.name),
    (steering.COSINE_HELDOUT.name, steering.COSINE_HELDOUT_SD.name),
)
"""both scores, each with its spread over pairs"""


def steering_rows(
    data: PairEmbeddings, data_seed: int, directions: np.ndarray | None, bias: np.ndarray | None = None
) -> Iterator[Row]:
    """Both cosine scores of every concept with enough single-concept pairs; without directions those of no steering.

    Pairs of one group cannot be halved, so nothing can be fixed on them, and directions have no score.
    """
    single = data.rows("single")
    for index, concept in enumerate(data.facts["concepts"]):
        rows = single[data.concept[data_seed, single] == index]
        if len(rows) < MIN_PAIRS:
            continue
        source, target = oriented(data, data_seed, rows)
        fit = steering.halves(data.group[rows])
        row = {"split": "single", "concept": concept, "data_seed": data_seed}
        if directions is None:
            published = steering.no_steering(source, target)
            heldout = steering.no_steering(source[~fit], target[~fit])
        elif len(directions) == 0 or not fit.any():
            continue
        else:
            signed = steering.turned(source[fit], target[fit], directions)
            published = steering.cosine_published(source, target, signed, bias)
            heldout = steering.cosine_heldout(source, target, fit, signed)
        yield from score_rows(row, published, heldout)


def oriented(data: PairEmbeddings, data_seed: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings z and z̃ `[n, d]` of single-concept pairs, turned so that the concept changes with sign +1."""
    back = data.sign[data_seed, rows] < 0
    texts = data.embedding_0[data_seed, rows], data.embedding_1[data_seed, rows]
    return np.where(back[:, None], texts[1], texts[0]), np.where(back[:, None], texts[0], texts[1])


class TransferSlice(Strict):
    """The slice of the config of steering between datasets: pairs of a dataset and the one that its vectors are tried on."""

    transfers: list[tuple[str, str]]


def transfers(
    asked: Sequence[tuple[str, str]],
    data: Sequence[PairEmbeddings],
    pairs: Sequence[Path],
    trained: Mapping[str, list[Trained]],
) -> list[Row]:
    """Rows of all pairs of datasets that are asked for; `pairs` are the Parquet files of `data`."""
    named = {one.facts["dataset"]: one for one in data}
    texts = {}
    for dataset, path in zip(named, pairs, strict=True):
        table = read_parquet(path, columns=["text_0", "text_1"])
        texts[dataset] = np.array([table["text_0"].to_pylist(), table["text_1"].to_pylist()], object)
    rows = []
    for dataset, other in asked:
        new = ~np.isin(texts[other], texts[dataset]).any(0)
        rows += transfer_rows(named[dataset], named[other], new, trained[dataset])
    return rows


def transfer_rows(data: PairEmbeddings, other: PairEmbeddings, new: np.ndarray, trained: list[Trained]) -> list[Row]:
    """Steering out of distribution: direction, sign and scale are chosen on `data`, and scored on `other` (paper A, Fig. 3).

    Chosen on all single-concept pairs of `data`, scored on those of `other` with the same concept of which no text
    occurs in `data`: `new`, bool `[n]` over the pairs of `other`.
    """
    facts = data.facts
    base = common(data, other.facts["dataset"], "single") | {"data_seed": 0}
    rows: list[Row] = []
    for concept in facts["concepts"]:
        if concept not in other.facts["concepts"]:
            continue
        known, unseen = _single(data, concept), _single(other, concept)
        unseen = unseen[new[unseen]]
        if min(len(known), len(unseen)) < MIN_PAIRS:
            logger.warning(
                "%s: too few pairs of %s without its texts for %s", facts["dataset"], base["eval_dataset"], concept
            )
            continue
        fitted, scored = oriented(data, 0, known), oriented(other, 0, unseen)
        here = base | {"concept": concept}
        rows += _transferred(here, fitted, scored, trained)
        if not facts["untrained_of"]:
            rows += _transfer_controls(here, fitted, scored, sorted({one.n_codes for one in trained}))
    return rows


def _transferred(here: Row, fitted: tuple, scored: tuple, trained: list[Trained]) -> Iterator[Row]:
    """Rows of the models of every chosen setting."""
    for one in trained:
        for model in one.models:
            directions = model.arrays["decoder"][model.arrays["alive"]]
            if model.setting == one.chosen and len(directions):
                row = here | described(one, model)
                yield from _scored(row, fitted, scored, directions, model.arrays.get("decoder_bias"))


def _transfer_controls(here: Row, fitted: tuple, scored: tuple, sizes: list[int]) -> Iterator[Row]:
    """No steering, and random directions, at every code size."""
    unsteered = steering.no_steering(*scored)
    for n_codes in sizes:
        row = here | {"codes": n_codes}
        for metric, _ in STEERING:
            yield row | {"control": "no_steering", "metric": metric, "value": unsteered.mean}
        for seed in range(RANDOM_DICTIONARIES):
            directions = random_directions(n_codes, seed, 0, fitted[0].shape[1])
            random = row | {"control": "random_dictionary", "seed": seed}
            yield from _scored(random, fitted, scored, directions, None)


def _single(data: PairEmbeddings, concept: str) -> np.ndarray:
    rows = data.rows("single")
    return rows[data.concept[0, rows] == data.facts["concepts"].index(concept)]


def _scored(row: Row, fitted: tuple, scored: tuple, directions: np.ndarray, bias: np.ndarray | None) -> Iterator[Row]:
    best = steering.fit_direction(*fitted, directions)
    published = steering.cosine_published(*scored, steering.turned(*fitted, directions), bias)
    yield from score_rows(row, published, steering.cosine_moved(*scored, best, directions))


def score_rows(row: Row, published: steering.Score, heldout: steering.Score) -> Iterator[Row]:
    """Both cosine scores, each with its spread over pairs."""
    for (metric, spread), score in zip(STEERING, (published, heldout), strict=True):
        yield row | {"metric": metric, "value": score.mean}
        yield row | {"metric": spread, "value": score.sd}
