"""`topk`: the k-sparse autoencoder of Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093).

    c = ReLU(TopK(W (x - b) + b_enc)),   x̂ = c D + b,   loss ‖x - x̂‖²/d + α ‖e - ê‖²/d

The encoder starts as the decoder's transpose, directions have unit norm after every step, and the part of the gradient
along them is removed before the optimiser sees it (Sec. 2.2, App. A). Latents that did not fire for `dead_after`
activations are dead: the `k_aux` largest of them model what is left, ê = c_dead D of e = x - x̂ (App. A.2), and learn from
that alone; the shared b does not. Inputs are centred, so b starts at zero where the source takes their geometric median.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.variants.base import Arrays, Streamed, Tensors

if TYPE_CHECKING:
    import numpy as np
    import torch

    from shiftscope.variants._sparse import Entries


class TopK(Streamed):
    """Hyperparameters of `topk`."""

    system = "topk"

    k: int = Field(32, ge=1, description="codes of an activation that may differ from zero")
    k_aux: int | None = Field(None, ge=1, description="dead latents that model the error; by default half the width d")
    auxiliary: float = Field(1 / 32, ge=0, description="α, the weight of the dead latents' error")

    def initial(self, n_codes: int, d: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """As its base has it.

        Raises:
            ShiftScopeError: `k` is more than there are codes.
        """
        if problem := self.misfit(n_codes):
            raise ShiftScopeError(problem)
        return super().initial(n_codes, d, normal)

    def misfit(self, n_codes: int) -> str:
        """`k` may not be more than there are codes."""
        if self.k <= n_codes:
            return ""
        return f"k {self.k} is more than the {n_codes} codes there are: lower k or take more codes"

    def doubts(self, n_codes: int, d: int) -> list[str]:
        """As its base has them, and a `k` with which codes are not sparse."""
        found = super().doubts(n_codes, d)
        if self.k >= min(d, n_codes):
            found.append(f"k {self.k} is at least the width {d} or all codes, so any directions reconstruct: lower k")
        elif 2 * self.k > n_codes:
            found.append(f"k {self.k} is more than half of the codes, which is not sparse: lower k or raise `codes`")
        return found

    def loss(self, weights: Tensors, inputs: torch.Tensor, step: int) -> torch.Tensor:
        """Mean squared error per coordinate, and α times that of what dead latents make of the error."""
        from shiftscope.variants._sparse import decoded, pre_activations, read

        found = pre_activations(weights, inputs)
        entries = self._chosen(found)
        codes = read(weights, inputs, found, entries).relu()
        self._count(weights, entries.fired(codes.detach(), found.shape[1]), len(inputs))
        left = inputs - weights["decoder_bias"] - decoded(entries, codes, weights["decoder"])
        return left.square().mean() + self.auxiliary * self._auxiliary_loss(weights, inputs, left.detach())

    def _chosen(self, found: torch.Tensor) -> Entries:
        """The entries of pre-activations `[batch, F]` that stay."""
        from shiftscope.variants._sparse import largest_in_each_row

        return largest_in_each_row(found, self.k)

    def _auxiliary_loss(self, weights: Tensors, inputs: torch.Tensor, left: torch.Tensor) -> torch.Tensor | float:
        """‖e - ê‖²/d of the error `left` `[batch, d]`: only rows of dead latents are touched."""
        dead = (weights["since_fired"] >= self.dead_after).nonzero()[:, 0]
        if not len(dead):
            return 0.0
        encoder, bias, decoder = (weights[name][dead] for name in ("encoder", "encoder_bias", "decoder"))
        codes = (bias + (inputs - weights["decoder_bias"].detach()) @ encoder.T).relu()
        most = min(self.k_aux or inputs.shape[1] // 2, len(dead))
        values, columns = codes.topk(most, dim=1, sorted=False)
        return (left - codes.new_zeros(codes.shape).scatter(1, columns, values) @ decoder).square().mean()

    def export(self, weights: Tensors, latest: Callable[[], Iterator[torch.Tensor]]) -> Arrays:
        """As its base has it, and `k`."""
        import numpy as np

        return super().export(weights, latest) | {"k": np.float32(self.k)}

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, F]` of activations `[n, d]`: at most k of each differ from zero."""
        import torch

        from shiftscope.variants._sparse import largest_in_each_row

        found = torch.from_numpy(inputs @ arrays["encoder"].T + arrays["encoder_bias"])
        entries = largest_in_each_row(found, int(arrays["k"]))
        return entries.dense(found[entries.rows, entries.columns].relu(), found.shape[1]).numpy()
