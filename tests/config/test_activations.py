"""Corpora of which activations are cached: windows, parts and shards, and what may not be."""

import itertools

import pytest
from helpers.configs import GOOD, refusal

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
        ({"tokens": 0}, "activations.text.tokens: 0 is not allowed: Input should be greater than or equal to 1"),
        ({"held_out": -3}, "activations.text.held_out: -3 is not allowed: Input should be greater than or equal to 1"),
        ({"held_out": 50}, "activations.text.held_out: 50 is not allowed: it is less than a window of 100 tokens"),
        ({"codes": "64"}, "activations.text.codes: '64' is not allowed: it must be a list"),
        ({"codes": [64, 64]}, "64 is listed twice: list it once"),
        ({"lms": ["m", "m"]}, "activations.text.lms: ['m', 'm'] is not allowed: 'm' is listed twice: list it once"),
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


# --- variants that learn from them

TOPK = {"kind": "topk", "batch_size": 64, "k": 16}


def with_variants(given, store=None, **sections):
    """The good config with a store, and further variants."""
    changed = {key: value for key, value in (STORE | (store or {})).items() if value is not None}
    raw = GOOD | {"corpora": {"grammar": {}}, "activations": {"text": changed}, "variants": GOOD["variants"] | given}
    return refusal(raw | sections)


@pytest.mark.parametrize("kind", ["topk", "batch_topk"])
@pytest.mark.parametrize("how", [{"k": 65}, {"grid": {"k": [16, 65]}}])
def test_more_codes_at_a_time_than_there_are(kind, how):
    given = {key: value for key, value in TOPK.items() if key != "k"} | {"kind": kind} | how
    said = "variants.mine on activations.text with 64 codes: k 65 is more than the 64 codes there are: lower k or take more codes"
    assert with_variants({"mine": given}) == said


def test_codes_that_fit_one_size_and_not_another_are_refused():
    assert "with 8 codes: k 16 is more" in with_variants({"mine": TOPK}, {"codes": [64, 8]})
    study = {"mine": TOPK, "few": TOPK | {"k": 4}}
    parse_config(GOOD | {"corpora": {"grammar": {}}, "activations": {"text": STORE | {"codes": {64: "all", 8: ["few"]}}},
                         "variants": study}
                 | {"pairs": {}, "synthetic": {}, "tables": []})  # fmt: skip


def test_a_batch_is_not_larger_than_the_store():
    said = with_variants({"mine": TOPK | {"batch_size": 9901}})
    assert said == (
        "variants.mine.batch_size: 9901 is more than the 9900 vectors that activations.text has at most to train on: lower it, "
        "or raise `tokens`"
    )


@pytest.mark.parametrize(
    ("given", "changes", "said"),
    [
        ({}, {"store": {"variants": ["ssae"]}}, "activations.text.variants: 'ssae' learns from pairs, and these are activations: of the variants that take them there are none"),
        ({"mine": TOPK}, {"store": {"codes": {64: ["mine", "ssae"]}}}, "activations.text.codes.64: 'ssae' learns from pairs, and these are activations: of the variants that take them there are mine"),
        ({"mine": TOPK}, {"pairs": {"lang_1_1": {"variants": ["mine"]}}}, "pairs.lang_1_1.variants: 'mine' learns from activations, and these are pairs: of the"),
        ({"mine": TOPK}, {"activations": {}}, "variants.mine learns from activations, and `activations` has no entry: add one, or leave mine out"),
        ({"mine": TOPK | {"datasets": ["lang_1_1"]}}, {}, "variants.mine.datasets: 'lang_1_1' is unknown: allowed are text"),
        ({"mine": TOPK, "other": TOPK | {"trained_with": "ssae"}}, {}, "variants.other.trained_with: other learns from activations and ssae from pairs: a job has one dataset"),
        ({"mine": TOPK | {"steps": 5, "checkpoints": [9]}}, {}, "variants.mine.checkpoints: [9] is not allowed: checkpoints must be steps from 0 to 5"),
    ],
)  # fmt: skip
def test_variants_that_nothing_would_be_made_of(given, changes, said):
    assert with_variants(given, changes.pop("store", None), **changes).startswith(said)


def test_a_language_model_that_leaves_no_variant_for_its_activations():
    lms = {"m": GOOD["lms"]["m"] | {"variants": ["ssae"]}}
    said = with_variants({"mine": TOPK}, lms=lms)
    assert said.startswith(
        "no variant is left to train on activations.text by m with 64 codes: the `variants` of the two"
    )


def test_an_autoencoder_may_name_the_stores_that_it_is_trained_on():
    stores = {"text": STORE, "other": STORE}
    raw = GOOD | {"corpora": {"grammar": {}}, "activations": stores}
    study = parse_config(raw | {"variants": GOOD["variants"] | {"all": TOPK, "one": TOPK | {"datasets": ["other"]}}})
    assert study.variants_on("m", "text") == ["all"] and study.variants_on("m", "other") == ["all", "one"]
