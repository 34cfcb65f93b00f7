"""Beginnings of the grammar's documents that differ in one known concept and end in the same word.

What `bat27` is for a language model of words, this is for one that was trained on the grammar: pairs that tell concepts
apart, whose truth is not a probe's. The last word being the same, nothing but what the model remembers tells two beginnings
apart (docs/grammar.md); of a concept that is heard in its own word alone, such as the language, that word stands last. NULL
concepts, of which nothing follows, are among them: no feature has a reason to find them but at their own word.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.pairs._split import split_by_group
from shiftscope.pairs.base import Pair, PairDataset, Pairs

if TYPE_CHECKING:
    from shiftscope.generative.grammar import Grammar

TRIES = 200
"""documents that are drawn for a pair at most"""


class GrammarConcepts(PairDataset):
    """`pairs` of each concept's first two values."""

    trained_by_default = False
    word_lists = ("lang_1_1", "gender_1_1", "binary_2_2", "corr_2_1", "cat_135_3")

    pairs: int = Field(100, ge=4)
    template: str = "{text}"
    held_out: float = Field(0.5, gt=0, lt=1)

    def build(self) -> Pairs:
        """Pairs of all concepts, each text once; a group is a pair."""
        grammar = ShortDocuments().build()
        pairs: list[Pair] = []
        for column, concept in enumerate(grammar.concepts):
            found = itertools.islice(beginnings(grammar, concept, self.seed, TRIES * self.pairs), self.pairs)
            pairs += [
                Pair(*map(self._text, texts), len(pairs) + number, {"concepts": {column: 1.0}})
                for number, texts in enumerate(found)
            ]
        splits = split_by_group(pairs, self, "concepts")
        names = {"concepts": list(grammar.concepts)}
        return Pairs(splits, self.template, "beginning", names, "concepts", self.orientation)

    def concept_names(self) -> tuple[str, ...]:
        """None before the grammar is read: nothing is steered with these."""
        return ()

    def _text(self, words: list[str]) -> str:
        return self.template.format(text=" ".join(words))


def beginnings(grammar: Grammar, concept: str, seed: int, tries: int) -> Iterator[tuple[list[str], list[str]]]:
    """Beginnings of two documents that the same draw makes with a concept's first and second value, no text twice."""
    generator, known = random.Random(f"{concept} {seed}"), set()
    values = grammar.concepts[concept].values[:2]
    for _ in range(tries):
        key = generator.random()
        first, second = (grammar.sample(random.Random(key), {concept: value})[0] for value in values)
        differ = [place for place, both in enumerate(zip(first, second, strict=False)) if both[0] != both[1]]
        if not differ:
            continue
        same = [end for end in range(differ[0] + 2, min(len(first), len(second))) if first[end - 1] == second[end - 1]]
        end = generator.choice(same or [differ[0] + 1])
        texts = first[:end], second[:end]
        if texts[0] != texts[1] and not known & {tuple(text) for text in texts}:
            known |= {tuple(text) for text in texts}
            yield texts
