"""A language model that is already on this machine as a Hugging Face folder."""

from pathlib import Path
from typing import Any

from shiftscope.lms.base import Fetched, adopt


class Folder(Fetched):
    """`path`: the folder, with config, tokenizer and safetensors weights."""

    path: str

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Link the weights of `self.path` into `folder` and copy its small files.

        Raises:
            ShiftScopeError: the folder is absent or lacks something.
        """
        adopt(Path(self.path).expanduser(), folder)
        return {}
