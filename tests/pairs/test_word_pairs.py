"""Datasets made of word lists: true shifts follow from the words, and every item gives its pairs."""

import numpy as np
import pytest
from helpers.built_in import WORDS, build, words_of

from shiftscope import kinds
from shiftscope.pairs.base import truth_matrix

FORMS = {  # the true (concept, …) of each column of each word list
    "lang_1_1": [(0,), (1,)],
    "gender_1_1": [(0,), (1,)],
    "binary_2_2": [(0, 0), (0, 1), (1, 0), (1, 1)],
    "corr_2_1": [(0, 0), (1, 0), (0, 1)],
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_dataset_says_the_forms_of_its_words(kind):
    dataset = kinds.load("pairs", kind)
    assert [values for _, *values in dataset.forms] == list(map(list, FORMS[kind]))
    assert dataset.n_varying == len(dataset.concepts) == len(FORMS[kind][0])
    assert dataset().concept_names() == dataset.concepts


@pytest.mark.parametrize(
    ("kind", "items"), [("lang_1_1", 100), ("gender_1_1", 60), ("binary_2_2", 60), ("corr_2_1", 60)]
)
def test_word_lists_are_long_enough_and_split_as_declared(kind, items):
    words, splits = words_of(kind), build(kind).splits
    assert len(words) >= items
    groups = {name: {pair.group for pair in rows} for name, rows in splits.items()}
    assert len(groups["test"]) == int(0.4 * len(words) + 0.5)
    assert len(groups["train"]) + len(groups["test"]) == len(words)
    assert groups["single"] == groups["test"]


def test_pairs_per_item():
    def per_item(split, **params):
        rows = {kind: build(kind, **params).splits[split] for kind in WORDS}
        return {kind: len(rows[kind]) / len({pair.group for pair in rows[kind]}) for kind in WORDS}

    once = {"lang_1_1": 1, "gender_1_1": 1, "binary_2_2": 6, "corr_2_1": 2}
    assert per_item("train") == once
    assert per_item("test") == per_item("train", orientation="random") == once | {"binary_2_2": 12}


def test_binary_has_all_ordered_pairs_once_where_they_are_turned():
    turned = build("binary_2_2", orientation="random").splits["train"]
    for rows in (turned, build("binary_2_2").splits["test"]):
        ordered = [(pair.text_0, pair.text_1) for pair in rows]
        assert len(ordered) == len(set(ordered))
        assert set(ordered) == {(second, first) for first, second in ordered}


@pytest.mark.parametrize("kind", WORDS)
def test_truth_follows_from_the_words(kind):
    built = build(kind)
    concepts = {
        built.template.format(text=word): np.array(form)
        for item in words_of(kind)
        for word, form in zip(item, FORMS[kind], strict=True)
    }
    for rows in built.splits.values():
        true = np.array([concepts[pair.text_1] - concepts[pair.text_0] for pair in rows])
        assert np.array_equal(truth_matrix(rows, "concepts", len(built.concepts)), true)
        assert (np.abs(true).sum(1) >= 1).all()
    assert {pair.shifts["concepts"][next(iter(pair.shifts["concepts"]))] for pair in built.splits["single"]} == {1}
