"""The Pile from the hub: `datasets` itself on a local folder, whose stream breaks as a network does."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
import types

import datasets
import pyarrow as pa
import pytest
from helpers.clone import ROOT
from helpers.corpora import write
from huggingface_hub import errors
from pydantic import ValidationError

from shiftscope.corpora import _hub
from shiftscope.corpora.pile import Pile
from shiftscope.errors import ShiftScopeError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = Pile(repo_id="someone/pile", revision=COMMIT)
ROWS = [{"text": f"document {number % 40}", "meta": {"pile_set_name": "Pile-CC"}} for number in range(53)]
ROWS[7]["text"] = None
ROWS[8]["text"] = "\n"


def write_rows(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".zst":
        with pa.output_stream(path, compression="zstd") as stream:
            stream.write(text)
    else:
        path.write_bytes(text)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub, as a folder of this machine; what was asked of it; and the stream that it gives."""
    (tmp_path / "hub/train").mkdir(parents=True)
    for number, rows in enumerate((ROWS[:20], ROWS[20:])):
        write_rows(tmp_path / f"hub/train/{number:02}.jsonl", rows)
    real, asked = datasets.load_dataset, []

    def load_dataset(repo_id, **options):
        asked.append((repo_id, options.pop("revision")))
        return real(str(tmp_path / "hub"), **options)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(_hub, "ROWS", 10)
    monkeypatch.setattr(_hub.time, "sleep", lambda seconds: asked.append(seconds))
    return asked


def breaking(monkeypatch, *after: int):
    """Let the stream raise after so many rows, counted anew from where each try begins; then no more."""
    iterate, tries = datasets.IterableDataset.__iter__, iter(after)

    def broken(self):
        left = next(tries, None)
        for row in iterate(self):
            if left == 0:
                raise ConnectionError("reset by https://cdn.example/00.jsonl.zst?Signature=secret&x=1 again")
            left = None if left is None else left - 1
            yield row

    monkeypatch.setattr(datasets.IterableDataset, "__iter__", broken)


def test_the_stream_of_the_hub_is_read_whole(hub, tmp_path):
    found = write(HUB, tmp_path / "out", "pile")
    assert found.texts == [row["text"] for row in ROWS if (row["text"] or "").strip()]  # with its duplicates
    assert found.reasons == {"someone/pile/train:8": "no text (null)", "someone/pile/train:9": "empty"}
    assert found.sources[:2] == ["someone/pile/train:1", "someone/pile/train:2"]
    assert found.facts["params"]["revision"] == COMMIT
    assert hub == [("someone/pile", COMMIT)]


@pytest.mark.parametrize("after", [(0,), (3,), (10,), (25,), (52,), (5, 3, 12), (0, 0, 0, 0, 31, 0)])
def test_a_stream_that_breaks_goes_on_with_the_same_bytes(hub, tmp_path, monkeypatch, caplog, after):
    whole = write(HUB, tmp_path / "whole", "pile")
    breaking(monkeypatch, *after)
    found = write(HUB, tmp_path / "out", "pile")
    assert found.bytes == whole.bytes
    warned = [record.getMessage() for record in caplog.records if "broke off" in record.getMessage()]
    assert len(warned) == len(after)
    assert (
        "the stream of someone/pile/train broke off (ConnectionError: reset by https://cdn.example/00.jsonl.zst again)"
        in warned[0]
    )
    assert "secret" not in caplog.text


def test_a_stream_that_breaks_for_good_is_an_error_and_another_run_goes_on(hub, tmp_path, monkeypatch, caplog):
    whole = write(HUB, tmp_path / "whole", "pile")
    with monkeypatch.context() as patch:
        breaking(patch, 25, *[0] * 20)
        with pytest.raises(
            ShiftScopeError,
            match=r"^the stream of someone/pile/train broke off 6 times at the same place \(Conn.*it goes on from",
        ) as caught:
            write(HUB, tmp_path / "out", "pile", tmp_path / "state")
    assert "secret" not in str(caught.value)
    assert hub[-5:] == list(_hub.WAITS)
    given = []
    load = datasets.IterableDataset.load_state_dict
    monkeypatch.setattr(
        datasets.IterableDataset, "load_state_dict", lambda self, state: (given.append(state), load(self, state))[1]
    )
    assert write(HUB, tmp_path / "out", "pile", tmp_path / "state").bytes == whole.bytes
    assert len(given) == 1


