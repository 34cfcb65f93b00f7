"""Public data, downloaded once to `data/downloads` and verified; and what may go wrong on the Hugging Face Hub."""

import logging
import re
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


def hub_problem(what: str, address: str, error: Exception, otherwise: str) -> str:
    """One line for a repository of the Hugging Face Hub that cannot be read: its name, the cause, the fix.

    Args:
        what: the repository and its revision.
        address: its page.
        error: what a library raised; the hub's answer is it, or a cause of it.
        otherwise: what a user can do without the hub.
    """
    from huggingface_hub import constants, errors

    causes = [error]
    while (before := causes[-1].__cause__ or causes[-1].__context__) and before not in causes:
        causes.append(before)

    def is_one(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    cause = causes[1] if isinstance(error, errors.LocalEntryNotFoundError) and len(causes) > 1 else error
    status = [one.response.status_code for one in causes if isinstance(one, errors.HfHubHTTPError)]
    if is_one(errors.GatedRepoError):
        return f"{what} is gated: ask for access at {address} and set HF_TOKEN"
    if is_one(errors.RevisionNotFoundError):
        return f"{what} has no such revision: use a commit, tag or branch of the repository"
    if is_one(errors.RepositoryNotFoundError):
        return f"{what} does not exist or is private: check repo_id, or set HF_TOKEN to a token that may read it"
    if {401, 403} & set(status):
        return f"{what} may not be read with this token ({({401, 403} & set(status)).pop()}): check HF_TOKEN"
    if is_one(errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE:
        return f"{what} is not in the cache {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE is set: unset it once, or {otherwise}"
    said = unsigned(cause)
    if is_one(ValueError):
        return f"{what} cannot be downloaded ({said}): check repo_id and revision"
    return f"{what} cannot be downloaded ({type(cause).__name__}: {said}): check the network, or {otherwise}"


def unsigned(error: Exception) -> str:
    """An error's words on one line, without what stands behind the `?` of an address: it may be a credential."""
    return re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", " ".join(str(error).split()))
