"""The digest of a user's own file, which enters the DAG as a parameter: large files are never compared by Snakemake."""

import json
from pathlib import Path

from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of, write_json

CACHE = Path("work/digests.json")


def user_file_digest(path: str | Path, key: str) -> str:
    """sha256 of a user's file, read again only if its size, mtime or inode changed since it was last read.

    `key` is where the config names it.

    Raises:
        ShiftScopeError: there is no such file, or it cannot be read.
    """
    path = Path(path)
    try:
        stat = path.stat()
        signature = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = _cache()
        if known.get(str(path), {}).get("signature") == signature:
            return known[str(path)]["sha256"]
        digest = sha256_of(path)
    except OSError as error:
        raise ShiftScopeError(f"{key}: cannot read {path} ({error.strerror}): name a file that is there") from error
    write_json(CACHE, known | {str(path): {"signature": signature, "sha256": digest}})
    return digest


def _cache() -> dict:
    try:
        return json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no cache, or a damaged one: the digest is computed again
