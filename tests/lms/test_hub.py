import os
import subprocess
import sys
import types

import numpy as np
import pytest
from helpers.clone import ROOT
from helpers.fetched import command_of, fetch, rows_of, same_weights
from helpers.tiny_lms import make_model, make_tokenizer, save_lm
from huggingface_hub import constants, errors

from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, sha256_of
from shiftscope.lms import hub

HUB = {"kind": "hub", "repo_id": "someone/tiny", "revision": "main"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill_cache(cache, kind="llama", shards="5GB"):
    """The hub's own layout: blobs named by digest, a snapshot of links to them, and a branch that names the snapshot."""
    repository = cache / "models--someone--tiny"
    snapshot, blobs = repository / "snapshots" / COMMIT, repository / "blobs"
    for folder in (snapshot, blobs, repository / "refs"):
        folder.mkdir(parents=True)
    made = save_lm(cache / "made", kind)
    (made / "model.safetensors").unlink()
    make_model(kind).save_pretrained(made, max_shard_size=shards)
    for file in made.iterdir():
        blob = blobs / sha256_of(file)
        file.rename(blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    made.rmdir()
    (repository / "refs/main").write_text(COMMIT)
    return blobs


@pytest.mark.parametrize(("kind", "shards"), [("llama", "5GB"), ("gpt_neox", "20KB"), ("gemma3", "5GB")])
def test_the_cache_of_the_hub_serves_offline(tmp_path, offline, kind, shards):
    blobs = fill_cache(offline, kind, shards)
    folder = fetch(tmp_path, HUB)
    assert read_json(folder / "manifest.json")["source"] == HUB | {"commit": COMMIT}
    weights = sorted(folder.glob("model*.safetensors"))
    assert (len(weights) > 1) == (shards == "20KB")
    assert {file.resolve().parent for file in weights} == {blobs.resolve()}
    assert same_weights(load(folder)[0], make_model(kind))
    assert np.array_equal(rows_of(*load(folder)), rows_of(make_model(kind), make_tokenizer()))
    assert (
        read_json(fetch(tmp_path, HUB | {"revision": COMMIT}, "again") / "manifest.json")["files"]
        == read_json(folder / "manifest.json")["files"]
    )


def test_the_environment_of_the_hub_is_honoured(tmp_path, monkeypatch):
    fill_cache(tmp_path / "home/hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    command = [sys.executable, *command_of("tiny", HUB)[1:]]  # the library reads it when it is imported
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "lms/tiny/manifest.json")["source"] == HUB | {"commit": COMMIT}


def test_a_repository_that_is_not_in_the_cache_is_named_offline(tmp_path, offline):
    with pytest.raises(ShiftScopeError, match=r"^someone/tiny \(revision main\) is not in the cache .*HF_HUB_OFFLINE"):
        fetch(tmp_path, HUB)


def answer(kind, status):
    return kind("no", response=types.SimpleNamespace(headers={}, status_code=status, request=None))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (answer(errors.GatedRepoError, 403), r"is gated: ask for access at https://huggingface\.co/someone/tiny"),
        (answer(errors.RepositoryNotFoundError, 404), r"does not exist or is private: check repo_id, or set HF_TOKEN"),
        (answer(errors.RevisionNotFoundError, 404), r"has no such revision"),
        (answer(errors.HfHubHTTPError, 401), r"may not be read with this token \(401\): check HF_TOKEN"),
        (ConnectionError("no route"), r"cannot be downloaded \(ConnectionError: no route\): check the network"),
    ],
)
def test_errors_of_the_hub_name_the_repository_and_the_fix(tmp_path, monkeypatch, error, message):
    def plain(*_, **__):
        raise error

    def wrapped(*_, **__):
        raise errors.LocalEntryNotFoundError("not in the cache") from error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for fail in (plain, wrapped):
        monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
        with pytest.raises(ShiftScopeError, match=rf"^someone/tiny \(revision main\) {message}"):
            fetch(tmp_path, HUB)


def test_only_what_is_needed_is_downloaded():
    from huggingface_hub.utils import filter_repo_objects

    files = ["config.json", "model.safetensors", "model-00001-of-00002.safetensors", "tokenizer.json", "tokenizer.model",
             "pytorch_model.bin", "consolidated.safetensors", "onnx/model.onnx", "modeling_own.py", "README.md"]  # fmt: skip
    wanted = list(filter_repo_objects(files, allow_patterns=[*hub.WEIGHTS, *hub.SMALL_FILES]))
    assert wanted == files[:5]
