"""A language model that is already on this machine as a Hugging Face folder."""

from pathlib import Path
from typing import Any

from shiftscope.kinds import UserPath
from shiftscope.lms.base import Fetched, adopt


class Folder(Fetched):
    """`path`: the folder, with config, tokenizer and safetensors weights."""

    path: UserPath

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Link the weights of `self.path` into `folder` and copy its small files.

        Raises:
            ShiftScopeError: the folder is absent or lacks something.
        """
        adopt(self.path, folder)
        return {}
