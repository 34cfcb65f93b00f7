"""The digest of a user's own file, which enters the DAG as a parameter: large files are never compared by Snakemake."""

import json
from pathlib import Path

from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of, write_json

CACHE = Path("work/digests.json")


def user_file_digest(path: str | Path) -> str:
    """sha256 of a user's file, read again only if its size, mtime or inode changed since it was last read.

    Raises:
        ShiftScopeError: there is no such file.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise ShiftScopeError(
            f"cannot read the pairs file {path}: {error.strerror}; check `path` in the config"
        ) from error
    signature = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    known = _cache()
    if known.get(str(path), {}).get("signature") != signature:
        known[str(path)] = {"signature": signature, "sha256": sha256_of(path)}
        write_json(CACHE, known)
    return known[str(path)]["sha256"]


def _cache() -> dict:
    try:
        return json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no cache, or a damaged one: the digest is computed again
