"""Stores of activations: exact, memory-mapped, and read in another order every epoch, in constant memory."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.stores import make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftscope.activations import store as store_module
from shiftscope.activations.store import RUN, Store, as_stored, from_stored, open_shard, runs_of
from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of

SIZES = {"train": [300, 300, 211], "test": [90]}


@pytest.mark.parametrize("stored", ["float32", "float16", "bfloat16"])
def test_vectors_come_back_as_pytorch_rounds_them(tmp_path, stored):
    store = make_store(tmp_path, SIZES, stored=stored)
    given = make_store(tmp_path / "exact", SIZES)
    for split in SIZES:
        exact = np.concatenate([chunk.activations for chunk in given.chunks(split)])
        found = np.concatenate([chunk.activations for chunk in store.chunks(split)])
        assert found.dtype == np.float32
        assert np.array_equal(found, torch.from_numpy(exact).to(getattr(torch, stored)).float().numpy())
    assert store.rows() == 811 and store.rows("test") == 90 and store.d == 4


def test_bfloat16_rounds_to_the_nearest():
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32) * np.float32(10) ** np.arange(
        -20, 20
    ).repeat(2500)
    values = np.concatenate([values.astype(np.float32), np.float32([0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, 3e38])])
    assert np.array_equal(
        from_stored(as_stored(values, "bfloat16")), torch.from_numpy(values).bfloat16().float().numpy()
    )


def test_what_float16_cannot_hold_is_refused():
    with pytest.raises(ShiftScopeError, match=r"an activation of 70000 is too large for float16: write .*bfloat16"):
        as_stored(np.float32([[1, -70000]]), "float16")
    with pytest.raises(
        ShiftScopeError, match=r"an activation of 3\.4.*e\+38 is too large for bfloat16: write .*float32"
    ):
        as_stored(np.float32([[1, 3.4e38]]), "bfloat16")


@pytest.mark.parametrize("stored", ["float32", "float16", "bfloat16"])
def test_what_is_no_number_is_not_stored(stored):
    with pytest.raises(ShiftScopeError, match="an activation is not finite"):
        as_stored(np.float32([[1, np.nan]]), stored)


def test_where_vectors_are_from_stands_beside_them(tmp_path):
    store = make_store(tmp_path, SIZES)
    chunks = list(store.chunks("train"))
    assert [len(chunk.token) for chunk in chunks] == SIZES["train"]
    which = np.concatenate([chunk.document for chunk in chunks])
    assert np.array_equal(which, np.arange(811))
    assert np.array_equal(np.concatenate([chunk.position for chunk in chunks]), which % 7)
    assert np.array_equal(np.concatenate([chunk.token for chunk in chunks]), which % 5)


def test_equal_vectors_give_equal_bytes(tmp_path):
    one, other = (make_store(tmp_path / name, SIZES) for name in "ab")
    assert one.facts == other.facts
    shard = "train_0000/shard_0001.arrow"
    assert sha256_of(tmp_path / "a" / shard) == sha256_of(tmp_path / "b" / shard)


def test_shards_are_mapped_not_read(tmp_path):
    make_store(tmp_path, {"train": [10], "test": [1]})
    file = tmp_path / "train_0000/shard_0000.arrow"
    shard = open_shard(file)
    assert not shard.stored.flags.writeable and not shard.stored.flags.owndata
    with file.open("rb+") as opened:  # what changes in the file changes in the array: it is the file
        content = opened.read()
        opened.seek(content.index(shard.stored[0].tobytes()))
        opened.write(np.float32(42).tobytes())
    assert shard.stored[0, 0] == 42


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:200])])
def test_a_lost_or_damaged_shard_is_named(tmp_path, damage):
    store = make_store(tmp_path, SIZES)
    damage(tmp_path / "train_0000/shard_0001.arrow")
    with pytest.raises(ShiftScopeError, match=r"shard_0001.arrow is missing or damaged .*`make pull` or `make run`"):
        list(itertools.islice(store.batches(100, seed=0), 9))


def flip(file, place):
    """Turn one bit, the size and everything else as it was."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("read", ["batches", "chunks"])
@pytest.mark.parametrize("damage", ["flipped", "swapped"])
def test_a_shard_of_the_right_shape_and_other_bytes_is_named(tmp_path, damage, read):
    store = make_store(tmp_path, SIZES)
    file, other = (tmp_path / f"train_0000/shard_000{number}.arrow" for number in (1, 0))
    if damage == "flipped":
        flip(file, file.read_bytes().index(open_shard(file).stored[7].tobytes()))
    else:
        content = file.read_bytes()
        file.write_bytes(other.read_bytes())
        other.write_bytes(content)
    said = (
        r"shard_000[01]\.arrow is not the shard that .*manifest\.json lists .*delete it, and `make pull` or `make run`"
    )
    with pytest.raises(ShiftScopeError, match=said):
        list(itertools.islice(store.batches(100, seed=0), 9) if read == "batches" else store.chunks("train"))


