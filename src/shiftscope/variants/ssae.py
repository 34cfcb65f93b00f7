"""`ssae`: the Sparse Shift Autoencoder with the recipe that identifies every time; the default.

The model is that of paper A, Sec. 2.3 (linear encoder and decoder of shifts, unit-norm decoder directions). The
problem is turned round: the paper minimises the reconstruction error subject to E|code| ≤ β, which needs β tuned;
here sparsity is minimised subject to an error that can be stated without knowing the data,

    min E[ log(1 + |c_j| / (ε ‖x‖)) ]   s.t.   E‖x - x̂‖² / E‖x‖² ≤ τ,   τ = floor + slack (1 - floor),

where x are shrinkage-whitened shifts and `floor` is what no k directions can reconstruct (PCA). ε is annealed from
wide (the penalty acts like L1) to narrow (like L0). With few codes a start may end in a worse optimum (a rotation of
concepts that often change together); its Lagrangian tells it, so several are tried. No bias and no norm layers: a bias lets the code hide sparsity,
and dividing each sample by its own norm destroys the linear relation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log1p
from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants._starts import starts
from shiftscope.variants.base import Arrays, Constrained, Loss, Prepared, Tensors, linear_model, unit_rows

if TYPE_CHECKING:
    import torch

    from shiftscope.pair_embeddings import TrainingPairs
    from shiftscope.variants._whitening import Whitening


class Ssae(Constrained):
    """Hyperparameters of `ssae`; only `shrinkage` depends on the data, and UDR can choose it."""

    candidate = True
    varying = ("shrinkage", "slack")
    optimiser = "adam"
    decay = 0.5
    recipe = "ours"
    without_sparsity = "affine"
    system = "ssae"

    shrinkage: float = Field(0.1, ge=0, description="λ of the whitening; 0 whitens exactly to rank k (noise-free data)")
    slack: float = Field(0.02, gt=0, lt=1, description="share of the reachable energy that may stay unexplained")
    steps: int = Field(1200, ge=0, description="optimiser steps; 0 leaves it untrained")
    n_init: int = Field(8, ge=1, description="initialisations per seed, the best of which is kept; at most 32 / k")
    batch_size: int = Field(256, ge=1, description="pairs per step")
    lr: float = Field(0.02, gt=0, description="learning rate of weights; half of it for the multiplier")
    multiplier: float = Field(1.0, ge=0, description="Lagrange multiplier at step 0")
    width_start: float = Field(10.0, gt=0, description="ε at step 0, relative to the sample's norm")
    width_end: float = Field(0.1, gt=0, description="ε from 80 % of the steps on")
    max_rank: int = Field(200, ge=1, description="most directions that whitening keeps")

    @property
    def first_multiplier(self) -> float:
        """`multiplier`."""
        return self.multiplier

    def starts(self, n_codes: int) -> int:
        """`n_init`, fewer where codes are many."""
        return starts(self.n_init, n_codes)

    def prepare(self, pairs: TrainingPairs, n_codes: int) -> Prepared:
        """Whitened shifts, and the error τ that is allowed on them."""
        from shiftscope.variants._whitening import residual_floor, whiten

        whitening = whiten(pairs.shifts, n_codes, self.shrinkage, self.max_rank, pairs.moment)
        floor = residual_floor(whitening.inputs, n_codes)
        return Prepared(whitening.inputs, {"tolerance": floor + self.slack * (1 - floor)}, whitening)

    def initial(self, n_codes: int, d_in: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """Random unit decoder directions `[k, d_in]`; the encoder starts as their transpose (paper A, App. B.1)."""
        decoder = normal(n_codes, d_in)
        decoder = decoder / decoder.norm(dim=1, keepdim=True)
        return {"encoder": decoder.clone(), "decoder": decoder}

    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Concave sparsity subject to reconstruction, on inputs `[R, batch, d_in]`."""
        each = len(weights["encoder"]) // len(inputs)
        codes = products(weights["encoder"], inputs)
        norms = inputs.norm(dim=2).unsqueeze(1).repeat_interleave(each, 0)
        energy = norms.square().flatten(1).sum(1)
        error = squared_error(inputs, energy, codes, weights["decoder"]) / energy
        epsilon = self._width(progress)
        sparsity = (codes / (epsilon * norms.clamp_min(1e-6))).abs().log1p().flatten(1).mean(1) / log1p(1 / epsilon)
        return Loss(sparsity, error - constants["tolerance"], error, sparsity)

    def _width(self, progress: float) -> float:
        """ε at a share `progress` of the steps: geometric from `width_start` to `width_end`."""
        return self.width_start * (self.width_end / self.width_start) ** min(1.0, progress / 0.8)

    def after_step(self, weights: Tensors, step: int) -> None:
        """Unit decoder directions after every step; every 50th is not enough."""
        unit_rows(weights)

    def export(self, weights: Arrays, keep: Whitening) -> Arrays:
        """Encoder and decoder of one replica in the embedding space, `[k, d]`."""
        return linear_model(weights["encoder"] @ keep.forward.T, weights["decoder"] @ keep.backward)


def products(rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Every row `[R * starts, k, d_in]` times every input `[R, batch, d_in]`: `[R * starts, k, batch]`.

    Initialisations of one replica share a product; the order of the factors is eight times as fast with few codes.
    """
    together = rows.reshape(len(inputs), -1, rows.shape[2]).bmm(inputs.transpose(1, 2))
    return together.view(*rows.shape[:2], inputs.shape[1])


def squared_error(
    inputs: torch.Tensor, energy: torch.Tensor, codes: torch.Tensor, decoder: torch.Tensor
) -> torch.Tensor:
    """Σ‖x - x̂‖² per row of `decoder`; with few codes multiplied out, so that nothing as large as `inputs` is written."""
    if 2 * decoder.shape[1] > decoder.shape[2]:
        each = len(decoder) // len(inputs)
        return (inputs.repeat_interleave(each, 0) - codes.transpose(1, 2).bmm(decoder)).flatten(1).norm(dim=1).square()
    gram = decoder.bmm(decoder.transpose(1, 2))
    return energy + (codes * (gram.bmm(codes) - 2 * products(decoder, inputs))).flatten(1).sum(1)
