"""`p_annealing`: a ReLU autoencoder whose penalty goes from L1 towards L0, of Karvonen et al. 2024 (arXiv 2408.00113).

    c = ReLU(W (x - b) + b_enc),   x̂ = c D + b,   loss ‖x - x̂‖² + λ ‖c‖_p^p,   means over the batch

p falls from 1 to `p_end` in steps that are spread evenly from `anneal_start` to `anneal_end`: `updates` values, of which the
first is 1. Whenever p changes λ is multiplied by the ratio of the mean penalties, ‖c‖_p^p of the old p over that of the new,
over the last `queue` batches, so that λ ‖c‖_p^p is continuous. In the first `sparsity_warmup` steps λ rises from zero.

Paper B's text (App. H.3) gives 400 steps of that warm-up and has lost the other numbers. They are those with which
Karvonen et al. trained: p_end 0.2, from step 10 000 of 36 621 (.27) to the last one, where the last change comes too late
to matter, as in theirs, ten values, ten batches. λ is in units of inputs with E‖x‖² = d, and theirs is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field, ValidationInfo, field_validator

from shiftscope.variants.base import Arrays, Facts, Streamed, Tensors

if TYPE_CHECKING:
    import numpy as np
    import torch


class PAnnealing(Streamed):
    """Hyperparameters of `p_annealing`."""

    system = "p_annealing"

    buffers = ("since_fired", "coefficient", "penalties")

    coefficient: float = Field(1.0, ge=0, description="λ while p is 1, in units of inputs with E‖x‖² = d")
    sparsity_warmup: int = Field(400, ge=0, description="steps in which λ rises from zero, linearly")
    p_end: float = Field(0.2, gt=0, le=1, description="the last value of p")
    updates: int = Field(10, ge=2, description="values of p, from 1 to `p_end`")
    anneal_start: float = Field(0.27, ge=0, le=1, description="the share of the steps after which p falls")
    anneal_end: float = Field(1.0, ge=0, le=1, description="the share of the steps after which p is `p_end`")
    queue: int = Field(10, ge=1, description="batches over which λ is rescaled at a change of p")

    @field_validator("anneal_end")
    @classmethod
    def _after_start(cls, end: float, info: ValidationInfo) -> float:
        if end < info.data.get("anneal_start", 0):
            raise ValueError(f"it must not be below anneal_start, {info.data['anneal_start']}")
        return end

    def initial(self, n_codes: int, d: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """As its base has it, with an encoder of a tenth of the length, as in the source; λ; and sums of penalties."""
        import torch

        weights = super().initial(n_codes, d, normal)
        weights["encoder"] *= 0.1
        own = {"coefficient": torch.tensor(self.coefficient, dtype=torch.float64)}
        return weights | own | {"penalties": torch.zeros(2, dtype=torch.float64)}

    def loss(self, weights: Tensors, inputs: torch.Tensor, step: int) -> torch.Tensor:
        """Squared error plus λ ‖c‖_p^p, means over the batch."""
        codes = self._codes(weights, inputs)
        self._count(weights, (codes.detach() > 0).any(0), len(inputs))
        outputs, further = self._outputs(weights, inputs, codes, step)
        penalty = power(codes, self._norm(step)) + further
        strength = self._strength(weights, codes.detach(), step)
        return (inputs - outputs).square().sum(1).mean() + strength * penalty

    def _codes(self, weights: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        centred = inputs - weights["decoder_bias"]
        return weights["encoder_bias"].addmm(centred, weights["encoder"].T).relu()

    def _outputs(
        self, weights: Tensors, inputs: torch.Tensor, codes: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """x̂ `[batch, d]` of codes of the sparse path, and what λ weighs beside ‖c‖_p^p."""
        return weights["decoder_bias"].addmm(codes, weights["decoder"]), 0.0

    def _norm(self, step: int) -> float:
        """p at a step."""
        changes = sum(step >= change for change in self._changes())
        return 1 + (self.p_end - 1) * changes / (self.updates - 1)

    def _changes(self) -> list[int]:
        """The steps from which on p is another."""
        first, last = self.anneal_start * self.steps, self.anneal_end * self.steps
        return [round(first + (last - first) * number / (self.updates - 1)) for number in range(1, self.updates)]

    def _strength(self, weights: Tensors, codes: torch.Tensor, step: int) -> float:
        """λ at a step, which it rescales if p has changed; before a change it sums the penalties of both p."""
        if step in self._changes() and float(weights["penalties"][1]) > 0:
            weights["coefficient"] *= weights["penalties"][0] / weights["penalties"][1]
            weights["penalties"].zero_()
        following = [change for change in self._changes() if change > step]
        if following and step >= following[0] - self.queue:
            both = self._norm(step), self._norm(following[0])
            weights["penalties"] += weights["penalties"].new_tensor([float(power(codes, p)) for p in both])
        return float(weights["coefficient"]) * min(1.0, step / max(1, self.sparsity_warmup))

    def facts(self, weights: Tensors, step: int, measured: Facts) -> Facts:
        """λ and p of the last step."""
        return {"coefficient": float(weights["coefficient"]), "p": self._norm(step - 1)}

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, F]`, none negative, of activations `[n, d]`."""
        import numpy as np

        return np.maximum(inputs @ arrays["encoder"].T + arrays["encoder_bias"], 0)


def power(codes: torch.Tensor, p: float) -> torch.Tensor:
    """‖c‖_p^p of codes `[batch, F]`, none negative, mean over the batch."""
    return (codes if p == 1 else codes.pow(p)).sum(1).mean()
