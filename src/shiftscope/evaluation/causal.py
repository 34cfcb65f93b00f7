"""Rows of steering as a causal test: what vectors of every variant do to the next token's law, and to what is written.

Of a variant's directions the one that is added is chosen on one half of a concept's single-concept pairs, by the cosine that it
reaches; of a sparse autoencoder of activations it is the latent whose code tells the two sides of those pairs apart best, as PCC
matches one, and so of as many random directions. Sign, scale and dose are then fitted there, for all alike, and scored on the
other half.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shiftscope.activations.model import load
from shiftscope.corpora._grammars import grammar_of
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import (
    RANDOM_DICTIONARIES,
    Row,
    Trained,
    described,
    random_directions,
    read_trained,
    step_of,
)
from shiftscope.evaluation.causal_pairs import (
    FEWEST,
    CausalSlice,
    ConceptPairs,
    Laws,
    OtherPairs,
    concepts_of,
    evenly,
    kinship,
)
from shiftscope.evaluation.causal_texts import steered_texts, unsteered_texts
from shiftscope.evaluation.recommendation import recommend, recommended_rows
from shiftscope.evaluation.selection import chosen, selections
from shiftscope.files import read_json, read_parquet
from shiftscope.metrics import causal
from shiftscope.metrics.correlation import signed_correlation
from shiftscope.metrics.steering import fit_direction, halves
from shiftscope.pair_embeddings import PairEmbeddings, read_embeddings
from shiftscope.steering.next_law import NextLaw

logger = logging.getLogger(__name__)

MOST_CONCEPTS = 6
"""of a dataset that are steered, evenly among those that have pairs enough"""


class Method(NamedTuple):
    """Unit directions `[k, d]` of one model or control, among which one is fitted, and what its rows share."""

    about: Row
    directions: np.ndarray
    first: bool
    """whether it is the one of its variant whose texts are written and whose effect on other concepts is measured"""


class SteeredConcept(NamedTuple):
    """What is steered: pairs to choose on and to score, with the laws that each should get and has."""

    fit: ConceptPairs
    scored: ConceptPairs
    wanted: tuple[np.ndarray, np.ndarray]
    """of `fit` and `scored`"""
    unsteered: tuple[np.ndarray, np.ndarray]
    probe: causal.Probe | None
    """of the scored pairs"""


def evaluate(
    asked: CausalSlice, data: Mapping[str, PairEmbeddings], texts: Mapping[str, tuple[list[str], list[str]]],
    trained: Mapping[str, list[Trained]], laws: Laws,
) -> tuple[list[Row], list[dict]]:  # fmt: skip
    """Rows of all datasets on one language model, and samples of what was written.

    Args:
        asked: what is asked.
        data: embeddings of all its datasets, by name, and of `others`.
        texts: both texts of every pair, by dataset.
        trained: by dataset of pairs its variants, with the settings that were chosen, and by store its autoencoders.
        laws: of the language model.

    Raises:
        ShiftScopeError: no dataset has single-concept pairs enough.
    """
    others = [_halved(one, asked)[1] for name in asked.others for one in concepts_of(data[name], texts[name])]
    columns = [
        OtherPairs(one, laws.own(one), laws.after(one), laws.counterfactual(one)) for one in others if laws.apart(one)
    ]
    streamed = [one for models in trained.values() for one in models if one.variant.reads == "activations"]
    rows: list[Row] = []
    samples: list[dict] = []
    for name in asked.datasets:
        concepts = concepts_of(data[name], texts[name])
        seen = _seen(data[name], texts[name], concepts, asked)
        unseen = [one.without(seen) for one in columns]
        unseen = [one for one in unseen if len(one.pairs.before) >= FEWEST]
        for place in evenly(len(concepts), MOST_CONCEPTS):
            case = _case(concepts[place], asked, laws)
            if case is None:
                continue
            base = _base(data[name], concepts[place].concept)
            rows += [base | row for row in _ceiling(case, laws)]
            methods = [*_methods(trained[name], asked.variants), *_latents(streamed, case.fit)]
            for method in methods:
                found = _of_method(method, case, unseen, asked, laws)
                rows += [base | method.about | row for row in found[0]]
                samples += found[1]
            if laws.grammar is not None:
                rows += [base | row for row in unsteered_texts(case.scored, asked, laws)]
    if not rows:
        raise ShiftScopeError(
            f"no dataset of {asked.lm} has a concept with {FEWEST} pairs in two groups in which it alone changes: steer others"
        )
    return rows, samples


class CausalInputs(NamedTuple):
    """The files that a causal test reads: every dataset has one in each of the first three lists."""

    lm: Path
    """the language model's folder"""
    embeddings: Sequence[Path]
    manifests: Sequence[Path]
    pairs: Sequence[Path]
    weights: Sequence[Path]
    sidecars: Sequence[Path]
    corpus_manifest: Path | None
    """of a language model that learned from a grammar"""


