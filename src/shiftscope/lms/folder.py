"""A language model that is already on this machine as a Hugging Face folder."""

from pathlib import Path
from typing import Any

from shiftscope.lms.base import adopt
from shiftscope.schema import Strict


class Params(Strict):
    """`path`: the folder, with config, tokenizer and safetensors weights."""

    path: str


def fetch(params: Params, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
    """Link the weights of `params.path` into `folder` and copy its small files.

    Raises:
        ShiftScopeError: the folder is absent or lacks something.
    """
    adopt(Path(params.path).expanduser(), folder)
    return {}
