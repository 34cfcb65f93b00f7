"""A language model that is trained here, by next-token prediction on a corpus whose concepts are known.

GPT-NeoX, the architecture of Pythia, small enough for one CPU core in minutes. Made by scripts/train_lm.py.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from shiftscope.lms.base import Source


class Train(Source):
    """Sizes and steps; a budget is in steps, never in seconds, so that a machine's speed changes nothing."""

    corpus: str
    d_model: int = Field(128, ge=4)
    n_layers: int = Field(3, ge=1)
    n_heads: int = Field(4, ge=1)
    vocabulary: int = Field(8192, ge=300, description="most tokens; enough that every word of the corpus is one token")
    window: int = Field(48, ge=8, description="tokens that are read at once")
    batch_size: int = Field(24, ge=1, description="windows per step; small batches learn what needs attention sooner")
    steps: int = Field(1600, ge=1)
    warmup: int = Field(100, ge=0, description="steps over which the learning rate rises")
    lr: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    seed: int = Field(0, ge=0)
    checkpoints: list[int] = Field([0, 25, 50, 100, 200, 400, 800], description="steps at which weights are kept, too")
    gate: float = Field(0.5, le=1, description="share of each concept's effect on the next token that must be learned")

    @model_validator(mode="after")
    def _fits(self) -> Train:
        if self.d_model % (4 * self.n_heads):
            raise ValueError("d_model must be a multiple of 4 n_heads (a quarter of each head is rotated)")
        if sorted(set(self.checkpoints)) != self.checkpoints or any(step < 0 for step in self.checkpoints):
            raise ValueError("checkpoints must be steps ≥ 0 in rising order")
        return self
