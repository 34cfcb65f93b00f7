"""`affine_paper`: the autoencoder of `ssae_paper`, same architecture and preprocessing, without the constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.variants import ssae_paper
from shiftscope.variants.base import Loss, Tensors

if TYPE_CHECKING:
    import torch

Params, VARYING, OPTIMISER, BUFFERS = ssae_paper.Params, ssae_paper.VARYING, "adam", ssae_paper.BUFFERS
prepare, initial, hooks = ssae_paper.prepare, ssae_paper.initial, ssae_paper.hooks
after_step, export = ssae_paper.after_step, ssae_paper.export
encode, target = ssae_paper.encode, ssae_paper.target


def loss(weights: Tensors, inputs: torch.Tensor, constants: Tensors, params: Params, progress: float) -> Loss:
    """Reconstruction error alone."""
    both = ssae_paper.loss(weights, inputs, constants, params, progress)
    return Loss(both.reconstruction, None, both.reconstruction, both.sparsity)
