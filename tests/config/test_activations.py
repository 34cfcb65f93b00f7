"""Corpora of which activations are cached: windows, parts and shards, and what may not be."""

import itertools

import pytest
from helpers.configs import GOOD

from shiftscope.config.read import parse_config
from shiftscope.errors import ShiftScopeError

STORE = {"corpus": "grammar", "lms": ["m"], "tokens": 10_000, "held_out": 1000, "window": 100, "tokens_per_part": 4000,
         "tokens_per_shard": 1500, "codes": [64]}  # fmt: skip


def config(**changes):
    given = {key: value for key, value in (STORE | changes).items() if value is not None}
    return parse_config(GOOD | {"corpora": {"grammar": {}}, "activations": {"text": given}})


def test_parts_cover_all_windows_evenly_and_have_equally_many_shards():
    entry = config().activations["text"]
    assert entry.windows == {"train": 100, "test": 10}
    train = [part for part in entry.parts if part.split == "train"]
    assert [part.name for part in train] == ["train_0000", "train_0001", "train_0002"]
    assert train[0].first == 0 and train[-1].last == 100
    assert all(one.last == other.first for one, other in itertools.pairwise(train))
    assert {part.last - part.first for part in train} == {33, 34} and {part.shards for part in train} == {3}
    (test,) = (part for part in entry.parts if part.split == "test")
    assert (test.name, test.first, test.last, test.shards) == ("test_0000", 0, 10, 1)


def test_a_part_has_no_more_shards_than_windows():
    for tokens in range(100, 5000, 100):
        for part in config(tokens=tokens, tokens_per_part=2300, tokens_per_shard=200).activations["text"].parts:
            assert 1 <= part.shards <= part.last - part.first


def test_a_store_has_the_name_of_its_corpus_unless_it_names_one():
    study = parse_config(GOOD | {"corpora": {"grammar": {}}, "activations": {"grammar": STORE | {"corpus": "grammar"}}})
    assert study.activations["grammar"].corpus == "grammar" and study.stores() == [("m", "grammar")]


def test_nothing_that_reads_pairs_is_trained_on_it():
    study = config()
    assert study.variants_on("m", "text") == [] and study.streamed_on() == []
    assert ("m", "text") not in study.trained_on()


def test_seeds_of_its_own():
    assert config(seeds=["0-2"]).blocks_of("ssae", "text") == ["0-2"]
    assert config().blocks_of("ssae", "text") == ["0-1"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tokens": 99},
            "activations.text.tokens: 99 is not allowed: it is less than a window of 100 tokens: raise it",
        ),
        ({"tokens_per_shard": 50}, "tokens_per_shard: 50 is not allowed: it is less than a window of 100 tokens"),
        (
            {"corpus": "gramar"},
            "activations.text.corpus: 'gramar' is unknown: allowed are grammar; did you mean 'grammar'?",
        ),
        ({"lms": ["n"]}, "activations.text.lms: 'n' is unknown: allowed are m, twin"),
        ({"variants": ["pca"]}, "activations.text.variants: 'pca' is unknown"),
        ({"codes": {64: ["pca"]}}, "activations.text.codes: 'pca' is unknown"),
        ({"codes": None}, "activations.text.codes"),
        ({"stored": "int8"}, "activations.text.stored"),
        ({"tokens": 10**13}, "a number may be at most 4,294,967,295"),
        ({"seeds": ["2-1"]}, "ends before it begins"),
    ],
)
def test_what_may_not_be(changes, said):
    with pytest.raises(ShiftScopeError) as error:
        config(**changes)
    assert said in str(error.value)


def test_names_must_differ_from_those_of_pairs():
    given = GOOD | {"corpora": {"grammar": {}}, "activations": {"lang_1_1": STORE}}
    with pytest.raises(ShiftScopeError, match="lang_1_1 is both under `pairs` and under `activations`: rename one"):
        parse_config(given)
