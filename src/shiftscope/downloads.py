"""Public data, downloaded once to `data/downloads` and verified."""

import logging
import urllib.request
from pathlib import Path

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, check_sha256, sha256_of

logger = logging.getLogger(__name__)
FOLDER = Path("data/downloads")
SECONDS = 60
"""without a byte from the network after which a download fails"""


def downloaded(url: str, sha256: str, name: str, otherwise: str, differs: str) -> Path:
    """The file of `url` as `data/downloads/{name}`, downloaded unless the right one is there.

    Args:
        url: an https address.
        sha256: of the file.
        name: under which it is kept.
        otherwise: what a user can do if it cannot be downloaded.
        differs: what it means, and what a user can do, if the file at the address is another one.

    Raises:
        ShiftScopeError: it cannot be downloaded, or is not the file of `sha256`.
    """
    kept = FOLDER / name
    if kept.is_file() and sha256_of(kept) == sha256:
        return kept
    if kept.is_file():
        logger.warning(
            "%s is damaged or another version (its sha256 is not the one that it must have): downloading it anew", kept
        )
    logger.info("downloading %s", url)
    with atomic(kept) as temporary:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as opened:
                temporary.write_bytes(opened.read())
        except OSError as error:
            raise ShiftScopeError(f"cannot download {url} ({error}): {otherwise}") from error
        check_sha256(temporary, sha256, url, differs)
    return kept
