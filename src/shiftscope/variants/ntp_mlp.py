"""`ntp_mlp`: the network of paper B's simulations, which predicts a masked bit from all others (App. G.1).

    h_0 = E [x (1 - m), m],   h_l = ReLU(BatchNorm(W_l h_(l-1) + b_l)),   p(x_j | context) = softmax_v(g_(j,v) · h_L)

x are the bits, m says which one is masked (j), and h_L is the representation f(context) of its Eq. 2. The source gives three
layers of 256 units and Adam; its learning rate is lost in the text, and of batches, steps and initial weights it says nothing.
Every step draws new samples, so no network sees a training set twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants.base import Arrays, Masked, Tensors

if TYPE_CHECKING:
    import numpy as np
    import torch

EPSILON = 1e-5
MOMENTUM = 0.1


class NtpMlp(Masked):
    """Its width is the number of codes: a code is a unit of the last layer."""

    buffers = ("mean", "variance")

    layers: int = Field(3, ge=1, le=10, description="hidden layers, each as wide as the representation")

    def initial(self, n_observed: int, width: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """Normal weights of variance 1 / inputs, gains 1, offsets and biases 0."""
        embedding = normal(width, 2 * n_observed) / (2 * n_observed) ** 0.5
        hidden = normal(self.layers, width, width) / width**0.5
        zeros = hidden.new_zeros(self.layers, width)
        output = normal(2 * n_observed, width) / width**0.5
        return {
            "embedding": embedding, "hidden": hidden, "gain": zeros + 1, "offset": zeros.clone(), "output": output,
            "output_bias": output.new_zeros(2 * n_observed), "mean": zeros.clone(), "variance": zeros + 1,
        }  # fmt: skip

    def logits(self, weights: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        """Of both values of every bit `[R, batch, 2 m]`, value 0 of all bits first, from `[R, batch, 2 m]`.

        Batches normalise themselves, and running means and variances follow (Ioffe and Szegedy 2015).
        """
        at = inputs.bmm(weights["embedding"].transpose(1, 2))
        size = inputs.shape[1]
        for layer in range(self.layers):
            at = at.bmm(weights["hidden"][:, layer].transpose(1, 2))
            mean, variance = at.mean(1, keepdim=True), at.var(1, keepdim=True, unbiased=False)
            weights["mean"][:, layer].lerp_(mean.detach()[:, 0], MOMENTUM)
            weights["variance"][:, layer].lerp_(variance.detach()[:, 0] * size / (size - 1), MOMENTUM)
            scale = (variance + EPSILON).rsqrt() * weights["gain"][:, layer, None]
            at = ((at - mean) * scale + weights["offset"][:, layer, None]).relu()
        return at.bmm(weights["output"].transpose(1, 2)) + weights["output_bias"][:, None]

    def export(self, weights: Arrays) -> Arrays:
        """Running means and variances are folded into the weights of each layer."""
        import numpy as np

        scale = weights["gain"] / np.sqrt(weights["variance"] + EPSILON)
        kept = {name: weights[name] for name in ("embedding", "output", "output_bias")}
        hidden = weights["hidden"] * scale[:, :, None]
        return kept | {"hidden": hidden, "bias": weights["offset"] - weights["mean"] * scale}

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """The representation `[n, width]` of contexts `[n, 2 m]`."""
        import numpy as np

        at = inputs @ arrays["embedding"].T
        for weight, bias in zip(arrays["hidden"], arrays["bias"], strict=True):
            at = np.maximum(at @ weight.T + bias, 0)
        return at
