"""Digests of a user's own files, which enter the DAG as parameters: large files are never compared by Snakemake."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shiftscope.corpora._files import files_at
from shiftscope.errors import ShiftScopeError
from shiftscope.files import canonical_json, sha256_of, write_json

CACHE = Path("work/digests.json")
TOGETHER = 1 << 32
"""bytes that are read between two savings of the cache"""


def user_file_digest(path: str | Path, key: str) -> str:
    """sha256 of a user's file, read again only if its size, mtime or inode changed since it was last read.

    `key` is where the config names it.

    Raises:
        ShiftScopeError: there is no such file, or it cannot be read.
    """
    return _digests([Path(path)], key)[0]


def pairs_digest(paths: Sequence[Path], key: str) -> str:
    """The same of the files or folders that a dataset of pairs reads: a file's own, else a digest of all in their order."""
    found = [user_files_digest(path, key) if path.is_dir() else user_file_digest(path, key) for path in paths]
    return str(found[0]) if len(found) == 1 else hashlib.sha256(canonical_json(found).encode()).hexdigest()


def user_files_digest(path: Path | None, key: str) -> str | None:
    """The same of a file or a folder of them: a digest of names and contents; None if there is no path.

    What is no file (a link to nowhere, say) counts by its name alone.

    Raises:
        ShiftScopeError: there is no such file or folder, or one cannot be read.
    """
    if path is None:
        return None
    try:
        files = files_at(path)
    except ShiftScopeError as error:
        raise ShiftScopeError(f"{key}: {error}") from error
    whole = {name: file for name, file in files.items() if file.is_file()}
    found = dict.fromkeys(files) | dict(zip(whole, _digests(list(whole.values()), key), strict=True))
    return hashlib.sha256(canonical_json(found).encode()).hexdigest()


def _digests(paths: list[Path], key: str) -> list[str]:
    """The digest of each file, those that changed read side by side; what was read is remembered even if one fails."""
    known = _cache()
    try:
        signatures = {str(path): _signature(path) for path in paths}
        new = [path for path, signed in signatures.items() if known.get(path, {}).get("signature") != signed]
        for some in _portions(new, signatures):
            with ThreadPoolExecutor(8) as pool:
                found = zip(some, pool.map(sha256_of, some), strict=True)
                known |= {path: {"signature": signatures[path], "sha256": digest} for path, digest in found}
            write_json(CACHE, known)
    except OSError as error:
        raise ShiftScopeError(
            f"{key}: cannot read {error.filename} ({error.strerror}): name a file that is there"
        ) from error
    return [known[path]["sha256"] for path in signatures]


def _signature(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _portions(paths: list[str], signatures: dict[str, list[int]]) -> Iterator[list[str]]:
    """Lists of paths whose files are `TOGETHER` bytes long, or a little longer."""
    portion: list[str] = []
    size = 0
    for path in paths:
        portion.append(path)
        size += signatures[path][0]
        if size >= TOGETHER:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _cache() -> dict:
    try:
        return json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no cache, or a damaged one: the digest is computed again
