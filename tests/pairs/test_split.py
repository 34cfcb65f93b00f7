"""The split: no group and no text on both sides; training pairs as they are given, held-out ones turned at random in balance."""

import random

import pytest
from helpers.built_in import BUILT_IN, WORDS, build, texts_of
from hypothesis import given
from hypothesis import strategies as st

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError
from shiftscope.pairs._split import held_out_groups, in_named_direction, shuffled, split_by_group, turn_half
from shiftscope.pairs.base import Pair


@pytest.mark.parametrize("kind", BUILT_IN)
def test_no_group_and_no_text_on_both_sides(kind):
    splits = build(kind).splits
    held_out = [*splits["test"], *splits["single"]]
    assert not {pair.group for pair in splits["train"]} & {pair.group for pair in held_out}
    assert not texts_of(splits["train"]) & texts_of(held_out)


@given(
    groups=st.lists(st.integers(0, 30), min_size=2, max_size=80).filter(lambda groups: len(set(groups)) > 1),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
    orientation=st.sampled_from(["given", "random"]),
)
def test_group_split_is_a_partition_of_the_declared_size(groups, share, seed, orientation):
    pairs = [
        Pair(f"a{place}", f"b{place}", group, {"concepts": {place % 2: 1 - 2 * (place % 3 == 0)}})
        for place, group in enumerate(groups)
    ]
    dataset = kinds.load("pairs", "lang_1_1")(held_out=share, seed=seed, orientation=orientation)
    splits = split_by_group(pairs, dataset, "concepts")
    train, test = ({pair.group for pair in splits[name]} for name in ("train", "test"))
    assert not train & test
    assert train | test == set(groups)
    assert abs(len(test) - share * len(set(groups))) <= 1
    assert train and test
    both_ends = sorted(tuple(sorted((pair.text_0, pair.text_1))) for name in ("train", "test") for pair in splits[name])
    assert both_ends == sorted((f"a{place}", f"b{place}") for place in range(len(groups)))
    assert {pair.group for pair in splits["single"]} == test
    assert all(pair.single_change("concepts")[1] == 1 for pair in splits["single"])
    if orientation == "given":
        assert splits["train"] == [pair for pair in pairs if pair.group in train]


def test_one_group_cannot_be_split():
    with pytest.raises(ShiftScopeError, match="all pairs belong to one group"):
        held_out_groups([3, 3, 3], 0.4, 0)


def test_turning_a_pair_negates_every_truth():
    pair = Pair("a", "b", 7, {"x": {0: -1.0, 4: 1.0}, "y": {2: 0.5}})
    turned = pair.turned()
    assert turned == Pair("b", "a", 7, {"x": {0: 1.0, 4: -1.0}, "y": {2: -0.5}}, back=True)
    assert turned.turned() == pair
    assert (pair.single_change("y"), turned.single_change("y"), pair.single_change("x")) == ((2, 1), (2, -1), (-1, 0))
    assert in_named_direction([turned, pair], "y") == [pair, pair]


def signs_of(built, split):
    """The signs with which each concept changes alone, by concept."""
    signs: dict[int, list[int]] = {}
    for pair in built.splits[split]:
        concept, sign = pair.single_change(built.steering)
        if concept >= 0:
            signs.setdefault(concept, []).append(sign)
    assert signs
    return signs


@pytest.mark.parametrize("kind", BUILT_IN)
@pytest.mark.parametrize(("orientation", "split"), [("random", "train"), ("random", "test"), ("given", "test")])
def test_where_orientation_is_random_that_of_every_concept_is_balanced(kind, orientation, split):
    signs = signs_of(build(kind, orientation=orientation), split)
    assert all(abs(sum(found)) <= 1 for found in signs.values())


@pytest.mark.parametrize("kind", WORDS)
def test_given_training_pairs_of_words_all_go_from_the_first_form_to_the_other(kind):
    assert all(set(found) == {1} for found in signs_of(build(kind), "train").values())


@pytest.mark.parametrize("kind", BUILT_IN)
def test_orientation_changes_how_training_pairs_stand_and_nothing_else(kind):
    given, turned = (build(kind, orientation=orientation) for orientation in ("given", "random"))
    assert (given.orientation, turned.orientation) == ("given", "random")
    assert (given.splits["test"], given.splits["single"]) == (turned.splits["test"], turned.splits["single"])
    ends = [[(pair.text_0, pair.text_1) for pair in built.splits["train"]] for built in (given, turned)]
    assert len(set(map(frozenset, ends[0]))) == len(ends[0])  # each pair once
    assert set(map(frozenset, ends[0])) == set(map(frozenset, ends[1]))
    as_given = sum(pair in set(ends[0]) for pair in ends[1]) / len(ends[1])
    assert 0.4 < as_given < 0.6


def test_built_in_words_are_given_and_phrases_random():
    assert {kind: build(kind).orientation for kind in BUILT_IN} == dict.fromkeys(WORDS, "given") | {
        "cat_135_3": "random"
    }


def test_an_odd_pair_is_turned_by_chance():
    pairs = [Pair(f"a{concept}", f"b{concept}", 0, {"c": {concept: 1}}) for concept in range(200)]
    turned = sum(pair.text_0.startswith("b") for pair in turn_half(pairs, "c", 0, "train"))
    assert 60 < turned < 140


def test_shuffled_keeps_its_order_from_machine_to_machine():
    assert shuffled("abcdefgh", random.Random(1)) == list("adfegchb")
