"""`affine_paper`: the autoencoder of `ssae_paper`, same preprocessing, optimiser and rates, without the constraint.

The authors trained theirs by AdamW with a weight decay of 1e-5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.variants.base import Arrays, Loss, Tensors
from shiftscope.variants.ssae_paper import Kept, SsaePaper

if TYPE_CHECKING:
    import torch


class AffinePaper(SsaePaper):
    """`ssae_paper` without its constraint."""

    recipe = ""
    without_sparsity = ""
    system = "affine"

    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Reconstruction error alone."""
        both = super().loss(weights, inputs, constants, progress)
        return Loss(both.reconstruction, None, both.reconstruction, both.sparsity)

    def export(self, weights: Arrays, keep: Kept) -> Arrays:
        """As that of `ssae_paper`, but for β, which is not in force."""
        return {name: array for name, array in super().export(weights, keep).items() if name != "sparsity_level"}
