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


def test_a_folder_counts_by_names_and_contents(tmp_path, read_files):
    for folder in ("a", "b"):
        (tmp_path / folder / "inner").mkdir(parents=True)
        (tmp_path / folder / "inner/x.txt").write_text("x")
        (tmp_path / folder / "y.txt").write_text("y")
    first = digests.user_files_digest(Path("a"), "corpora.mine.path")
    assert first == digests.user_files_digest(Path("b"), "corpora.mine.path")  # where it lies is no matter
    assert sorted(read_files) == ["x.txt", "x.txt", "y.txt", "y.txt"]
    Path("b/y.txt").write_text("z")
    assert digests.user_files_digest(Path("b"), "corpora.mine.path") != first
    assert len(read_files) == 5  # the one that changed
    Path("a/y.txt").rename("a/z.txt")
    renamed = digests.user_files_digest(Path("a"), "corpora.mine.path")
    Path("a/link").symlink_to("nowhere")
    assert len({first, renamed, digests.user_files_digest(Path("a"), "corpora.mine.path")}) == 3


def test_a_single_file_counts_by_its_name_too(tmp_path, read_files):
    Path("a.txt").write_text("{}")
    first = digests.user_files_digest(Path("a.txt"), "corpora.mine.path")
    Path("a.txt").rename("a.jsonl")
    assert digests.user_files_digest(Path("a.jsonl"), "corpora.mine.path") != first
    assert digests.user_files_digest(None, "corpora.mine.path") is None


def test_what_was_read_is_remembered_if_reading_is_broken_off(tmp_path, read_files, monkeypatch):
    (tmp_path / "a").mkdir()
    for number in range(5):
        (tmp_path / f"a/{number}.txt").write_text("text")
    monkeypatch.setattr(digests, "TOGETHER", 8)
    count = digests.sha256_of

    def broken(path):
        if Path(path).name == "4.txt":
            raise KeyboardInterrupt
        return count(path)

    monkeypatch.setattr(digests, "sha256_of", broken)
    with pytest.raises(KeyboardInterrupt):
        digests.user_files_digest(Path("a"), "corpora.mine.path")
    monkeypatch.setattr(digests, "sha256_of", count)
    digests.user_files_digest(Path("a"), "corpora.mine.path")
    assert sorted(read_files) == [f"{number}.txt" for number in range(5)]


def test_a_folder_that_cannot_be_read(tmp_path, read_files):
    (tmp_path / "bare").mkdir()
    for name, said in (
        ("nowhere", "nowhere does not exist: correct `path`"),
        ("bare", "bare holds no files: put text"),
    ):
        with pytest.raises(ShiftScopeError, match=f"^corpora.mine.path: {said}"):
            digests.user_files_digest(Path(name), "corpora.mine.path")
