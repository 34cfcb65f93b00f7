"""Files are whole or absent, equal content gives equal bytes, and a write that fails says why."""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.clone import ROOT
from hypothesis import given
from hypothesis import strategies as st

from shiftscope.activations.store import write_arrow
from shiftscope.errors import ShiftScopeError
from shiftscope.files import (
    atomic,
    canonical_json,
    read_json,
    read_tensors,
    sha256_of,
    write_json,
    write_stacked,
    write_tensors,
    write_text,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- atomic


def test_a_write_that_succeeds_leaves_the_file_and_nothing_else(tmp_path):
    with atomic(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert names_in(tmp_path / "new") == [temporary.name]  # nobody sees the file before it is whole
    assert names_in(tmp_path / "new") == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"


def test_the_old_file_survives_a_write_that_fails(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half of the new")
        raise ZeroDivisionError
    assert names_in(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_write_that_is_interrupted_leaves_no_temporary(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert names_in(tmp_path) == []


def test_a_user_error_inside_a_write_stays_what_it_is(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"^a row is bad$"), atomic(tmp_path / "a.txt"):
        raise ShiftScopeError("a row is bad")


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ShiftScopeError, match=r"cannot write .*/a/b\.txt: (File exists|Not a directory)"):
        write_text(tmp_path / "a" / "b.txt", "x")


def test_every_writer_leaves_ordinary_permissions(tmp_path):
    """safetensors makes files that only their owner can read, which would be useless in a shared folder."""
    previous = os.umask(0o027)
    try:
        write_tensors(tmp_path / "a.safetensors", {"x": np.zeros(1)})
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(previous)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names_in(tmp_path)}
    assert modes == {0o640}


def test_a_read_only_folder_is_named(tmp_path, mount):
    mount(tmp_path, "-t", "tmpfs", "tmpfs")
    write_text(tmp_path / "a.txt", "old")
    subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
    for write in (lambda: write_text(tmp_path / "a.txt", "new"), lambda: write_tensors(tmp_path / "a.txt", {})):
        with pytest.raises(ShiftScopeError) as caught:
            write()
        assert str(caught.value) == (
            f"cannot write {tmp_path}/a.txt: Read-only file system. "
            "Check that the folder exists, is writable and is not mounted read-only"
        )
    assert names_in(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def write_parquet(path: Path) -> None:
    import pyarrow.parquet as pq

    numbers = np.random.default_rng(0).normal(size=50_000)
    with atomic(path) as temporary:
        pq.write_table(pa.table({"x": numbers}), temporary)


def write_torch(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        save_file({"x": torch.zeros(100_000)}, temporary)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x" * 400_000),
        lambda path: write_json(path, ["x"] * 100_000),
        lambda path: write_tensors(path, {"x": np.zeros(100_000)}),
        lambda path: write_stacked(path, 2, [{"x": np.zeros(50_000)}] * 2),
        lambda path: write_arrow(path, {"x": pa.array(np.zeros(100_000))}),
        write_parquet,
        write_torch,
    ],
    ids=["text", "json", "tensors", "stacked", "arrow", "parquet", "torch"],
)
def test_a_full_disk_is_said_to_be_full_and_the_old_file_still_verifies(tmp_path, mount, write):
    mount(tmp_path, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": np.arange(3)})
    before = sha256_of(path)
    with pytest.raises(ShiftScopeError) as caught:
        write(path)
    assert re.fullmatch(
        rf"the disk is full while writing {path}: free some space on {tmp_path} \(.* are left\) and run again; "
        "nothing half-written is left", str(caught.value),
    )  # fmt: skip
    assert names_in(tmp_path) == [path.name]
    assert sha256_of(path) == before
    assert read_tensors(path)[0]["x"].tolist() == [0, 1, 2]


# --- JSON

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON))
def test_canonical_json_is_read_back_and_does_not_depend_on_order(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items()))) == text


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": [1, 2.5, None, True], "a": "é"}) == '{"a":"é","b":[1,2.5,null,true]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_refuses_what_json_cannot_hold(value, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": value})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": value})
    assert names_in(tmp_path) == []


def test_json_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": [2]})
    assert path.read_text() == '{\n "a": [\n  2\n ],\n "b": 1\n}\n'
    assert read_json(path) == {"a": [2], "b": 1}
    for damaged in (b'{"a": [', b"", b"\xff\xfe"):
        path.write_bytes(damaged)
        with pytest.raises(ShiftScopeError, match=r"a\.json is not readable JSON .*: delete it and run again"):
            read_json(path)


# --- tensors


def test_tensors_are_read_back(tmp_path):
    arrays = {
        "turned": np.arange(12, dtype=np.float32).reshape(3, 4).T[:, ::-1],
        "number": np.float64(2.5),
        "empty": np.zeros((0, 5), np.int64),
        "flags": np.array([True, False]),
        "small": np.array([1, -1], np.int8),
    }
    write_tensors(tmp_path / "a.safetensors", arrays, {"layer": "final_norm", "shape": [1, 2], "é": None})
    read, metadata = read_tensors(tmp_path / "a.safetensors")
    assert metadata == {"layer": "final_norm", "shape": [1, 2], "é": None}
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[name], array)


def test_equal_tensors_have_equal_bytes_in_every_process_and_order(tmp_path):
    program = """
import sys
import numpy as np
from shiftscope.files import write_tensors
names = ["alpha", "beta", "gamma", "delta", "epsilon"]
if sys.argv[2] == "turned":
    names.reverse()
arrays = {name: np.full((2, 3), len(name), np.float32) for name in names}
write_tensors(sys.argv[1], arrays, {name: f"about {name}" for name in names})
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    digests = set()
    for seed in ("0", "1", "2"):
        for order in ("straight", "turned"):
            path = tmp_path / f"{seed}_{order}.safetensors"
            subprocess.run(
                [sys.executable, "-c", program, str(path), order],
                env=environment | {"PYTHONHASHSEED": seed}, check=True,
            )  # fmt: skip
            digests.add(sha256_of(path))
    assert len(digests) == 1


def test_damaged_tensors_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": np.arange(100)})
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:40], whole[:4], b"", b"\x00" * 100, b"not tensors at all"):
        path.write_bytes(damaged)
        with pytest.raises(ShiftScopeError, match=r"a\.safetensors is damaged \(.*\): delete it and run again"):
            read_tensors(path)


def test_tensors_that_others_wrote_have_no_metadata(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(2)}, tmp_path / "a.safetensors", {"format": "pt"})
    assert read_tensors(tmp_path / "a.safetensors")[1] == {}


def test_the_digest_is_that_of_the_bytes(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()
