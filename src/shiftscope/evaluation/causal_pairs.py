"""What is steered in a causal test: single-concept pairs, and the laws of the next token after their texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shiftscope.generative.grammar import END, Grammar
from shiftscope.kinds import Strict
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.steering.next_law import NextLaw

FEWEST = 4
"""pairs of a concept below which nothing is measured"""
APART = 0.05
"""mean total variation of the laws after a pair's two texts below which its concept hardly changes the next token, and nothing is measured"""


class CausalSlice(Strict):
    """The slice of the config of a causal test."""

    lm: str
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None
    datasets: list[str]
    variants: list[str]
    others: list[str]
    recommended_on: list[str]
    """datasets on which all variants that may be recommended are among these"""
    doses: list[float]
    pairs: int
    written: int
    samples: int
    seed: int


def evenly(count: int, most: int) -> np.ndarray:
    """At most so many of the numbers from 0 to `count` - 1, evenly among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


class ConceptPairs(NamedTuple):
    """Single-concept pairs of one concept, turned so that it changes in its named direction."""

    dataset: str
    concept: str
    texts: tuple[list[str], list[str]]
    before: np.ndarray
    """z `[n, d]`"""
    after: np.ndarray
    """z̃ `[n, d]`"""
    group: np.ndarray

    def some(self, which: np.ndarray, most: int) -> ConceptPairs:
        """Those of the rows `which`, bool `[n]`, at most so many, evenly among them."""
        rows = np.flatnonzero(which)
        rows = rows[evenly(len(rows), most)]
        texts = tuple([side[row] for row in rows] for side in self.texts)
        return self._replace(texts=texts, before=self.before[rows], after=self.after[rows], group=self.group[rows])


class Laws:
    """Next-token laws of one language model: its own, and the counterfactual ones that it should have."""

    def __init__(self, law: NextLaw, grammar: Grammar | None) -> None:
        self.law, self.grammar, self.tokens = law, grammar, {}
        if grammar is not None:
            tokenizer = law.tokenizer
            words = grammar.vocabulary()
            self.tokens = dict(
                zip(words, (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words), strict=True)
            )
            self.tokens[END] = tokenizer.eos_token_id

    def own(self, pairs: ConceptPairs, vector: np.ndarray | None = None, dose: float = 1.0) -> np.ndarray:
        """Log-probabilities after the first texts `[n, tokens]`, with `dose` times `vector` added."""
        return self.law.log_law(pairs.texts[0], pairs.before, vector, dose)

    def after(self, pairs: ConceptPairs) -> np.ndarray:
        """Log-probabilities after the second texts `[n, tokens]`."""
        return self.law.log_law(pairs.texts[1], pairs.after)

    def counterfactual(self, pairs: ConceptPairs, side: int = 1) -> np.ndarray:
        """Probabilities after the second texts `[n, tokens]` (or the first): the grammar's, or the language model's own."""
        own = np.exp(self.after(pairs) if side else self.own(pairs))
        if self.grammar is None:
            return own
        exact = np.zeros_like(own)
        for row, text in enumerate(pairs.texts[side]):
            for word, share in self.grammar.next_words(text.split()).items():
                exact[row, self.tokens[word]] = share
        return exact

    def apart(self, pairs: ConceptPairs) -> bool:
        """Whether the concept changes the next token: by the grammar where there is one, and in the language model."""
        laws = [[np.exp(self.own(pairs)), np.exp(self.after(pairs))]]
        laws += [[self.counterfactual(pairs, side) for side in (0, 1)]] if self.grammar else []
        return all(np.abs(second - first).sum(1).mean() / 2 >= APART for first, second in laws)


class OtherPairs(NamedTuple):
    """ConceptPairs in which vectors of other concepts should change nothing."""

    pairs: ConceptPairs
    first: np.ndarray
    """the language model's log-probabilities after the first texts `[n, tokens]`"""
    second: np.ndarray
    """after the second"""
    wanted: np.ndarray
    """the probabilities that it should have after the second"""

    def without(self, texts: set[str]) -> OtherPairs:
        """Those of the pairs of which neither text is among some."""
        new = np.array([not texts & set(both) for both in zip(*self.pairs.texts, strict=True)])
        return OtherPairs(self.pairs.some(new, len(new)), self.first[new], self.second[new], self.wanted[new])


def concepts_of(data: PairEmbeddings, texts: tuple[list[str], list[str]]) -> list[ConceptPairs]:
    """Single-concept pairs of every concept that has enough; held-out pairs where a dataset has no split of such."""
    rows = data.rows("single")
    rows = rows if len(rows) else data.rows("test")
    names, found = data.facts["concepts"] or data.facts["truths"][data.facts["primary_truth"]], []
    concept, sign = data.concept[0], data.sign[0]
    if not data.facts["concepts"]:  # words, each of which changes one concept
        truth = data.truths[data.facts["primary_truth"]][0]
        concept, sign = np.abs(truth).argmax(1), np.sign(truth.sum(1))
    for number, name in enumerate(names):
        mine = rows[concept[rows] == number]
        if len(mine) < FEWEST:
            continue
        back = sign[mine] < 0
        sides = [[texts[int(turn) ^ side][row] for row, turn in zip(mine, back, strict=True)] for side in (0, 1)]
        both = data.embedding_0[0, mine], data.embedding_1[0, mine]
        before, after = np.where(back[:, None], both[::-1], both)
        found.append(ConceptPairs(data.facts["dataset"], name, (sides[0], sides[1]), before, after, data.group[mine]))
    return found


def kinship(steered: str, changed: str, grammar: Grammar | None) -> str | None:
    """Whether pairs in which one concept changes are `same` as another's, by name, or `other`; None: neither.

    A dataset may call by its value, `feminine`, what the grammar calls `gender`: the same if from the concept's first value to
    its second. `german`, a third value, is neither the same as `language` nor another. Without a grammar only names tell, such as
    `color:red->blue` and `color:red->green`, which are changes of one concept.
    """
    one, two = (_change(name, grammar) for name in (steered, changed))
    return "same" if steered == changed or one == two else None if one[0] == two[0] else "other"


def _change(name: str, grammar: Grammar | None) -> tuple[str, ...]:
    """The concept of which a name tells, and the values from and to which it changes."""
    for concept, known in (grammar.concepts if grammar else {}).items():
        if name == concept:
            return (concept, *known.values[:2])
        if name in known.values:
            return (concept, known.values[0], name)
    concept, _, values = name.partition(":")
    return (concept, *values.split("->"))
