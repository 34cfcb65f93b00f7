"""A question with right and wrong answers, and what a dataset of questions offers beside its pairs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from shiftscope.pairs.base import PairDataset, Rejected


@dataclass(frozen=True)
class Question:
    """A question and its answers, right (True) or wrong, under the names of TruthfulQA's lists: `mc1`, `mc2`, …"""

    group: int
    """its place in the file, from 0, and its group among the pairs"""
    text: str
    answers: Mapping[str, Mapping[str, bool]]


class QuestionDataset(PairDataset):
    """Pairs of answers to questions, so that a steered language model's answers can be scored, too."""

    @abstractmethod
    def read_questions(self) -> tuple[list[Question], list[Rejected]]:
        """The usable questions, and every question or answer that was left out, with its number from 1."""