def measured(asked: CausalSlice, inputs: CausalInputs) -> tuple[list[Row], list[dict]]:
    """All rows of one language model, with those of what is recommended, and samples of what was written.

    Raises:
        ShiftScopeError: as `evaluate` does, or a text is none of the grammar.
    """
    data = [read_embeddings(*both) for both in zip(inputs.embeddings, inputs.manifests, strict=True)]
    named = {one.facts["dataset"]: one for one in data}
    texts = {}
    for name, path in zip(named, inputs.pairs, strict=True):
        table = read_parquet(path, columns=["text_0", "text_1"])
        texts[name] = table["text_0"].to_pylist(), table["text_1"].to_pylist()
    trained = read_trained(list(inputs.weights), list(inputs.sidecars))
    for name in asked.datasets:
        trained[name] = chosen(trained[name], selections(named[name], trained[name]))
    model, tokenizer = load(inputs.lm, asked.dtype, asked.device_map)
    grammar = inputs.corpus_manifest and grammar_of(read_json(inputs.corpus_manifest))
    law = NextLaw(model, tokenizer, str(data[0].facts["layer"]), asked.batch_tokens)
    rows, samples = evaluate(asked, named, texts, trained, Laws(law, grammar))
    for name in asked.recommended_on:
        found = recommend(named[name], trained[name])
        rows += recommended_rows([row for row in rows if row["dataset"] == name], found)
    return rows, samples


def _seen(
    data: PairEmbeddings, texts: tuple[list[str], list[str]], concepts: Sequence[ConceptPairs], asked: CausalSlice
) -> set[str]:
    """Texts that vectors of a dataset were trained or fitted on."""
    fitted = [_halved(one, asked)[0].texts for one in concepts]
    trained = [[side[row] for row in data.rows("train")] for side in texts]
    return {text for both in [trained, *fitted] for side in both for text in side}


def _base(data: PairEmbeddings, concept: str) -> Row:
    facts = data.facts
    return {
        "dataset": facts["dataset"], "eval_dataset": facts["dataset"], "lm": facts["lm"], "layer": facts["layer"], "split": "single",
        "variant": "", "kind": "", "codes": 0, "params": "{}", "selected": True, "control": "", "data_seed": 0, "concept": concept,
    }  # fmt: skip


def _halved(pairs: ConceptPairs, asked: CausalSlice) -> tuple[ConceptPairs, ConceptPairs]:
    """The half to choose on and the half to score; pairs of one group are all scored."""
    fit = halves(pairs.group, asked.seed)
    return pairs.some(fit, asked.pairs), pairs.some(~fit, asked.pairs)


def _case(pairs: ConceptPairs, asked: CausalSlice, laws: Laws) -> SteeredConcept | None:
    both = _halved(pairs, asked)
    if not len(both[0].before):
        logger.warning("%s: the pairs of %s are of one group, so it is not steered", pairs.dataset, pairs.concept)
        return None
    if not all(laws.apart(one) for one in both):
        logger.warning("%s: %s hardly changes the next token, so it is not steered", pairs.dataset, pairs.concept)
        return None
    scored = both[1]
    wanted = tuple(laws.counterfactual(one) for one in both)
    unsteered = tuple(laws.own(one) for one in both)
    return SteeredConcept(*both, wanted, unsteered, causal.probe_of(scored.before, scored.after, scored.group))


