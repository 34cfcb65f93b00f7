"""`affine`: the autoencoder of `ssae`, same architecture and preprocessing, without sparsity (paper A, Sec. 3).

It identifies the span of the varying concepts and no more: its directions are an arbitrary basis of that span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants.base import Loss, Tensors
from shiftscope.variants.ssae import Ssae

if TYPE_CHECKING:
    import torch


class Affine(Ssae):
    """`ssae` without its objective."""

    recipe = ""
    without_sparsity = ""
    system = "affine"

    n_init: int = Field(1, ge=1, description="initialisations per seed; all end in the same span with the same error")

    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Reconstruction error alone."""
        both = super().loss(weights, inputs, constants, progress)
        return Loss(both.reconstruction, None, both.reconstruction, both.sparsity)
