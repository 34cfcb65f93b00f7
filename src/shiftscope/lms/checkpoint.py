"""A language model that was trained here, as it was at a step of its training: one of its `checkpoints`."""

import shutil
from pathlib import Path
from typing import Any

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic
from shiftscope.lms.base import CHECKPOINT_FILE, CHECKPOINTS, Fetched, adopt, read_manifest


class Checkpoint(Fetched):
    """`of`: the name of the LM with `source: train`; `step`: one of those at which its weights were kept."""

    of: str
    step: int = Field(ge=0)

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Copy config, tokenizer and the weights of the step from the folder `of` of the trained LM.

        Raises:
            ShiftScopeError: `of` is absent, another LM than `self.of`, or has no weights of this step; names those it has.
        """
        if of is None:
            raise ShiftScopeError(f"a checkpoint needs the folder of LM {self.of!r}: give its manifest with --of")
        trained = read_manifest(of)
        if trained["lm"] != self.of:
            raise ShiftScopeError(f"the checkpoint is of LM {self.of!r}, but {of} holds {trained['lm']!r}: fix --of")
        weights = of / CHECKPOINTS / CHECKPOINT_FILE.format(step=self.step)
        if not weights.exists():
            kept = sorted(int(file.stem.removeprefix("step_")) for file in weights.parent.glob("step_*.safetensors"))
            raise ShiftScopeError(
                f"LM {self.of!r} has no weights of step {self.step}, but of {', '.join(map(str, kept)) or 'none'}: name one of "
                f"these, or add {self.step} to its `checkpoints`"
            )
        adopt(of, folder, weights=False)
        with atomic(folder / "model.safetensors") as temporary:
            shutil.copyfile(weights, temporary)
        return {}
