"""`affine_paper`: the autoencoder of `ssae_paper`, same architecture and preprocessing, without the constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.variants.base import Loss, Tensors
from shiftscope.variants.ssae_paper import SsaePaper

if TYPE_CHECKING:
    import torch


class AffinePaper(SsaePaper):
    """`ssae_paper` without its constraint."""

    optimiser = "adam"
    recipe = ""
    without_sparsity = ""
    system = "affine"

    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Reconstruction error alone."""
        both = super().loss(weights, inputs, constants, progress)
        return Loss(both.reconstruction, None, both.reconstruction, both.sparsity)
