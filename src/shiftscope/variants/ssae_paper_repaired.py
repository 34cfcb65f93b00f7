"""`ssae_paper_repaired`: `ssae_paper` with two faults mended, nothing else changed.

The gradient parallel to decoder directions is removed before the optimiser steps, and encoder bias, LayerNorm and
BatchNorm, by which a code hides sparsity or loses linearity, are gone.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shiftscope.variants.ssae_paper import SsaePaper


class SsaePaperRepaired(SsaePaper):
    """The hyperparameters of `ssae_paper` with other defaults."""

    recipe = ""  # neither as published nor ours

    layer_norm: bool = Field(False, description="LayerNorm of each shift")
    code_norm: Literal["batch", "layer", "none"] = Field("none", description="norm of the code, with a learned gain")
    encoder_bias: bool = Field(False, description="bias of the encoder")
    project_gradient: bool = Field(True, description="remove the gradient parallel to decoder directions")
