"""`structured`: paper B's structured autoencoder, a sparse path as in `p_annealing` beside one of low rank (App. H.1).

    c_sparse = ReLU(W (x - b) + b_enc),   c_struct = V (x - b) + a,   x̂ = (c_sparse + s c_struct) D + b
    loss ‖x - x̂‖² + λ (‖c_sparse‖_p^p + γ ‖c_struct‖_*)

The source reads both ways, so there are two modes. In `loss_weight` (its Eq. 91) s = 1 and γ weighs the penalty. In
`path_scale` s = γ, too: the penalty is then the norm of what the path adds, and with γ = 0 it is `p_annealing`, to the bit,
as its App. H.3 says. λ is that of `p_annealing`, rescaled whenever p changes.

Its text does not say whether a ReLU follows the structured encoder. Here none does: rectified, codes of low rank are not of
low rank. So the path is affine in x, is decoded by V D `[d, d]`, and its nuclear norm is exact at the cost of products with
d. The norm of the batch's codes `[B, F]` is over √B, else it would grow with the batch. The source takes the r largest
singular values of `torch.svd_lowrank` (Eq. 92): `nuclear: top` with `rank` r.

If the low-rank path is strong the sparse one dies while the error falls. A training is never lost for that: the facts of
a model have the codes and the error of either path alone and `collapsed`, and the log warns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from shiftscope.variants.base import Arrays, Facts, Tensors
from shiftscope.variants.p_annealing import PAnnealing

if TYPE_CHECKING:
    import numpy as np
    import torch

logger = logging.getLogger(__name__)

FEWEST_CODES, LEAST_SHARE = 1.0, 0.05
"""the sparse path has collapsed with fewer codes than this, or if the other explains all but this share without it"""


class Structured(PAnnealing):
    """Hyperparameters of `structured`: those of `p_annealing`, and of the path of low rank."""

    system = "structured"
    matrices = 3

    mode: Literal["loss_weight", "path_scale"] = Field(
        "loss_weight", description="γ weighs the nuclear norm alone, or the path, too"
    )
    gamma: float = Field(0.1, ge=0, description="γ, the low-rank scaling factor")
    nuclear: Literal["exact", "top"] = Field("exact", description="all singular values, or the `rank` largest")
    rank: int = Field(32, ge=1, description="singular values of `nuclear: top`")

    def initial(self, n_codes: int, d: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """As `p_annealing` draws them, and then the structured encoder in the same way, its rows a tenth long."""
        weights = super().initial(n_codes, d, normal)
        further = normal(n_codes, d)
        bias = further.new_zeros(n_codes)
        scaled = 0.1 * further / further.norm(dim=1, keepdim=True)
        return weights | {"structured_encoder": scaled, "structured_encoder_bias": bias}

    @property
    def _remedy(self) -> str:
        """What lets a sparse path live that has died."""
        if self.mode == "path_scale":
            return "lower gamma, by which the other path is multiplied, or coefficient"
        return "raise gamma, which weighs the norm of the other path, or lower coefficient"

    @property
    def _scale(self) -> float:
        """s, by which the structured path is multiplied."""
        return self.gamma if self.mode == "path_scale" else 1.0

    def _outputs(
        self, weights: Tensors, inputs: torch.Tensor, codes: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both paths decoded, and γ ‖c_struct‖_* / √B; b has no part in the gradient of the latter."""
        outputs, norm = (self._exact if self.nuclear == "exact" else self._top)(weights, inputs, codes, step)
        return outputs, self.gamma * norm / len(inputs) ** 0.5

    def _exact(
        self, weights: Tensors, inputs: torch.Tensor, codes: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The path of low rank without its codes, for it is affine."""
        import torch

        from shiftscope.variants._nuclear import nuclear_norm

        encoder, bias, decoder = (
            weights[name] for name in ("structured_encoder", "structured_encoder_bias", "decoder")
        )
        added = (bias @ decoder).addmm(inputs - weights["decoder_bias"], encoder.T @ decoder)
        outputs = weights["decoder_bias"].addmm(codes, decoder) + self._scale * added
        held = inputs - weights["decoder_bias"].detach()
        rows = torch.cat([held, held.new_ones(len(held), 1)], dim=1)
        return outputs, nuclear_norm(rows, torch.cat([encoder.T, bias[None]]))

    def _top(
        self, weights: Tensors, inputs: torch.Tensor, codes: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Its codes are needed for the singular vectors, so both paths are decoded at once."""
        from shiftscope.variants._nuclear import largest_singular_values

        encoder, bias = weights["structured_encoder"], weights["structured_encoder_bias"]
        added = bias.addmm(inputs - weights["decoder_bias"], encoder.T)
        outputs = weights["decoder_bias"].addmm(codes + self._scale * added, weights["decoder"])
        held = inputs - weights["decoder_bias"].detach()
        return outputs, largest_singular_values(added, self.rank, step, held, encoder.T, bias)

    def export(self, weights: Tensors, latest: Callable[[], Iterator[torch.Tensor]]) -> Arrays:
        """As `p_annealing` has it, and the structured encoder, scaled as it is added."""
        encoder = self._scale * weights["structured_encoder"]
        bias = self._scale * weights["structured_encoder_bias"] - encoder @ weights["decoder_bias"]
        own = {"structured_encoder": encoder.numpy(), "structured_encoder_bias": bias.numpy()}
        return super().export(weights, latest) | own

    def facts(self, weights: Tensors, step: int, measured: Facts) -> Facts:
        """Those of `p_annealing`; whether the sparse path has `collapsed`, and its share of what both explain.

        The share is what is lost without it; None where both explain nothing, as before training.
        """
        alone, both = measured["reconstruction_structured"], measured["reconstruction"]
        share = (alone - both) / (1 - both) if both < 1 else None
        collapsed = measured["l0_sparse"] < FEWEST_CODES or (share is not None and share < LEAST_SHARE)
        if collapsed and step == self.steps:
            logger.warning(
                "the sparse path has collapsed at step %d with gamma %g: %.2f codes, %.1f %% of what both paths explain; %s",
                step, self.gamma, measured["l0_sparse"], 100 * (share or 0), self._remedy,
            )  # fmt: skip
        return super().facts(weights, step, measured) | {"sparse_share": share, "collapsed": float(collapsed)}

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, F]` of activations `[n, d]`: the sum of both paths, so that most differ from zero."""
        found = Structured.paths(arrays, inputs)
        return found["sparse"] + found["structured"]

    @staticmethod
    def paths(arrays: Arrays, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Codes `[n, F]` of the path that is `sparse` and of the one that is `structured`."""
        structured = inputs @ arrays["structured_encoder"].T + arrays["structured_encoder_bias"]
        return {"sparse": PAnnealing.encode(arrays, inputs), "structured": structured}
