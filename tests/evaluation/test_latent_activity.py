"""Running counts of latents against counts of everything at once."""

import numpy as np
import pytest
from helpers.stores import make_store

from shiftscope.activations.store import Chunk
from shiftscope.evaluation.latent_activity import TOP, Activity, Counts, stream


def chunks(n=400, size=37, seed=0):
    generator = np.random.default_rng(seed)
    codes = np.where(generator.random(n) < 0.6, 0, generator.exponential(2, n)).round(1)
    where = Chunk(np.zeros((n, 1)), generator.integers(0, 30, n), np.arange(n), np.zeros(n, np.int32))
    for start in range(0, n, size):
        yield codes[start : start + size], Chunk(*(column[start : start + size] for column in where))


def test_the_strongest_tokens_are_those_of_all_at_once_one_per_document():
    activity, every = Activity(), []
    for codes, chunk in chunks():
        activity.add(codes, "test", chunk)
        every += zip(codes.tolist(), chunk.document.tolist(), chunk.position.tolist(), strict=True)
    best = {}
    for code, document, position in sorted(every, key=lambda one: (-one[0], one[1], one[2])):
        if code:
            best.setdefault(document, (code, document, position))
    expected = sorted(best.values(), key=lambda one: (-one[0], one[1], one[2]))[:TOP]
    found = activity.strongest
    assert list(zip(found.code.tolist(), found.document.tolist(), found.position.tolist(), strict=True)) == expected
    fired = [code for code, *_ in every if code]
    assert activity.fired == {"test": len(fired), "train": 0}
    assert activity.size == pytest.approx(np.mean(fired))
    edges, counts = activity.histogram.filled()
    assert counts.sum() == len(fired) and np.array_equal(counts, np.histogram(fired, edges)[0])


def test_training_tokens_count_for_contexts_and_the_mean_alone():
    activity = Activity()
    activity.add(np.array([3.0, 0.0]), "train", Chunk(np.zeros((2, 1)), *(np.arange(2),) * 3))
    assert activity.fired == {"test": 0, "train": 1} and activity.size == 3
    assert not activity.strongest.held[0] and not len(activity.histogram.filled()[1])
    assert Activity().size is None


def test_bins_depend_on_the_values_alone():
    values = np.random.default_rng(0).normal(size=500) * np.logspace(-2, 2, 500)
    whole = Counts()
    whole.add(values)
    for order in (values, values[::-1]):
        parts = Counts()
        for start in range(0, 500, 9):
            parts.add(order[start : start + 9])
        assert all(np.array_equal(one, other) for one, other in zip(parts.filled(), whole.filled(), strict=True))
    edges, counts = whole.filled()
    assert np.array_equal(counts, np.histogram(values, edges)[0])
    assert edges[0] < 0 < edges[-1] and 0 in edges and counts[0] and counts[-1]


@pytest.mark.parametrize("value", [1.0, -1.0, 0.3, 2.0**-30])
def test_one_value_is_in_one_bin_beside_zero(value):
    one = Counts()
    one.add(np.array([value]))
    edges, counts = one.filled()
    assert counts.sum() == 1 and (edges[0] == 0 or edges[-1] == 0)
    assert edges[counts.argmax()] <= value < edges[counts.argmax() + 1]


def test_held_out_tokens_come_first_and_then_those_of_training_up_to_a_limit(tmp_path):
    store = make_store(tmp_path, {"train": [1500, 50], "test": [1100, 10]})
    found = [(split, chunk.document) for split, chunk in stream(store, 1300)]
    assert [split for split, _ in found] == ["test", "test", "test", "train"]
    assert sum(len(document) for _, document in found) == 1300
    assert np.array_equal(np.concatenate([one for split, one in found if split == "test"]), np.arange(1550, 2660))
    assert sum(len(one) for _, one in stream(store, 900)) and [len(one.token) for _, one in stream(store, 900)] == [900]
    assert sum(len(one.token) for _, one in stream(store)) == 2660
