"""TruthfulQA, multiple choice: from a question with a wrong answer to the same question with a right one.

Paper A, Sec. 3 (after Lin et al. 2022, TruthfulQA, arXiv 2109.07958): one concept, truthfulness, changes in every
pair. A group is one question. The published file is not part of this repository: it is downloaded and verified, or
taken from `path`.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from shiftscope.downloads import downloaded
from shiftscope.errors import ShiftScopeError
from shiftscope.kinds import UserPath
from shiftscope.pairs._questions import Question, QuestionDataset
from shiftscope.pairs._split import shuffled, split_by_group
from shiftscope.pairs.base import Pair, Pairs, Rejected
from shiftscope.texts import broken_byte

logger = logging.getLogger(__name__)
FILE = "mc_task.json"
CHOICES = ("mc0", "mc1", "mc2")
FEWEST = 4  # usable questions: two to train on and two to test on, at the very least


class Truthfulqa11(QuestionDataset):
    """Which file, and which of its three lists of answers.

    `choice`: `mc0` has one right and one wrong answer to a question, `mc1` one right and several wrong, `mc2` several
    of both. At most `pairs_per_question` pairs of a right and a wrong answer are drawn. `path` is the file
    `mc_task.json` or its folder; without it the published file is downloaded from `url`, and must have `sha256`.
    """

    placeholders = ("question", "answer")
    n_varying = 1

    path: UserPath | None = None
    url: str = Field("https://raw.githubusercontent.com/sylinrl/TruthfulQA/main/data/mc_task.json", pattern="^https://")
    sha256: str = Field("c90d853454fd48c676accb33e16923ac438dbb6fb37ecc7c6a70e33c9e556e87", pattern="^[0-9a-f]{64}$")
    choice: Literal["mc0", "mc1", "mc2"] = "mc1"
    pairs_per_question: int = Field(4, ge=1)
    template: str = "Q: {question}\nA: {answer}"

    @field_validator("path", mode="after")
    @classmethod
    def _file_of_a_folder(cls, path: Path | None) -> Path | None:
        return path / FILE if path and path.is_dir() else path

    @field_validator("template")
    @classmethod
    def _answer_comes_last(cls, template: str) -> str:
        """Refuse a template whose last token is not the answer's, or that gives an answer nothing to follow."""
        if not template.endswith("{answer}") or template.index("{answer}") == 0:
            raise ValueError(f"template {template!r} must end in {{answer}}, after the question")
        return template

    def concept_names(self) -> tuple[str, ...]:
        """The one concept."""
        return ("truthful",)

    @property
    def user_files(self) -> tuple[Path, ...]:
        """The user's own copy of the file."""
        return (self.path,) if self.path else ()

    def build(self) -> Pairs:
        """Pairs of wrong and right answers to every usable question.

        Raises:
            ShiftScopeError: the file cannot be had or read, is not the published one, or has too few usable questions.
        """
        questions, rejected = self.read_questions()
        pairs = [pair for question in questions for pair in _pairs(question, self)]
        splits = split_by_group(pairs, self, "concepts")
        facts = {"choice": self.choice, "questions": len(questions), "pairs_per_question": self.pairs_per_question}
        return Pairs(
            splits, self.template, "question", {"concepts": list(self.concept_names())}, "concepts", self.orientation,
            rejected, facts,
        )  # fmt: skip

    def read_questions(self) -> tuple[list[Question], list[Rejected]]:
        """The usable questions of the file, and every question or answer that was left out, with its number from 1.

        Raises:
            ShiftScopeError: the file cannot be had, is not a JSON list, or has too few usable questions.
        """
        path = self.path or self._published()
        rejected: list[Rejected] = []
        questions: list[Question] = []
        seen: dict[str, int] = {}
        entries = _entries(path)
        for group, entry in enumerate(entries):
            found = _question(group, entry, self.choice, rejected)
            if found and found.text in seen:
                rejected.append(
                    Rejected(group + 1, f"the question stands in row {seen[found.text]} too", found.text, "")
                )
            elif found:
                seen[found.text] = group + 1
                questions.append(found)
        logger.info(
            "%s: %d questions, %d usable, %d rows of rejected.csv", path, len(entries), len(questions), len(rejected)
        )
        if len(questions) < FEWEST:
            named = "; ".join(f"row {one.row}: {one.reason}" for one in rejected[:3])
            raise ShiftScopeError(
                f"{path} has {len(questions)} usable questions of {len(entries)} ({named}): at least {FEWEST} are needed"
            )
        return questions, rejected

    def _published(self) -> Path:
        return downloaded(
            self.url, self.sha256, f"truthfulqa_{FILE}",
            f"check the network, or give `path:`, the file {FILE} of github.com/sylinrl/TruthfulQA (folder data) or its folder",
            "a damaged download or a newer version; give `path:` to use a version of your own",
        )  # fmt: skip


