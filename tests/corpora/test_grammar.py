"""The grammar of the embedded language model: what it says exactly is checked against sampling."""

import itertools
import math
import random
from collections import Counter

import pytest

from shiftscope.corpora import grammar as corpus
from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.generative.grammar import END, Grammar
from shiftscope.word_lists import read_words, word_files


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return ShortDocuments().build()


@pytest.fixture(scope="module")
def drawn(grammar) -> list[tuple[list[str], dict[str, str]]]:
    generator = random.Random(1)
    return [grammar.sample(generator) for _ in range(40_000)]


def far(counts: Counter, law: dict) -> float:
    """How many standard errors the farthest frequency lies from its probability."""
    total = sum(counts.values())
    return max(
        abs(counts.get(key, 0) - total * p) / math.sqrt(total * p * (1 - p) + 1e-9)
        for key, p in law.items()
        if total * p > 5 and p < 1
    )


@pytest.mark.parametrize("beginning", [(), ("our",), ("*",), ("notre",), ("unser",)])
def test_the_exact_next_word_law_is_that_of_samples(grammar, drawn, beginning):
    following = Counter(
        (text[len(beginning)] if len(text) > len(beginning) else END)
        for text, _ in drawn
        if tuple(text[: len(beginning)]) == beginning
    )
    law = grammar.next_words(beginning)
    assert sum(law.values()) == pytest.approx(1)
    assert set(following) <= set(law)
    assert far(following, law) < 5


@pytest.mark.parametrize(
    ("beginning", "concepts"),
    [
        ((), ("language", "gender")),
        (("our",), ("gender", "valence")),
        (("*",), ("bullet", "language")),
        (("-", "notre"), ("gender", "tense")),
        (("unser",), ("gender", "valence", "tense")),
    ],
)
def test_the_exact_joint_posterior_is_that_of_samples(grammar, drawn, beginning, concepts):
    values = Counter(
        tuple(found[name] for name in concepts) for text, found in drawn if tuple(text[: len(beginning)]) == beginning
    )
    law = grammar.posterior(beginning, concepts)
    assert sum(law.values()) == pytest.approx(1)
    assert set(values) <= set(law)
    assert far(values, law) < 5


def test_posteriors_over_the_documents_average_to_the_prior(grammar, drawn):
    """What is believed after five words is, on average over documents, what was believed before (a martingale)."""
    total: Counter = Counter()
    for text, _ in drawn[:1500]:
        total.update(grammar.posterior(text[:5], ["gender", "valence"]))
    for key, p in grammar.posterior([], ["gender", "valence"]).items():
        assert total[key] / 1500 == pytest.approx(p, abs=0.05)


def test_professions_only_lean_and_gendered_nouns_tell(grammar):
    told = grammar.posterior(["actress"], ["gender"])
    assert told == {("feminine",): pytest.approx(1)}
    leaning = {grammar.posterior([word], ["gender"]).get(("feminine",), 0) for word in ("dentist", "judge", "surgeon")}
    assert all(0.1 < p < 0.9 for p in leaning)
    for english, german in (("dentist", "Zahnarzt"), ("judge", "Richter")):  # the same leaning in every language
        both = [grammar.posterior([word], ["gender"])[("feminine",)] for word in (english, german)]
        assert both[0] == pytest.approx(both[1])


def test_of_a_null_concept_nothing_follows(grammar, drawn):
    for text, _ in [one for one in drawn if one[0][0] in "*-"][:40]:
        other = ["-" if text[0] == "*" else "*", *text[1:]]
        for end in range(1, len(text) + 1):
            assert grammar.next_words(text[:end]) == pytest.approx(grammar.next_words(other[:end]))


def test_every_noun_of_the_pair_datasets_may_begin_a_document(grammar):
    columns = {
        "lang_1_1": ["english", "french"],
        "gender_1_1": ["masculine", "feminine"],
        "binary_2_2": ["english_masculine", "english_feminine", "french_masculine", "french_feminine"],
        "corr_2_1": ["english", "french", "german"],
    }
    first = set(grammar.next_words([]))
    for kind, names in columns.items():
        assert first >= {word for row in read_words(kind, names) for word in row}
    colors, shapes, objects = corpus.attributes()
    for phrase in itertools.islice(itertools.product(colors, shapes, objects), 0, None, 37):
        assert len(grammar.next_words(phrase)) == 30  # every verb, most of them by the noise


def test_other_values_of_a_concept_change_as_little_as_can_be(grammar):
    first, second = (grammar.sample(random.Random(3), {"tense": tense}) for tense in ("present", "past"))
    assert [a for a, b in zip(first[0], second[0], strict=True) if a == b]
    assert {name for name in first[1] if first[1][name] != second[1][name]} == {"tense"}


def test_it_names_the_word_lists_that_it_reads(monkeypatch):
    read = set()
    monkeypatch.setattr(corpus, "read_words", lambda name, columns: (read.add(name), read_words(name, columns))[1])
    ShortDocuments().build()
    assert read == set(ShortDocuments.word_lists)
    assert all(path.is_file() for path in word_files(ShortDocuments.word_lists))


def test_concepts_of_which_nothing_follows_are_concepts(grammar):
    assert set(ShortDocuments.null) < set(grammar.concepts)
