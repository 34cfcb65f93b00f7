"""Behaviour on TruthfulQA's held-out questions before and after steering: mc1, mc2, and perplexity of neutral text.

Doses are multiples of an exported vector, at both signs; a positive dose points from wrong to right answers of the
training questions. No dose is scored on the questions it was chosen on. Beside every vector stand random directions
of its length, which choose their dose in the same way.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Row
from shiftscope.files import canonical_json
from shiftscope.kinds import Strict
from shiftscope.metrics import truthfulness
from shiftscope.metrics.steering import halves
from shiftscope.metrics.truthfulness import mc1, mc2
from shiftscope.pair_embeddings import PairEmbeddings, read_embeddings
from shiftscope.pairs._questions import Question, QuestionDataset
from shiftscope.pairs._split import shuffled
from shiftscope.pairs.base import dataset_of
from shiftscope.steering.likelihood import Text, log_probabilities
from shiftscope.steering.vectors import VectorFacts, read_about, read_vectors

FEWEST = 4
"""questions: two to choose a dose on and two to score, at the very least"""


class Asked(Strict):
    """What is measured: the config's entry of `behaviour`, less what the rule resolves."""

    doses: list[float]
    random: int
    all_seeds: bool
    questions: int | None
    perplexity_rise: float
    seed: int


class BehaviourSlice(Strict):
    """The slice of the config of a measurement of behaviour; `kind` and `params` are the dataset's, `params` without `path`."""

    lm: str
    dataset: str
    kind: str
    params: dict[str, Any]
    dtype: str
    batch_tokens: int
    behaviour: Asked
    files_sha256: str | None = None


class Direction(NamedTuple):
    """A vector `[d]` that is added in several doses; `seed` is that of the model, or of the random draw."""

    variant: str
    kind: str
    codes: int
    params: str
    control: str
    seed: int
    concept: str
    vector: np.ndarray


class Outcome(NamedTuple):
    """What is measured under each of S steerings: mc1 and mc2 of each question `[Q, S]`, and perplexity `[S]`."""

    mc1: np.ndarray
    mc2: np.ndarray
    perplexity: np.ndarray


def towards_right(data: PairEmbeddings) -> np.ndarray:
    """The mean shift `[d]` of the training pairs, each from its wrong to its right answer."""
    rows = data.rows("train")
    return (data.shifts(0, "train") * data.sign[0, rows, None]).mean(0)


def directions_of(
    about: VectorFacts,
    params: str,
    vectors: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray],
    right: np.ndarray,
    random: int,
) -> list[Direction]:
    """The exported vectors of one variant, and `random` draws of as many directions of the same lengths.

    Args:
        about: the vectors' metadata (docs/steering-vectors.md); `params` is its setting as canonical JSON.
        vectors: of the medoid seed, by name; others: of the other seeds, by `seed_3.name`.
        right: `[d]`; every vector is turned to have a positive product with it, for a code's own sign is arbitrary.
    """
    named = [(about["seed"], name, vectors[name]) for name in about["names"]]
    for name, vector in sorted(others.items()):
        seed, _, concept = name.partition(".")
        named.append((int(seed.removeprefix("seed_")), concept, vector))
    drawn = [(draw, f"random_{index}", vector) for draw in range(random)
             for index, vector in enumerate(_random(draw, [vectors[name] for name in about["names"]]))]  # fmt: skip
    head = about["variant"], about["kind"], about["codes"], params
    found = [Direction(*head, "", *one) for one in named]
    found += [Direction(*head, "random_dictionary", *one) for one in drawn]
    return [one._replace(vector=-one.vector if one.vector @ right < 0 else one.vector) for one in found]


