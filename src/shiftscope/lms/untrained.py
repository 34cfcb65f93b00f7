"""The untrained twin of another language model: same architecture and tokenizer, weights drawn from a seed.

It is the control for what a text's surface and the architecture alone give. The weights are not stored: they are
drawn, by the architecture's own initialisation, whenever the LM is loaded.
"""

from pathlib import Path
from typing import Any

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.lms.base import Fetched, adopt, read_manifest


class Untrained(Fetched):
    """`of`: the name of the trained LM; `seed`: the seed of the weights."""

    of: str
    seed: int = Field(ge=0, lt=2**32)

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Copy config and tokenizer from the folder `of` of the trained LM.

        Raises:
            ShiftScopeError: `of` is absent, another LM than `self.of`, or untrained itself.
        """
        if of is None:
            raise ShiftScopeError(f"an untrained twin needs the folder of LM {self.of!r}: give its manifest with --of")
        trained = read_manifest(of)
        if trained["lm"] != self.of:
            raise ShiftScopeError(f"the twin is of LM {self.of!r}, but {of} holds {trained['lm']!r}: fix --of")
        if trained["untrained_of"] is not None:
            raise ShiftScopeError(f"LM {self.of!r} is itself an untrained twin: name {trained['untrained_of']!r}")
        adopt(of, folder, weights=False)
        return {"untrained_of": self.of, "seed": self.seed}
