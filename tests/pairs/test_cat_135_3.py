"""Phrases: combinations on one side of the split, counts, and two truths of which one is the other's linear image."""

from itertools import combinations

import numpy as np
import pytest
from helpers.built_in import build, texts_of, words_of

from shiftscope.errors import ShiftScopeError
from shiftscope.pairs.base import truth_matrix
from shiftscope.pairs.cat_135_3 import Cat1353
from shiftscope.vocabulary import SPLITS


def test_no_combination_of_cat_on_both_sides():
    built = build("cat_135_3")
    attributes = list(zip(*words_of("cat_135_3"), strict=True))
    combination = {
        built.template.format(color=color, shape=shape, object=thing): (color, shape, thing)
        for color in attributes[0]
        for shape in attributes[1]
        for thing in attributes[2]
    }
    sides = {split: {combination[text] for text in texts_of(rows)} for split, rows in built.splits.items()}
    assert not sides["train"] & (sides["test"] | sides["single"])
    assert len(sides["train"]) == 700
    assert len(sides["test"] | sides["single"]) == 300


def test_cat_counts():
    splits = build("cat_135_3").splits
    assert {name: len(splits[name]) for name in ("train", "test")} == {"train": 4200, "test": 1800}
    for name in ("train", "test"):
        changed = [len(pair.shifts["contrast"]) for pair in splits[name]]
        assert [changed.count(number) for number in (1, 2, 3)] == [len(changed) // 3] * 3
        unordered = {frozenset((pair.text_0, pair.text_1)) for pair in splits[name]}
        assert len(unordered) == len(splits[name])
    per_concept = {pair.single_change("contrast")[0] for pair in splits["single"]}
    assert per_concept == set(range(135))


def test_cat_says_when_too_many_pairs_are_asked_for():
    with pytest.raises(ShiftScopeError, match=r"differ in 1 attribute.*lower n_pairs"):
        Cat1353(n_pairs=1_000_000).build()


def test_cat_truth_follows_from_the_words():
    built = build("cat_135_3")
    attributes = ("color", "shape", "object")
    values = {
        built.template.format(**dict(zip(attributes, (color, shape, thing), strict=True))): {
            f"color:{color}", f"shape:{shape}", f"object:{thing}"
        }
        for color, *_ in words_of("cat_135_3")
        for _, shape, _ in words_of("cat_135_3")
        for *_, thing in words_of("cat_135_3")
    }  # fmt: skip
    names = built.truths["one_hot"]
    for rows in built.splits.values():
        true = [[(name in values[pair.text_1]) - (name in values[pair.text_0]) for name in names] for pair in rows]
        assert np.array_equal(truth_matrix(rows, "one_hot", 30), np.array(true))


def test_one_hot_is_the_linear_image_of_the_contrasts_and_has_rank_27():
    built = build("cat_135_3")
    assert [len(built.truths[name]) for name in built.truths] == [30, 135]
    ends = [name.split(":") for name in built.truths["contrast"]]
    incidence = np.zeros((135, 30))
    for row, (attribute, change) in enumerate(ends):
        old, new = change.split("->")
        incidence[row, built.truths["one_hot"].index(f"{attribute}:{old}")] = -1
        incidence[row, built.truths["one_hot"].index(f"{attribute}:{new}")] = 1
    rows = [pair for split in SPLITS for pair in built.splits[split]]
    one_hot, contrast = truth_matrix(rows, "one_hot", 30), truth_matrix(rows, "contrast", 135)
    assert np.array_equal(contrast @ incidence, one_hot)
    assert np.linalg.matrix_rank(one_hot[:2000]) == np.linalg.matrix_rank(incidence) == 27
    assert (one_hot.sum(1) == 0).all()


def test_single_pairs_of_cat_are_all_held_out_neighbours():
    built = build("cat_135_3")
    held_out = texts_of([*built.splits["test"], *built.splits["single"]])
    words = {text: text.split() for text in held_out}
    near = {
        frozenset(two)
        for two in combinations(sorted(held_out), 2)
        if sum(one != other for one, other in zip(words[two[0]], words[two[1]], strict=True)) == 1
    }
    assert {frozenset((pair.text_0, pair.text_1)) for pair in built.splits["single"]} == near
    assert len(near) == len(built.splits["single"])
    assert all(pair.single_change("contrast")[1] == 1 for pair in built.splits["single"])
