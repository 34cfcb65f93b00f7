"""The digest of a user's file: computed again only if the file changed."""

import hashlib
import os
from pathlib import Path

import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of
from shiftscope.workflow import digests


@pytest.fixture
def read_files(tmp_path, monkeypatch):
    """Names of the files whose digest was computed and not taken from the cache."""
    monkeypatch.chdir(tmp_path)
    read = []
    monkeypatch.setattr(digests, "sha256_of", lambda path: (read.append(Path(path).name), sha256_of(path))[1])
    return read


def test_a_users_file_is_read_again_only_if_it_changed(tmp_path, read_files):
    path = Path("pairs.csv")
    path.write_text("a,b\n")
    first = digests.user_file_digest(path, "pairs.mine.path")
    assert first == digests.user_file_digest(path, "pairs.mine.path") == hashlib.sha256(b"a,b\n").hexdigest()
    assert read_files == ["pairs.csv"]
    os.utime(path, ns=(1, 1))
    assert digests.user_file_digest(path, "pairs.mine.path") == first  # touched: read again, the same
    path.write_text("a,b,c\n")
    assert digests.user_file_digest(path, "pairs.mine.path") == hashlib.sha256(b"a,b,c\n").hexdigest()
    assert read_files == ["pairs.csv"] * 3


def test_a_damaged_cache_is_made_again(read_files):
    Path("pairs.csv").write_text("a,b\n")
    first = digests.user_file_digest("pairs.csv", "pairs.mine.path")
    digests.CACHE.write_text("{")
    assert digests.user_file_digest("pairs.csv", "pairs.mine.path") == first
    assert digests.user_file_digest("pairs.csv", "pairs.mine.path") == first
    assert read_files == ["pairs.csv"] * 2


def test_a_users_file_that_cannot_be_read(tmp_path, read_files):
    (tmp_path / "folder").mkdir()
    for name, reason in (("nowhere.csv", "No such file or directory"), ("folder", "Is a directory")):
        with pytest.raises(ShiftScopeError) as caught:
            digests.user_file_digest(name, "pairs.mine.path")
        assert str(caught.value) == f"pairs.mine.path: cannot read {name} ({reason}): name a file that is there"
