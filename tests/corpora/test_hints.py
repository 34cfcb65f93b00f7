"""Documents that hint: every value stays possible, and counts of words do not tell the posterior."""

import random

import numpy as np
import pytest

from shiftscope.corpora.hints import MOODS, OPENING_WORDS, PLACES, WORDS, Hints
from shiftscope.generative.grammar import END


@pytest.fixture(scope="module")
def grammar():
    return Hints().build()


def test_no_word_ever_settles_a_concept(grammar):
    generator = random.Random(0)
    for _ in range(30):
        words, _ = grammar.sample(generator)
        for concepts, joint in ((["place", "mood"], 6), (["tone"], 2)):
            law = grammar.posterior(words, concepts)
            assert len(law) == joint and min(law.values()) > 0 and sum(law.values()) == pytest.approx(1)


def test_not_turns_the_mood_that_a_word_hints_at(grammar):
    plain, turned = (grammar.posterior(["so", *words], ["mood"]) for words in (["moss"], ["not", "moss"]))
    prior = grammar.posterior(["so"], ["mood"])
    up, down = (law["bright",] - prior["bright",] for law in (plain, turned))
    assert up * down < 0


def test_of_the_null_concept_nothing_follows(grammar):
    for word in OPENING_WORDS:
        law = grammar.next_words([word])
        assert law == pytest.approx(grammar.next_words([OPENING_WORDS[0]]))
    assert len({round(grammar.posterior([word], ["tone"])["calm",], 6) for word in OPENING_WORDS}) > 1


def test_laws_of_the_joint_values_span_as_many_dimensions(grammar):
    laws = []
    for place in PLACES:
        for mood in range(len(MOODS)):
            weights = np.array(Hints()._weights(PLACES.index(place), mood))
            laws.append(np.log(weights / weights.sum()))
    differences = np.array(laws[1:]) - laws[0]
    values = np.linalg.svd(differences - differences.mean(1, keepdims=True), compute_uv=False)
    assert values[-1] > 0.1 * values[0]  # Theorem 3.1's diversity condition, well conditioned
    assert grammar.vocabulary() == sorted([*WORDS, *OPENING_WORDS, "not"])


def test_the_probability_of_a_text_is_the_product_of_its_words(grammar):
    words, _ = grammar.sample(random.Random(3))
    logs = [np.log(grammar.next_words(words[:place])[word]) for place, word in enumerate([*words, END])]
    assert grammar.log_probability([*words, END]) == pytest.approx(sum(logs))
    assert grammar.log_probability(words[2:], words[:2]) == pytest.approx(sum(logs[2:-1]))
    assert grammar.log_probability(["moss"]) == -np.inf  # a document begins with its opening
