"""Shape, colour and object of a phrase vary: one to three of three attributes with ten values each change in a pair.

Paper A, Sec. 3 and B.1.3, cat(135,3): each attribute has C(10, 2) = 45 binary contrasts, 135 in all. These contrasts
span only 27 dimensions, so that no linear code can tell them apart: the primary truth is one-hot over the 30 values
(+1 for the new value, -1 for the old), the contrasts (+1 for a->b, -1 for b->a) are the second. The words are ours.
A group is a combination of three values; training pairs hold training combinations only, on both sides.
"""

import random
from collections.abc import Iterator
from itertools import combinations, product

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.pairs._split import held_out_groups, in_named_direction, shuffled, turn_half
from shiftscope.pairs.base import Orientation, Pair, PairDataset, Pairs
from shiftscope.word_lists import read_words

ATTRIBUTES = ("color", "shape", "object")


class Phrases:
    """The phrases of all combinations of the attributes' values, and the pairs between them."""

    def __init__(self, values: list[list[str]], template: str) -> None:
        """`values[attribute]` lists the words of one attribute."""
        self.values = values
        self.combinations = list(product(*(range(len(words)) for words in values)))
        self.texts = [
            template.format(
                **{name: values[place][value] for place, (name, value) in enumerate(zip(ATTRIBUTES, one, strict=True))}
            )
            for one in self.combinations
        ]
        named = [(place, value) for place, words in enumerate(values) for value in range(len(words))]
        contrasts = [(place, *two) for place, words in enumerate(values) for two in combinations(range(len(words)), 2)]
        self.value_column = {key: column for column, key in enumerate(named)}
        self.contrast_column = {key: column for column, key in enumerate(contrasts)}

    def truths(self) -> dict[str, list[str]]:
        """The column names of both truths, the primary one first."""
        words = {key: self.values[key[0]][key[1]] for key in self.value_column}
        return {
            "one_hot": [f"{ATTRIBUTES[key[0]]}:{word}" for key, word in words.items()],
            "contrast": [
                f"{ATTRIBUTES[place]}:{words[place, old]}->{words[place, new]}"
                for place, old, new in self.contrast_column
            ],
        }

    def changed(self, first: int, second: int) -> int:
        """How many attributes differ between two combinations."""
        both = zip(self.combinations[first], self.combinations[second], strict=True)
        return sum(old != new for old, new in both)

    def pair(self, first: int, second: int) -> Pair:
        """The pair from one combination to another."""
        one_hot: dict[int, float] = {}
        contrast: dict[int, float] = {}
        for place, (old, new) in enumerate(zip(self.combinations[first], self.combinations[second], strict=True)):
            if old != new:
                one_hot |= {self.value_column[place, old]: -1, self.value_column[place, new]: 1}
                contrast[self.contrast_column[place, min(old, new), max(old, new)]] = 1 if old < new else -1
        shifts = {"one_hot": one_hot, "contrast": contrast}
        return Pair(self.texts[first], self.texts[second], first, shifts)


def sample(phrases: Phrases, side: list[int], n_pairs: int, generator: random.Random) -> Iterator[tuple[int, int]]:
    """Draw distinct unordered pairs of combinations, a third each with one, two and three changed attributes."""
    by_changed: dict[int, list[tuple[int, int]]] = {1: [], 2: [], 3: []}
    for two in combinations(side, 2):
        by_changed[phrases.changed(*two)].append(two)
    for changed, found in by_changed.items():
        wanted = (n_pairs + changed - 1) // 3
        if len(found) < wanted:
            raise ShiftScopeError(
                f"cat_135_3 has only {len(found)} pairs of {len(side)} combinations that differ in {changed} "
                f"attribute(s), but {wanted} are wanted: lower n_pairs or change held_out"
            )
        yield from shuffled(found, generator)[:wanted]


class Cat1353(PairDataset):
    """`n_pairs` counts train and test pairs together; `held_out` is the share of combinations and of these pairs."""

    placeholders = ATTRIBUTES
    n_varying = 135
    word_lists = ("cat_135_3",)

    template: str = "The color is {color}, the shape is {shape}, the object is a {object}. In one word:"
    held_out: float = Field(0.3, gt=0, lt=1)
    n_pairs: int = Field(6000, ge=12)
    orientation: Orientation = Field("random", description="random, for no combination comes before another")

    def build(self) -> Pairs:
        """Sampled pairs of phrases, and every held-out pair that differs in one attribute.

        Raises:
            ShiftScopeError: a split has too few combinations for the pairs that are asked for.
        """
        rows = read_words("cat_135_3", list(ATTRIBUTES))
        phrases = Phrases([list(words) for words in zip(*rows, strict=True)], self.template)
        held_out = held_out_groups(range(len(phrases.combinations)), self.held_out, self.seed)
        sides = {
            "train": [one for one in range(len(phrases.combinations)) if one not in held_out],
            "test": sorted(held_out),
        }
        n_test = round(self.n_pairs * self.held_out)
        splits = {}
        for split, n_pairs in (("train", self.n_pairs - n_test), ("test", n_test)):
            chosen = sample(phrases, sides[split], n_pairs, random.Random(f"pairs {split} {self.seed}"))
            pairs = [phrases.pair(*two) for two in chosen]
            as_given = split == "train" and self.orientation == "given"
            splits[split] = pairs if as_given else turn_half(pairs, "contrast", self.seed, split)
        near = (phrases.pair(*two) for two in combinations(sides["test"], 2) if phrases.changed(*two) == 1)
        splits["single"] = in_named_direction(near, "contrast")
        return Pairs(splits, self.template, "combination", phrases.truths(), "contrast", self.orientation)
