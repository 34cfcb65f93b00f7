"""`ssae_paper_repaired`: `ssae_paper` with three faults mended, nothing else changed.

The gradient parallel to decoder directions is removed before the optimiser steps, directions have unit norm after
every step, and encoder bias, LayerNorm and BatchNorm, by which a code hides sparsity or loses linearity, are gone.
"""

from __future__ import annotations

from pydantic import Field

from shiftscope.variants.ssae_paper import SsaePaper


class SsaePaperRepaired(SsaePaper):
    """The hyperparameters of `ssae_paper` with other defaults."""

    recipe = ""  # neither as published nor ours

    layer_norm: bool = Field(False, description="LayerNorm of each shift")
    batch_norm: bool = Field(False, description="BatchNorm of the code")
    encoder_bias: bool = Field(False, description="bias of the encoder")
    unit_norm_every: int = Field(1, ge=1, description="steps between rescalings of decoder directions to unit norm")
    project_gradient: bool = Field(True, description="remove the gradient parallel to decoder directions")