def test_a_shard_is_compared_with_the_manifest_once(tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(store_module, "sha256_of", lambda file: hashed.append(file.name) or sha256_of(file))
    store = make_store(tmp_path, SIZES)
    list(itertools.islice(store.batches(100, seed=0), 50))
    list(store.chunks("train"))
    assert sorted(hashed) == ["shard_0000.arrow", "shard_0001.arrow", "shard_0002.arrow"]


@pytest.mark.parametrize("stored", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_store_with_what_is_no_number_is_refused(tmp_path, monkeypatch, stored, value):
    def vectors(which):
        return np.where(which[:, None] == 305, np.float32(value), np.ones((len(which), 4), np.float32))

    of_other_hands = {"bfloat16": lambda given: (given.view(np.uint32) >> 16).astype(np.uint16)}
    plain = lambda given, dtype: of_other_hands.get(dtype, lambda given: given.astype(dtype))(given)  # noqa: E731
    monkeypatch.setattr(store_module, "as_stored", plain)
    store = make_store(tmp_path, SIZES, stored=stored, of=vectors)
    with pytest.raises(ShiftScopeError, match=r"shard_0001\.arrow holds NaN or infinity, first in row 5: cache these"):
        list(store.chunks("train"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test": [0]}, "shard 0 of split test has no vectors"),
        ({"train": [5, 0]}, "shard 1 of split train has no vectors"),
        ({"test": []}, "split test has no vectors"),
    ],
)
def test_a_store_without_vectors_is_refused_when_it_is_opened(tmp_path, change, said):
    with pytest.raises(ShiftScopeError, match=rf"manifest\.json: {said}: .* or raise `tokens` and `held_out`"):
        make_store(tmp_path, {"train": [5], "test": [5]} | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"shape": {"train": [810, 4], "test": [90, 4]}},
            "the shards of split train have 811 vectors, and the split has 810",
        ),
        ({"shards": {"train": []}}, "is no manifest of a store"),
        ({"shape": None}, "is no manifest of a store"),
        ({"stored": "int8"}, "is no manifest of a store"),
    ],
)
def test_a_manifest_that_does_not_add_up_is_refused(tmp_path, change, said):
    make_store(tmp_path, SIZES)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(ShiftScopeError, match=said):
        Store(manifest)


def test_a_shard_of_another_store_is_refused(tmp_path):
    store = make_store(tmp_path, SIZES)
    make_store(tmp_path / "other", {"train": [300, 300, 211], "test": [90]}, d=5)
    file = "train_0000/shard_0001.arrow"
    (tmp_path / "other" / file).replace(tmp_path / file)
    with pytest.raises(
        ShiftScopeError, match=r"shard_0001.arrow holds \(300, 5\) float32 and should hold \(300, 4\) float32"
    ):
        list(store.chunks("train"))


def read(store, batch_size, batches, seed=0, start=0):
    return np.stack(list(itertools.islice(store.batches(batch_size, seed, start), batches)))


def test_an_epoch_reads_every_vector_once_and_the_next_in_another_order(tmp_path):
    store = make_store(tmp_path, {"train": [300, 300, 200], "test": [1]})
    every = np.concatenate([chunk.activations for chunk in store.chunks("train")])
    first, second = read(store, 100, 16).reshape(2, 800, 4)
    for epoch in (first, second):
        assert np.array_equal(np.sort(epoch, axis=0), np.sort(every, axis=0))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, read(store, 100, 8, seed=1).reshape(800, 4))
    assert np.array_equal(first, read(store, 100, 8).reshape(800, 4))


def test_a_batch_is_from_all_shards(tmp_path):
    store = make_store(tmp_path, {"train": [1000] * 4, "test": [1]})
    edges = [chunk.activations[0, 0] for chunk in store.chunks("train")]
    every = np.concatenate([chunk.activations for chunk in store.chunks("train")])[:, 0]
    assert len(edges) == 4
    batch = read(store, 1000, 1)[0, :, 0]
    share = np.bincount(np.array([np.flatnonzero(every == value)[0] for value in batch]) // 1000, minlength=4)
    assert share.min() > 60


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=12), st.integers(1, 300), st.integers(0, 5), st.integers(0, 20)
)
@settings(deadline=None)
def test_runs_cover_each_epoch_and_a_later_start_is_the_rest(sizes, batch_size, seed, start):
    batches = list(itertools.islice(runs_of(sizes, batch_size, seed), 30))
    assert batches[start:] == list(itertools.islice(runs_of(sizes, batch_size, seed, start), 30 - start))
    assert all(sum(last - first for _, first, last in batch) == batch_size for batch in batches)
    assert all(last - first <= RUN for batch in batches for _, first, last in batch)
    rows = [(shard, row) for batch in batches for shard, first, last in batch for row in range(first, last)]
    total = sum(sizes)
    for epoch in range(len(rows) // total):
        assert len(set(rows[epoch * total : (epoch + 1) * total])) == total


def test_a_store_without_vectors_is_refused():
    with pytest.raises(ShiftScopeError, match="no vectors"):
        next(runs_of([], 10, 0))


STREAM = """
import itertools, re, resource, sys
from pathlib import Path
import numpy as np
from shiftscope.activations.store import Store

store = Store(Path(sys.argv[1]))
next(store.batches(1000, 0))
used = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 24 * 2**20, used + 24 * 2**20))
total = 0.0
for batch in itertools.islice(store.batches(1000, 0), store.rows() // 1000):
    total += float(batch.sum())
print(total)
try:
    np.concatenate([chunk.activations for chunk in store.chunks("train")])
except MemoryError:
    print("too large")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_store_is_streamed_in_far_less_memory_than_it_has(tmp_path):
    store = make_store(tmp_path, {"train": [20_000] * 8, "test": [1]}, d=256)
    assert store.rows() * store.d * 4 > 6 * 24 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path / "manifest.json")], capture_output=True, text=True
    )
    total, verdict = done.stdout.split("\n")[:2]
    assert verdict == "too large", done.stderr
    every = sum(float(chunk.activations.astype(np.float64).sum()) for chunk in store.chunks("train"))
    assert abs(float(total) - every) < 1e-3 * np.sqrt(store.rows() * store.d)