def _random(draw: int, like: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(draw)
    for vector in like:
        one = generator.normal(size=vector.shape)
        yield (one * np.linalg.norm(vector) / np.linalg.norm(one)).astype(np.float32)


def steerings_of(directions: Sequence[Direction], doses: Sequence[float]) -> np.ndarray:
    """Row 0 steers nothing; then every direction in every dose: float32 `[1 + directions × doses, d]`."""
    dosed = [dose * one.vector for one in directions for dose in doses]
    return np.stack([np.zeros_like(directions[0].vector), *dosed]).astype(np.float32)


def answer_texts(questions: Sequence[Question], template: str) -> list[tuple[int, str, Text]]:
    """Every answer that mc1 or mc2 asks for, once: the question's index, the answer, and the text to read."""
    found = []
    for index, question in enumerate(questions):
        start = len(template.format(question=question.text, answer="").rstrip())  # the space counts, as published
        for answer in {**question.answers["mc1"], **question.answers["mc2"]}:
            text = template.format(question=question.text, answer=answer)
            found.append((index, answer, Text(text, start, f"question {question.group + 1}, answer {answer[:40]!r}")))
    return found


def measure(
    questions: Sequence[Question], answers: Sequence[tuple[int, str, Text]], likely: np.ndarray,
    neutral: np.ndarray, neutral_tokens: np.ndarray,
) -> Outcome:  # fmt: skip
    """Score log-probabilities of answers `[answers, S]` and of neutral texts `[texts, S]`, of `[texts]` tokens."""
    row = {(index, answer): number for number, (index, answer, _) in enumerate(answers)}
    scores: dict[str, list[np.ndarray]] = {"mc1": [], "mc2": []}
    for index, question in enumerate(questions):
        for name, score in (("mc1", mc1), ("mc2", mc2)):
            here = question.answers[name]
            scores[name].append(score(likely[[row[index, answer] for answer in here]], np.array(list(here.values()))))
    perplexity = truthfulness.perplexity(neutral, neutral_tokens)
    return Outcome(np.stack(scores["mc1"]), np.stack(scores["mc2"]), perplexity)


def best_column(outcome: Outcome, columns: Sequence[int], fit: np.ndarray, rise: float) -> int:
    """The column with the highest mean mc2 on the questions `fit`, among those that raise perplexity to at most `rise` times.

    `columns` are listed from weak to strong steering, so that of equal ones the weakest is taken.
    """
    allowed = [one for one in columns if outcome.perplexity[one] <= rise * outcome.perplexity[0]]
    return max(allowed, key=lambda one: outcome.mc2[fit, one].mean())  # the first of equal ones


def rows_of(
    base: Row, directions: Sequence[Direction], doses: Sequence[float], outcome: Outcome, seed: int, rise: float
) -> list[Row]:
    """The whole dose–response curve on all questions, and each model's scores at the dose it chose on half of them.

    `base` holds what all rows share. Doses are given without 0, which is row 0 of the outcome.
    """
    fit = halves(np.arange(len(outcome.mc1)), seed)
    rows = [
        base | row
        for row in _at(outcome, 0, fit, {"variant": "", "kind": "", "codes": 0, "params": "{}"}, "no_steering", 0.0)
    ]
    for number, one in enumerate(directions):
        about = _about(one) | {"concept": one.concept}
        places = {0.0: 0} | {dose: 1 + number * len(doses) + place for place, dose in enumerate(doses)}
        for dose, column in sorted(places.items()):
            rows += [base | row | about for row in _curve(outcome, column, dose)]

    def model(numbered: tuple[int, Direction]) -> tuple:
        return tuple(_about(numbered[1]).values())

    for _, models in groupby(sorted(enumerate(directions), key=model), key=model):  # all vectors of one model or draw
        members = list(models)
        dose_of = {0: 0.0} | {1 + number * len(doses) + place: dose
                              for number, _ in members for place, dose in enumerate(doses)}  # fmt: skip
        best = best_column(outcome, sorted(dose_of, key=lambda one: abs(dose_of[one])), fit, rise)
        one = members[0][1]
        rows += [base | row for row in _at(outcome, best, fit, _about(one), one.control, dose_of[best], curve=False)]
    return rows


def _about(one: Direction) -> Row:
    return {key: getattr(one, key) for key in ("variant", "kind", "codes", "params", "control", "seed")}


def _curve(outcome: Outcome, column: int, dose: float) -> Iterator[Row]:
    for metric, values in ((truthfulness.MC1_ACCURACY, outcome.mc1), (truthfulness.MC2, outcome.mc2)):
        yield {"metric": metric.name, "value": float(values[:, column].mean()), "dose": dose}
    yield {"metric": truthfulness.PERPLEXITY.name, "value": float(outcome.perplexity[column]), "dose": dose}


def _at(
    outcome: Outcome, column: int, fit: np.ndarray, about: Row, control: str, dose: float, curve: bool = True
) -> Iterator[Row]:
    """Scores at a chosen dose, on the questions it was not chosen on; with `curve` those on all questions too."""
    about = about | {"control": control}
    if curve:
        yield from (row | about for row in _curve(outcome, column, dose))
    scored = ~fit
    for values, metric, spread in (
        (outcome.mc1, truthfulness.MC1_ACCURACY_CHOSEN, truthfulness.MC1_ACCURACY_GAIN_SE),
        (outcome.mc2, truthfulness.MC2_CHOSEN, truthfulness.MC2_GAIN_SE),
    ):
        yield about | {"metric": metric.name, "value": float(values[scored, column].mean())}
        if not control:
            gains = values[scored, column] - values[scored, 0]
            yield about | {"metric": spread.name, "value": truthfulness.gain_error(gains)}
    yield about | {"metric": truthfulness.PERPLEXITY_CHOSEN.name, "value": float(outcome.perplexity[column])}
    if not control:
        yield about | {"metric": truthfulness.DOSE_CHOSEN.name, "value": dose}


class Inputs(NamedTuple):
    """The files that a measurement reads."""

    embeddings: Path
    manifest: Path
    lm: Path
    """the LM's folder"""
    vectors: Sequence[Path]
    others: Sequence[Path]
    about: Sequence[Path]
    neutral: Path
    files: Sequence[Path] = ()
    """the user's own, if the dataset reads one"""


def measured(asked: BehaviourSlice, inputs: Inputs, state: Path) -> list[Row]:
    """All rows of one dataset's questions on one language model; `state` keeps what was read.

    Raises:
        ShiftScopeError: no variant exported a vector, or there are too few questions or no neutral text.
    """
    data = read_embeddings(inputs.embeddings, inputs.manifest)
    facts, how = data.facts, asked.behaviour
    dataset = dataset_of(asked.kind, asked.params, inputs.files)
    questions = held_out_questions(dataset, data, how)
    directions = exported_directions(data, how, inputs)
    steerings = steerings_of(directions, how.doses)
    neutral = neutral_texts(inputs.neutral)
    if not neutral or len(questions) < FEWEST:
        raise ShiftScopeError(
            f"{inputs.neutral} needs a text and the dataset {FEWEST} held-out questions: there are too few"
        )
    answers = answer_texts(questions, dataset.template)
    model, tokenizer = load(inputs.lm, asked.dtype)
    texts = [*(text for _, _, text in answers), *neutral]
    likely, tokens = log_probabilities(
        model, tokenizer, texts, facts["layer"], steerings,
        batch_tokens=asked.batch_tokens, state=state, progress=f"{facts['lm']} answers {facts['dataset']}",
    )  # fmt: skip
    n = len(answers)
    outcome = measure(questions, answers, likely[:n], likely[n:], tokens[n:])
    base = {"dataset": facts["dataset"], "eval_dataset": facts["dataset"], "lm": facts["lm"], "layer": facts["layer"],
            "selected": True, "data_seed": 0, "split": "test"}  # fmt: skip
    return rows_of(base, directions, how.doses, outcome, how.seed, how.perplexity_rise)


def held_out_questions(dataset: QuestionDataset, data: PairEmbeddings, how: Asked) -> list[Question]:
    """The questions on which nothing was trained, as many as are asked for, in a random order."""
    held_out = set(data.group[data.rows("test")].tolist())
    questions = [one for one in dataset.read_questions()[0] if one.group in held_out]
    return shuffled(questions, random.Random(f"questions {how.seed}"))[: how.questions]


def exported_directions(data: PairEmbeddings, how: Asked, inputs: Inputs) -> list[Direction]:
    """Every exported vector and the random ones beside it.

    Raises:
        ShiftScopeError: there is none.
    """
    right, directions = towards_right(data), []
    for path, other, sidecar in zip(inputs.vectors, inputs.others, inputs.about, strict=True):
        about = read_about(sidecar)
        rest = read_vectors(other) if how.all_seeds else {}
        setting = canonical_json(about["setting"])
        directions += directions_of(about, setting, read_vectors(path), rest, right, how.random)
    if not directions:
        raise ShiftScopeError(f"no variant exported a vector on {data.facts['dataset']}: all their codes are dead")
    return directions


def neutral_texts(path: Path) -> list[Text]:
    """The lines of a file that are not blank."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Text(line, 0, f"{path} line {number}") for number, line in enumerate(lines, 1) if line.strip()]
