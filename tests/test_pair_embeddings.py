"""Pair embeddings: what passes from the pairs unchanged, what is refused, and the first so many training pairs."""

import dataclasses

import numpy as np
import pytest
from helpers.reading import table
from helpers.shifts import random_pairs
from helpers.tiny_models import draw, embeddings_of

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, read_tensors, sha256_of, write_tensors
from shiftscope.pair_embeddings import (
    PairEmbeddings,
    TrainingPairs,
    components,
    first_pairs,
    labels,
    read_embeddings,
    training_pairs,
    write_embeddings,
)


def test_labels_pass_through():
    arrays = labels(table(list("abc"), list("def")), {"onehot": ["x", "y"]})
    assert {name: (array.dtype.name, array.tolist()) for name, array in arrays.items()} == {
        "split": ("uint8", [0, 1, 2]),
        "group": ("int64", [0, 0, 1]),
        "concept": ("int64", [[-1, 0, -1]]),
        "sign": ("int8", [[0, -1, 0]]),
        "text": ("int64", [[0, 1, 2], [3, 4, 5]]),
        "back": ("bool", [False, True, False]),
        "truth.onehot": ("float32", [[[0, 0.5], [1, 0.5], [2, 0.5]]]),
    }


def test_equal_texts_have_equal_numbers_on_either_side():
    arrays = labels(table(["a", "b", "a"], ["b", "c", "a"]), {"onehot": ["x", "y"]})
    assert arrays["text"].tolist() == [[0, 1, 0], [1, 2, 0]]


def test_a_truth_of_another_width_is_refused():
    with pytest.raises(ShiftScopeError, match=r"row 0: truth\.onehot has 2 values, but the manifest names 3"):
        labels(table(["a"], ["b"]), {"onehot": ["x", "y", "z"]})


def test_a_split_of_another_name_is_refused():
    pairs = table(["a", "b"], ["c", "d"])
    pairs = pairs.set_column(pairs.column_names.index("split"), "split", [["train", "tets"]])
    with pytest.raises(ShiftScopeError, match=r"row 1: split 'tets' is unknown: allowed are .*; did you mean 'test'\?"):
        labels(pairs, {"onehot": ["x", "y"]})


def test_fewer_pairs_are_the_first_of_one_order_and_are_among_more():
    pairs = random_pairs(3, 8)[0]
    pairs = TrainingPairs(pairs.shifts, np.arange(len(pairs.shifts)), None, 3)
    few, more, other = first_pairs(pairs, 20, 0), first_pairs(pairs, 90, 0), first_pairs(pairs, 20, 1)
    assert (len(few.shifts), len(more.concept)) == (20, 90)
    assert set(few.concept) < set(more.concept) and set(few.concept) != set(other.concept)
    assert (few.shifts == pairs.shifts[few.concept]).all()  # rows stay together
    assert first_pairs(pairs, None, 0) is pairs
    with pytest.raises(ShiftScopeError, match="n_pairs 401 is more than this dataset's 400 training pairs"):
        first_pairs(pairs, 401, 0)


def test_training_pairs_are_those_of_the_training_split():
    data = embeddings_of(random_pairs(3, 8))
    data.split[100:] = 1
    found = training_pairs(data, 1)
    assert (found.shifts == data.embedding_1[1, :100] - data.embedding_0[1, :100]).all()
    assert (found.before == data.embedding_0[1, :100]).all()
    assert found.n_concepts == 3 and found.texts is None


def test_odd_pairs_are_not_trained_on_and_pairs_keep_their_texts():
    data = embeddings_of(random_pairs(3, 8))
    data.split[100:] = 1
    odd = np.zeros((2, 400), bool)
    odd[1, [3, 50, 200]] = True  # of the second data seed; the last is held out
    text = np.arange(800).reshape(2, 400)
    data = dataclasses.replace(data, odd=odd, text=text)
    left = [row for row in range(100) if row not in (3, 50)]
    found = training_pairs(data, 1)
    assert (found.shifts == data.embedding_1[1, left] - data.embedding_0[1, left]).all()
    assert (found.before == data.embedding_0[1, left]).all()
    assert (found.texts == text[:, left].T).all()
    for side, whole in zip(data.training_sides(1), (data.embedding_0, data.embedding_1), strict=True):
        assert (side == whole[1, left]).all()
    assert all(np.shares_memory(*two) for two in zip(data.training_sides(0), data.sides(0, "train"), strict=True))
    assert len(training_pairs(data, 0).shifts) == 100
    assert len(data.shifts(1, "test")) == 300
    some = found.some(np.array([5, 2]))
    assert (some.shifts == found.shifts[[5, 2]]).all() and (some.texts == found.texts[[5, 2]]).all()
    assert some.n_concepts == 3 and (found.some(np.arange(98) == 7).before == found.before[[7]]).all()


