"""`l1_tied`: the talk's sparse autoencoder of embeddings, c = ReLU(Mz + b), ẑ = Mᵀc, with an L1 penalty.

It reads single embeddings z, not shifts: the code of a pair is the change of the code from its first text to its second.
Beside SSAE it shows what differences give that embeddings do not (T-2). It is the rival there, so its `l1` is chosen as it
serves it best: by the true concepts of training pairs, where they are known. UDR rises with l1 until codes die, and decent
reconstruction refuses the settings that identify.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants.base import Arrays, Constrained, Loss, Prepared, Tensors, linear_model

if TYPE_CHECKING:
    import numpy as np
    import torch

    from shiftscope.pair_embeddings import TrainingPairs


class L1Tied(Constrained):
    """Hyperparameters of `l1_tied`."""

    reads = "embeddings"
    chosen_by_truth = True
    varying = ("l1",)
    optimiser = "adam"
    decay = 0.5

    l1: float = Field(0.1, ge=0, description="weight of mean |c| beside the relative error")
    steps: int = Field(1000, ge=0, description="optimiser steps; 0 leaves it untrained")
    batch_size: int = Field(256, ge=1, description="embeddings per step")
    lr: float = Field(0.03, gt=0, description="learning rate")

    def prepare(self, pairs: TrainingPairs, n_codes: int) -> Prepared:
        """Both embeddings of every training pair, minus their mean and over one number so that E‖x‖² = d."""
        import numpy as np

        both = np.concatenate([pairs.before, pairs.before + pairs.shifts]).astype(np.float32)
        mean = both.mean(0)
        scale = float(np.sqrt(np.square(both - mean).mean()))
        return Prepared((both - mean) / np.float32(scale), {"l1": self.l1}, (mean, scale))

    def initial(self, n_codes: int, d_in: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """Random unit rows of M `[k, d_in]`, bias 0."""
        matrix = normal(n_codes, d_in)
        return {"matrix": matrix / matrix.norm(dim=1, keepdim=True), "bias": matrix.new_zeros(1, n_codes)}

    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Relative squared error plus l1 · mean |c|, on inputs `[R, batch, d_in]`; the penalty needs no constraint on norms.

        M is tied, so a code cannot shrink while its direction grows.
        """
        codes = weights["bias"].baddbmm(inputs, weights["matrix"].transpose(1, 2)).relu()  # [R, batch, k]
        outputs = codes.bmm(weights["matrix"])
        error = (inputs - outputs).square().flatten(1).sum(1) / inputs.square().flatten(1).sum(1)
        sparsity = codes.flatten(1).mean(1)
        return Loss(error + constants["l1"] * sparsity, None, error, sparsity)

    def export(self, weights: Arrays, keep: tuple[np.ndarray, float]) -> Arrays:
        """One replica in the embedding space: encoder and decoder `[k, d]`, bias `[k]` with the mean folded in."""
        mean, scale = keep
        bias = weights["bias"][0] - weights["matrix"] @ mean / scale
        return linear_model(weights["matrix"] / scale, weights["matrix"] * scale, bias)

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, k]`, none negative, of embeddings `[n, d]`."""
        import numpy as np

        return np.maximum(inputs @ arrays["encoder"].T + arrays["encoder_bias"], 0)
