"""`ssae_paper`: the Sparse Shift Autoencoder as published (paper A, Sec. 2.3 and App. B.1).

    min E‖y - ŷ‖² / E‖y‖²   s.t.   E‖c‖₁ / k ≤ β,   y = LayerNorm(δz), c = BatchNorm(W_e (y - b_d) + b_e),
    ŷ = W_d c + b_d

by ExtraAdam on weights and multiplier (cooper's extrapolation, which takes two gradients a step; the paper's text
describes extrapolation from the past, its code runs this one). The constraint is switched on after a warm-up and
tightened along a line.

Where the paper's text and its published code disagree, the defaults follow the code, which made the numbers: decoder
directions are scaled to unit norm every 50 steps (text: every step; `unit_norm_every: 1`), and the gradient component
parallel to them is removed only after the optimiser has stepped, which is without effect (text: before the step;
`project_gradient: true`). `ssae_paper_repaired` sets both, and drops norms and encoder bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from shiftscope.variants.base import Arrays, Constrained, Loss, Prepared, Tensors, unit_rows

if TYPE_CHECKING:
    import numpy as np
    import torch

    from shiftscope.pair_embeddings import TrainingPairs

EPSILON = 1e-5
MOMENTUM = 0.1


class Scale(NamedTuple):
    """What `export` needs: the one number by which shifts were divided."""

    scale: float


class SsaePaper(Constrained):
    """Hyperparameters of the published recipe; UDR chooses `lr` and `sparsity_level` (App. B.1.1)."""

    varying = ("sparsity_level",)
    optimiser = "extra_adam"
    buffers = ("running_mean", "running_variance")
    recipe = "paper"
    without_sparsity = "affine_paper"
    system = "ssae"

    sparsity_level: float = Field(0.2, gt=0, le=1, description="β; with BatchNorm E|c| cannot exceed 1")
    lr: float = Field(0.005, gt=0, description="learning rate of weights (primal); half of it for the multiplier")
    steps: int = Field(2000, ge=1, description="optimiser steps, two gradients each")
    batch_size: int = Field(32, ge=2, description="pairs per step; BatchNorm needs two")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps before the constraint is switched on")
    tightened: float = Field(0.5, gt=0, le=1, description="share of the steps at which β is reached, from 1")
    layer_norm: bool = Field(True, description="LayerNorm of each shift")
    batch_norm: bool = Field(True, description="BatchNorm of the code")
    encoder_bias: bool = Field(True, description="bias of the encoder")
    unit_norm_every: int = Field(50, ge=1, description="steps between rescalings of decoder directions to unit norm")
    project_gradient: bool = Field(False, description="remove the gradient parallel to decoder directions")

    def prepare(self, pairs: TrainingPairs, n_codes: int) -> Prepared:
        """LayerNormed shifts; without LayerNorm, shifts over one number so that E‖x‖² = k and β has the same range."""
        import numpy as np

        if self.layer_norm:
            return Prepared(layer_norm(pairs.shifts), {"sparsity_level": self.sparsity_level}, Scale(1.0))
        scale = float(np.sqrt(np.square(pairs.shifts).sum(1).mean() / n_codes))
        return Prepared(pairs.shifts / np.float32(scale), {"sparsity_level": self.sparsity_level}, Scale(scale))

    def initial(self, n_codes: int, d_in: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """W_e = W_dᵀ with random unit decoder directions `[k, d_in]`, biases 0 (App. B.1)."""
        decoder = normal(n_codes, d_in)
        decoder = decoder / decoder.norm(dim=1, keepdim=True)
        zeros, wide = decoder.new_zeros(1, n_codes), decoder.new_zeros(1, d_in)
        weights = {"encoder": decoder.clone(), "decoder": decoder, "decoder_bias": wide}
        if self.encoder_bias:
            weights["encoder_bias"] = zeros
        if self.batch_norm:
            weights |= {"gain": zeros + 1, "offset": zeros.clone()}
            weights |= {"running_mean": zeros.clone(), "running_variance": zeros + 1}
        return weights

    def hooks(self, weights: Tensors) -> None:
        """Remove the component of the gradient parallel to each decoder direction, before any optimiser sees it.

        At an extrapolated point, and between rescalings, directions have no unit norm: their own norm enters.
        """
        decoder = weights["decoder"]

        def perpendicular(gradient: torch.Tensor) -> torch.Tensor:
            direction = decoder.detach()
            along = (gradient * direction).sum(2, keepdim=True)
            return gradient - direction * (along / direction.square().sum(2, keepdim=True).clamp_min(1e-16))

        if self.project_gradient:
            decoder.register_hook(perpendicular)

    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Relative squared error subject to E‖c‖₁ / k ≤ β (Eqs. 4, 9, 63-64), on inputs `[R, batch, d_in]`.

        The error is divided by the batch's energy, not by each sample's: a pair in which nothing changes has none.
        """
        codes = (inputs - weights["decoder_bias"]).bmm(weights["encoder"].transpose(1, 2))
        if self.encoder_bias:
            codes = codes + weights["encoder_bias"]
        if self.batch_norm:
            codes = normalised(weights, codes)
        outputs = codes.bmm(weights["decoder"]) + weights["decoder_bias"]
        error = (inputs - outputs).square().flatten(1).sum(1) / inputs.square().flatten(1).sum(1)
        sparsity = codes.abs().flatten(1).mean(1)
        return Loss(error, self._violation(sparsity, constants["sparsity_level"], progress), error, sparsity)

    def _violation(self, sparsity: torch.Tensor, level: torch.Tensor, progress: float) -> torch.Tensor:
        """Sparsity minus the level in force: none before `warmup`, then a line from 1 down to β at `tightened`."""
        if progress < self.warmup:
            return (sparsity - sparsity.detach()) * 0 - 1  # satisfied, whatever the code
        way = min(1.0, (progress - self.warmup) / max(self.tightened - self.warmup, 1e-9))
        return sparsity - (1 + way * (level - 1))

    def after_step(self, weights: Tensors, step: int) -> None:
        """Unit decoder directions every `unit_norm_every` steps, and after the last one."""
        if (step + 1) % self.unit_norm_every == 0 or step + 1 == self.steps:
            unit_rows(weights)

    def export(self, weights: Arrays, keep: Scale) -> Arrays:
        """One replica with BatchNorm and scale folded into encoder `[k, d]` and bias `[k]`."""
        import numpy as np

        n_codes = len(weights["encoder"])
        gain, offset = np.ones(n_codes), np.zeros(n_codes)
        if self.encoder_bias:
            offset = offset + weights["encoder_bias"][0]
        if self.batch_norm:
            gain = weights["gain"][0] / np.sqrt(weights["running_variance"][0] + EPSILON)
            offset = (offset - weights["running_mean"][0]) * gain + weights["offset"][0]
        offset = offset - (weights["encoder"] @ weights["decoder_bias"][0]) * gain
        arrays = {
            "encoder": weights["encoder"] * gain[:, None],
            "encoder_bias": offset,
            "decoder": weights["decoder"],
            "decoder_bias": weights["decoder_bias"][0],
            "scale": np.asarray(keep.scale),
            "layer_norm": np.asarray(float(self.layer_norm)),
        }
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    @staticmethod
    def target(arrays: Arrays, shifts: np.ndarray) -> np.ndarray:
        """What is encoded and reconstructed: LayerNormed shifts where the model was trained so, else scaled ones."""
        return layer_norm(shifts) if arrays["layer_norm"] else shifts / arrays["scale"]

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, k]` of shifts `[n, d]`."""
        return SsaePaper.target(arrays, inputs) @ arrays["encoder"].T + arrays["encoder_bias"]


def layer_norm(shifts: np.ndarray) -> np.ndarray:
    """Each row `[d]` minus its mean, over its standard deviation (Gao et al. 2024)."""
    centred = shifts - shifts.mean(1, keepdims=True)
    return centred / (centred.std(1, ddof=1, keepdims=True) + EPSILON)


def normalised(weights: Tensors, codes: torch.Tensor) -> torch.Tensor:
    """BatchNorm over the batch `[R, batch, k]`; running statistics follow while gradients are taken (Ioffe 2015)."""
    if codes.requires_grad:
        mean, variance = codes.mean(1, keepdim=True), codes.var(1, keepdim=True, unbiased=False)
        size = codes.shape[1]
        weights["running_mean"].data.lerp_(mean.detach(), MOMENTUM)
        weights["running_variance"].data.lerp_(variance.detach() * size / (size - 1), MOMENTUM)
    else:
        mean, variance = weights["running_mean"], weights["running_variance"]
    return (codes - mean) * (variance + EPSILON).rsqrt() * weights["gain"] + weights["offset"]