def _pairs(question: Question, dataset: Truthfulqa11) -> list[Pair]:
    answers = question.answers[dataset.choice]
    wrong, right = ([answer for answer, is_right in answers.items() if is_right is side] for side in (False, True))
    drawn = shuffled(product(wrong, right), random.Random(f"answers {dataset.seed} {question.group}"))
    texts = [[dataset.template.format(question=question.text, answer=answer) for answer in pair] for pair in drawn]
    return [Pair(*two, question.group, {"concepts": {0: 1.0}}) for two in texts[: dataset.pairs_per_question]]


class _Repeated(dict):
    """A JSON object in which a key, here named, stands twice: Python's own dict would silently keep the last."""

    key: str


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        found = _Repeated(items)
        found.key = next(key for place, (key, _) in enumerate(items) if key in dict(items[:place]))
    return found


def _entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except FileNotFoundError as error:
        raise ShiftScopeError(f"{path} does not exist: correct `path`, the file {FILE} or its folder") from error
    except (ValueError, RecursionError) as error:
        raise ShiftScopeError(f"{path} is not readable JSON ({error}): fetch it again") from error
    if not isinstance(entries, list):
        raise ShiftScopeError(f"{path} must hold a JSON list of questions, as TruthfulQA's {FILE} does")
    return entries


def _question(group: int, entry: Any, choice: str, rejected: list[Rejected]) -> Question | None:
    """The question of one entry; what is left out is added to `rejected`."""
    text = entry.get("question") if isinstance(entry, dict) else None
    problem = _bad_text("the question", text) if isinstance(entry, dict) else "the row is not a JSON object"
    answers: dict[str, dict[str, bool]] = {}
    for name in CHOICES:
        if problem or (name == "mc0" != choice and "mc0_targets" not in entry):
            continue  # older versions of the file have no mc0
        targets = entry.get(f"{name}_targets")
        problem = _bad_targets(name, targets)
        if not problem:
            bad = {answer: _bad_text("an answer", answer) for answer in targets}
            new = [Rejected(group + 1, reason, text, answer) for answer, reason in bad.items() if reason]
            rejected += [one for one in new if one not in rejected]
            usable = [(answer.strip(), label == 1) for answer, label in targets.items() if not bad[answer]]
            answers[name] = dict(usable)
            problem = _bad_counts(name, [label for _, label in usable])
            if len(answers[name]) < len(usable):
                problem = f"{name}_targets has an answer twice, but for spaces around it"
    if problem:
        rejected.append(Rejected(group + 1, problem, text if isinstance(text, str) else "", ""))
        return None
    return Question(group, text.strip(), answers)


def _bad_text(what: str, text: Any) -> str:
    """Why a text cannot be used, or an empty string."""
    if text is None:
        return f"{what} is missing"
    if not isinstance(text, str):
        return f"{what} is not text ({type(text).__name__})"
    if not text.strip():
        return f"{what} is empty"
    if "\0" in text or broken_byte(text):
        return f"{what} holds a NUL character or a lone surrogate"
    return ""


def _bad_targets(name: str, targets: Any) -> str:
    if not isinstance(targets, dict):
        return f"{name}_targets is missing" if targets is None else f"{name}_targets is not a JSON object"
    if isinstance(targets, _Repeated):
        return f"{name}_targets has the answer {targets.key!r} twice"
    if any(isinstance(label, bool) or label not in (0, 1) for label in targets.values()):
        return f"{name}_targets has a label that is not 0 or 1"
    return ""


def _bad_counts(name: str, labels: Sequence[bool]) -> str:
    right, wrong = sum(labels), len(labels) - sum(labels)
    if not right or not wrong:
        return f"{name}_targets has no {'right' if not right else 'wrong'} answer"
    if (name != "mc2" and right > 1) or (name == "mc0" and wrong > 1):
        return f"{name}_targets has {right} right and {wrong} wrong answers: {name} has one right" + (
            " and one wrong" if name == "mc0" else ""
        )
    return ""
