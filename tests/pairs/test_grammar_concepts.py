"""Beginnings of documents that differ in one concept: only what the document says elsewhere tells them apart."""

import pytest

from shiftscope import kinds
from shiftscope.pairs.grammar_concepts import GrammarConcepts, beginnings


@pytest.fixture(scope="module")
def grammar():
    return kinds.load("corpora", "grammar")().build()


@pytest.fixture(scope="module")
def built():
    return GrammarConcepts(pairs=20).build()


def test_each_concept_has_its_pairs_split_in_two(built, grammar):
    names = list(grammar.concepts)
    assert built.truths == {"concepts": names}
    for split in ("train", "test"):
        count = dict.fromkeys(names, 0)
        for pair in built.splits[split]:
            ((column, value),) = pair.shifts["concepts"].items()
            assert abs(value) == 1
            count[names[column]] += 1
        assert all(4 <= found <= 16 for found in count.values()), count


def test_no_text_stands_twice_or_on_both_sides(built):
    sides = {
        split: [text for pair in built.splits[split] for text in (pair.text_0, pair.text_1)]
        for split in ("train", "test")
    }
    assert all(len(set(texts)) == len(texts) for texts in sides.values())
    assert not set(sides["train"]) & set(sides["test"])


@pytest.mark.parametrize("concept", ["gender", "tense", "valence", "bullet", "color", "shape"])
def test_the_last_word_does_not_tell_the_concept(grammar, concept):
    found = [texts for texts, _ in zip(beginnings(grammar, concept, 0, 4000), range(30), strict=False)]
    same = [first[-1] == second[-1] for first, second in found]
    assert len(found) == 30
    assert all(sum(a != b for a, b in zip(*texts, strict=False)) >= 1 for texts in found)
    assert sum(same) >= 10, "where a document goes on, it is read at a word that both have"


def test_the_exact_posterior_tells_them_apart(grammar):
    values = grammar.concepts["gender"].values
    for _, texts in zip(range(10), beginnings(grammar, "gender", 1, 4000), strict=False):
        before, after = (grammar.posterior(text, ["gender"]).get((values[0],), 0) for text in texts)
        assert before > after, texts


def test_a_seed_fixes_the_texts(grammar):
    one, same, other = (list(beginnings(grammar, "tense", seed, 50)) for seed in (0, 0, 1))
    assert one == same != other


def test_nothing_is_trained_on_them_by_default():
    assert not GrammarConcepts.trained_by_default
