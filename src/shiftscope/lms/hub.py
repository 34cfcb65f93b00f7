"""A language model from the Hugging Face Hub, through its cache (HF_HOME, HF_HUB_OFFLINE and HF_TOKEN are honoured)."""

from pathlib import Path
from typing import Any

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.lms.base import SMALL_FILES, WEIGHTS, Fetched, adopt, quiet_libraries


class Hub(Fetched):
    """`repo_id`: owner/name; `revision`: best a commit, since a branch moves."""

    repo_id: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")
    revision: str = Field(min_length=1)

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Download what is missing into the Hugging Face cache, link the weights from there and copy the small files.

        Returns:
            The manifest's `source` with the `commit` that `revision` named.

        Raises:
            ShiftScopeError: the repository is missing, gated, offline or has no safetensors weights.
        """
        quiet_libraries()
        import huggingface_hub

        try:
            found = huggingface_hub.snapshot_download(
                self.repo_id, revision=self.revision, allow_patterns=[*WEIGHTS, *SMALL_FILES]
            )
        except (OSError, ValueError) as error:  # all errors of huggingface_hub are one or the other
            raise ShiftScopeError(explain(self, error)) from error
        snapshot = Path(found)
        adopt(snapshot, folder)
        return {"source": {"kind": "hub", **self.model_dump(), "commit": snapshot.name}}


def explain(source: Hub, error: Exception) -> str:
    """One line for a failed download: the repository, the cause, the fix."""
    from huggingface_hub import constants, errors

    repository = f"{source.repo_id} (revision {source.revision})"
    # what the Hub answered is the cause of the "not in the cache" that snapshot_download raises in the end
    cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
    if isinstance(cause, errors.GatedRepoError):
        return f"{repository} is gated: ask for access at https://huggingface.co/{source.repo_id} and set HF_TOKEN"
    if isinstance(cause, errors.RevisionNotFoundError):
        return f"{repository} has no such revision: use a commit, tag or branch of the repository"
    if isinstance(cause, errors.RepositoryNotFoundError):
        return f"{repository} does not exist or is private: check repo_id, or set HF_TOKEN to a token that may read it"
    if isinstance(cause, errors.HfHubHTTPError) and cause.response.status_code in (401, 403):
        return f"{repository} may not be read with this token ({cause.response.status_code}): check HF_TOKEN"
    if isinstance(cause, errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE:
        return (
            f"{repository} is not in the cache {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE is set: "
            "unset it once, or use a folder source"
        )
    if isinstance(cause, ValueError):
        return f"{repository} cannot be downloaded ({cause}): check repo_id and revision"
    return (
        f"{repository} cannot be downloaded ({type(cause).__name__}: {cause}): "
        "check the network, or use a folder source with a copy of the model"
    )
