"""The nuclear norm of codes that are affine in their inputs, exact at the cost of products with d, and the top-r form."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SMALLEST = 1e-6
"""singular values below this share of the largest have no direction that is known: they get no gradient"""


def nuclear_norm(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """‖X W‖_*, the sum of the singular values of codes, with X `[n, e]` (no gradient) and W `[e, F]`.

    With A = (XᵀX)^½ the matrices X W and A W have the same singular values, the roots of the eigenvalues of A W Wᵀ A `[e, e]`;
    the gradient of W is Xᵀ U Vᵀ = A (A W Wᵀ A)^-½ A W, with U and V the singular vectors of X W. In float64.
    """
    return _norm().apply(inputs, weights)


@cache
def _norm() -> type[torch.autograd.Function]:
    """The operation of `nuclear_norm`, made when it is first used: evaluations know this module and start without PyTorch."""
    import torch

    class NuclearNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            rows, columns = inputs.double(), weights.double()
            values, vectors = torch.linalg.eigh(rows.T @ rows)
            root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
            values, vectors = torch.linalg.eigh(root @ (columns @ columns.T) @ root)
            singular = values.clamp_min(0).sqrt()
            known = singular > SMALLEST * singular.max()
            turned = root @ (vectors * torch.where(known, singular, torch.inf).reciprocal()) @ vectors.T @ root
            ctx.save_for_backward(turned.to(weights.dtype), weights)
            return singular.sum().to(weights.dtype)

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, torch.Tensor]:
            turned, weights = ctx.saved_tensors
            return None, gradient * (turned @ weights)

    return NuclearNorm


def largest_singular_values(
    codes: torch.Tensor, rank: int, seed: int, inputs: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """The sum of the `rank` largest singular values of codes C, estimated by `torch.svd_lowrank` (paper B, Eq. 92).

    C = X W + b `[n, F]` with X `[n, d]`, W `[d, F]` and b `[F]`, of which the latter two get a gradient. Σ uᵢᵀ C vᵢ with the
    vectors held fixed has the value and the gradient, U Vᵀ, of that sum, and X (W V) costs products with r alone. `seed` is
    that of the estimate.
    """
    import torch

    with torch.no_grad(), torch.random.fork_rng(devices=[codes.device] if codes.is_cuda else []):
        torch.manual_seed(seed)
        left, _, right = torch.svd_lowrank(codes.detach(), q=min(rank, *codes.shape))
    return (left * (bias @ right).addmm(inputs, weights @ right)).sum()