def test_archives_of_the_hub_are_streamed(tmp_path, hub):
    if not importlib.util.find_spec("zstandard"):
        pytest.skip("zstandard is not installed: `make install`")
    for file in (tmp_path / "hub/train").iterdir():
        file.unlink()
    write_rows(tmp_path / "hub/train/00.jsonl.zst", ROWS)
    assert len(write(HUB, tmp_path / "out", "pile").texts) == 51


def answer(kind, status=404):
    return kind("no", response=types.SimpleNamespace(headers={}, status_code=status, request=None))


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (answer(errors.GatedRepoError, 403), r"is gated: ask for access at https://huggingface\.co/datasets/someone/pile and set HF_TOKEN"),
        (answer(errors.RepositoryNotFoundError), r"does not exist or is private: check repo_id, or set HF_TOKEN"),
        (answer(errors.RevisionNotFoundError), r"has no such revision"),
        (ValueError("Bad split: trian. Available splits: ['train']"), r"cannot be downloaded \(Bad split: trian.*check repo_id and revision"),
        (ConnectionError("no route to https://x.y/z?token=secret"), r"cannot be downloaded \(ConnectionError: no route to https://x\.y/z\): check the "
         r"network, or use `path` with a copy"),
    ],
)  # fmt: skip
def test_errors_of_the_hub_name_the_dataset_and_the_fix(tmp_path, monkeypatch, cause, message):
    def plain(*_, **__):
        raise cause

    def wrapped(*_, **__):
        raise datasets.exceptions.DatasetNotFoundError("cannot be accessed") from cause

    for fail in (plain, wrapped) if isinstance(cause, errors.HfHubHTTPError) else (plain,):
        monkeypatch.setattr(datasets, "load_dataset", fail)
        with pytest.raises(
            ShiftScopeError, match=rf"^the dataset someone/pile \(revision {COMMIT}, split train\) {message}"
        ):
            write(HUB, tmp_path, "pile")


def test_offline_the_dataset_is_named(tmp_path):
    code = "import sys, pathlib; from helpers.corpora import write; from shiftscope.corpora.pile import Pile\n"
    code += f"write(Pile(repo_id='someone/pile', revision='{COMMIT}'), pathlib.Path(sys.argv[1]), 'pile')"
    paths = os.pathsep.join(str(ROOT / name) for name in ("src", "tests"))
    environment = os.environ | {
        "PYTHONPATH": paths,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": "hf_secret",
    }
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert f"the dataset someone/pile (revision {COMMIT}, split train) is not in the cache" in last
    assert "HF_HUB_OFFLINE is set: unset it once, or use `path`" in last
    assert "hf_secret" not in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give either repo_id with revision"),
        ({"repo_id": "a/b"}, "give either repo_id with revision"),
        ({"repo_id": "a/b", "revision": COMMIT, "path": "x"}, "give either repo_id with revision"),
        ({"revision": COMMIT, "path": "x"}, "give either repo_id with revision"),
        ({"repo_id": "a/b", "revision": "main"}, "should match pattern"),
        ({"repo_id": "../x", "revision": COMMIT}, "should match pattern"),
    ],
)
def test_what_names_no_origin_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Pile(**given)


def test_addresses_do_not_reach_the_log(hub, tmp_path):
    write(HUB, tmp_path / "out", "pile")
    assert all(logging.getLogger(name).getEffectiveLevel() >= logging.WARNING for name in ("httpx", "httpx2", "fsspec"))