def test_pairs_that_share_a_text_even_through_others_are_of_one_component():
    texts = np.array([[0, 1], [5, 6], [1, 2], [8, 7], [6, 8], [20, 21], [2, 0], [21, 20], [4, 4]])
    found = components(texts)
    chain, other, turned, alone = found[[0, 1, 5, 8]]
    assert found.tolist() == [chain, other, chain, other, other, turned, chain, turned, alone]
    assert sorted([chain, other, turned, alone]) == [0, 1, 2, 3]
    pairs = TrainingPairs(np.zeros((9, 2), np.float32), None, None, 1, texts=texts)
    assert (pairs.component == found).all()
    assert pairs.some(np.array([5, 7, 0])).component.tolist() == [1, 1, 0]
    unknown = TrainingPairs(np.zeros((3, 2), np.float32), None, None, 1)
    assert unknown.component.tolist() == [0, 1, 2]


LAW = {"n_varying": 3, "max_changed": 2, "n_train": 20, "n_test": 10, "n_single": 5, "data_seeds": 2}


def test_what_was_written_is_read_back(tmp_path):
    files = draw(tmp_path, **LAW)
    data = read_embeddings(*files)
    arrays, _ = read_tensors(files[0])
    assert (data.embedding_0 == arrays["embedding_0"]).all() and (data.truths["shift"] == arrays["truth.shift"]).all()
    assert data.data_seeds == 2
    assert [len(data.rows(split)) for split in ("train", "test", "single")] == [20, 10, 5]
    assert (data.shifts(1, "test") == arrays["embedding_1"][1, 20:30] - arrays["embedding_0"][1, 20:30]).all()
    again = tmp_path / "again.safetensors", tmp_path / "again.json"
    write_embeddings(*again, arrays, {"primary_truth": None}, {"layer": "final_norm"})
    assert read_json(again[1]) == {"primary_truth": None, "sha256": sha256_of(again[0])}
    assert read_tensors(again[0])[1] == {"layer": "final_norm"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_named_by_row(tmp_path, value):
    embeddings, manifest = draw(tmp_path, **LAW)
    arrays, _ = read_tensors(embeddings)
    arrays["embedding_1"][1, 7, 3] = value
    write_tensors(embeddings, arrays)
    with pytest.raises(ShiftScopeError, match=r"embedding_1 holds NaN or infinity in 1 pairs, the first is row 7"):
        read_embeddings(embeddings, manifest)


def test_no_training_pair_is_refused(tmp_path):
    embeddings, manifest = draw(tmp_path, **LAW)
    arrays, _ = read_tensors(embeddings)
    write_tensors(embeddings, arrays | {"split": np.ones_like(arrays["split"])})
    with pytest.raises(ShiftScopeError, match="has no training pair: check the dataset's held-out fraction"):
        read_embeddings(embeddings, manifest)


def test_held_out_pairs_can_be_read_as_they_were_given():
    """A model with a bias is judged on pairs turned as those that it was trained on; random ones have no such way."""
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 1, 6, 3)).astype(np.float32)
    back = np.array([False, False, True, False, True, False])
    split = np.array([0, 0, 1, 1, 1, 1], np.uint8)
    parts = (before, after, split, np.arange(6), np.full((1, 6), -1), np.zeros((1, 6), np.int8))
    given = PairEmbeddings(*parts, facts={"orientation": "given"}, back=back).sides_as_given(0, "test")
    turned = np.where(back[2:, None], after[0, 2:], before[0, 2:])
    assert np.array_equal(given[0], turned) and np.array_equal(sum(given), before[0, 2:] + after[0, 2:])
    for facts, marks in (({"orientation": "random"}, back), ({"orientation": "given"}, None)):
        asis = PairEmbeddings(*parts, facts=facts, back=marks).sides_as_given(0, "test")
        assert np.array_equal(asis[0], before[0, 2:])
