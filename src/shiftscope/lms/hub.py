"""A language model from the Hugging Face Hub, through its cache (HF_HOME, HF_HUB_OFFLINE and HF_TOKEN are honoured)."""

from pathlib import Path
from typing import Any

from pydantic import Field

from shiftscope.downloads import hub_problem
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
            what = f"{self.repo_id} (revision {self.revision})"
            problem = hub_problem(
                what, f"https://huggingface.co/{self.repo_id}", error, "use a folder source with a copy"
            )
            raise ShiftScopeError(problem) from error
        snapshot = Path(found)
        adopt(snapshot, folder)
        return {"source": {"kind": "hub", **self.model_dump(), "commit": snapshot.name}}