def _methods(trained: Sequence[Trained], variants: Sequence[str]) -> Iterator[Method]:
    """Every model of the chosen settings, and as many random directions at every code size."""
    wanted = [one for one in trained if one.facts["variant"] in variants]
    for one in wanted:
        models = [model for model in one.models if model.setting == one.chosen and model.data_seed == 0]
        for number, model in enumerate(models):
            directions = model.arrays["decoder"][model.arrays["alive"]]
            if len(directions):
                yield Method(described(one, model), directions, number == 0)
    width = wanted[0].models[0].arrays["decoder"].shape[1] if wanted else 0
    for codes in sorted({one.n_codes for one in wanted}):
        for seed in range(RANDOM_DICTIONARIES):
            about = {"codes": codes, "seed": seed, "control": "random_dictionary"}
            yield Method(about, random_directions(codes, seed, 0, width).astype(np.float32), False)


def _latents(streamed: Sequence[Trained], fit: ConceptPairs) -> Iterator[Method]:
    """Of each sparse autoencoder of activations the latent that tells the fitted pairs' two sides apart best, by correlation."""
    side = np.repeat([0.0, 1.0], len(fit.before))[:, None]
    inputs = np.concatenate([fit.before, fit.after])
    for one in streamed:
        done = [model for model in one.models if model.setting == one.chosen and not step_of(one, model)]
        for number, model in enumerate(done):
            codes = one.variant.encode(model.arrays, inputs)
            correlation = np.abs(signed_correlation(codes, side)[:, 0])
            about = described(one, model) | {"data_seed": 0}
            yield Method(about, model.arrays["decoder"][[int(np.nan_to_num(correlation).argmax())]], number == 0)
    for codes in sorted({one.n_codes for one in streamed}):
        for seed in range(RANDOM_DICTIONARIES):
            directions = random_directions(codes, seed, 0, inputs.shape[1]).astype(np.float32)
            correlation = np.abs(signed_correlation(inputs @ directions.T, side)[:, 0])
            about = {"codes": codes, "seed": seed, "control": "random_dictionary"}
            yield Method(about, directions[[int(correlation.argmax())]], False)


def _of_method(
    method: Method, case: SteeredConcept, columns: Sequence[OtherPairs], asked: CausalSlice, laws: Laws
) -> tuple[list[Row], list[dict]]:
    """Dose–response and the score at the chosen dose of one model; of the first of its variant also what else it does."""
    best = fit_direction(case.fit.before, case.fit.after, method.directions)
    vector = (best.scale * method.directions[best.direction]).astype(np.float32)
    best_dose = max(
        asked.doses,
        key=lambda dose: causal.removed(case.wanted[0], case.unsteered[0], laws.own(case.fit, vector, dose)),
    )
    rows: list[Row] = []
    for dose in asked.doses:
        steered = laws.own(case.scored, vector, dose)
        value = {"metric": causal.KL_REMOVED.name, "value": causal.removed(case.wanted[1], case.unsteered[1], steered)}
        if method.first:
            rows.append(value | {"dose": dose})
        rows += [value] if dose == best_dose else []
    dosed = best_dose * vector
    rows += [{"metric": causal.PROBE_MOVED.name, "value": case.probe.moved(dosed)}] if case.probe else []
    if not method.first:
        return rows, []
    rows += _elsewhere(case.scored, vector, best_dose, columns, laws)
    if laws.grammar is None:
        return rows, []
    written, samples = steered_texts(case.scored, dosed, asked, laws, method.about["variant"])
    return rows + written, samples


def _elsewhere(
    steered: ConceptPairs, vector: np.ndarray, dose: float, columns: Sequence[OtherPairs], laws: Laws
) -> Iterator[Row]:
    """What the vector of one concept does in pairs in which it changes, and in those in which another does."""
    for column in columns:
        kin = kinship(steered.concept, column.pairs.concept, laws.grammar)
        if kin is None:
            continue
        law = laws.own(column.pairs, vector, dose)
        named = {"concept_2": column.pairs.concept, "eval_dataset": column.pairs.dataset}
        moved = causal.LAW_MOVED if kin == "same" else causal.LAW_MOVED_OTHERS
        yield named | {"metric": moved.name, "value": causal.law_moved(column.first, column.second, law)}
        if kin == "same":
            value = causal.removed(column.wanted, column.first, law)
            yield named | {"metric": causal.KL_REMOVED_ELSEWHERE.name, "value": value}


def _ceiling(case: SteeredConcept, laws: Laws) -> Iterator[Row]:
    """What the language model itself removes when it reads the counterfactual text."""
    value = causal.removed(case.wanted[1], case.unsteered[1], laws.after(case.scored))
    yield {"metric": causal.KL_REMOVED.name, "value": value, "control": "ceiling"}
