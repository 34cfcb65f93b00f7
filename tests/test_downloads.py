"""Public data: downloaded once and verified, and what is said if it cannot be had."""

import hashlib
import io

import pytest

from shiftscope import downloads
from shiftscope.errors import ShiftScopeError

CONTENT = b"some words"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The addresses that were asked; `served` answers to each of them."""
    monkeypatch.setattr(downloads, "FOLDER", tmp_path / "downloads")
    addresses = []

    def urlopen(url, timeout):
        assert timeout == downloads.SECONDS
        addresses.append(url)
        return io.BytesIO(CONTENT)

    monkeypatch.setattr(downloads.urllib.request, "urlopen", urlopen)
    return addresses


def fetched(sha256=SHA256):
    return downloads.downloaded("https://example.org/a", sha256, "a.txt", "give `path:`", "a newer version")


def test_a_file_is_downloaded_once_and_again_if_it_is_damaged(asked, caplog):
    kept = fetched()
    assert (kept.read_bytes(), len(asked)) == (CONTENT, 1)
    assert fetched() == kept and len(asked) == 1
    kept.write_bytes(b"some wor")
    assert fetched().read_bytes() == CONTENT and len(asked) == 2
    assert "is damaged or another version" in caplog.text


def test_another_file_is_refused_and_not_kept(asked):
    with pytest.raises(
        ShiftScopeError, match=rf"example.org/a has sha256 {SHA256}, but must have 000.*: a newer version"
    ):
        fetched("0" * 64)
    assert not list(downloads.FOLDER.iterdir())


def test_a_failed_download_says_what_else_can_be_done(asked, monkeypatch):
    def offline(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", offline)
    with pytest.raises(ShiftScopeError, match=r"cannot download https://example\.org/a \(no network\): give `path:`"):
        fetched()
