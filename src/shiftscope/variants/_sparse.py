"""Codes of which a few entries are not zero: their sums of directions and every gradient touch these entries alone.

With m entries in a batch of B rows the pre-activations cost B·F·d, as dense codes do, and all else m·d. An entry's gradient
reaches the encoder's row of its latent only, so the gradient of the encoder is a sum of inputs for each latent: the same
operation as decoding, on the transposed pattern. Sums run in the order of the entries, which makes them repeatable.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

SAMPLED = 61
"""every so manieth number is looked at to guess where the largest begin"""


class Entries(NamedTuple):
    """Which entries of codes `[B, F]` may differ from zero, row by row: `rows` and `columns` `[m]`, `starts` `[B]` of rows."""

    rows: torch.Tensor
    columns: torch.Tensor
    starts: torch.Tensor

    def fired(self, values: torch.Tensor, n_codes: int) -> torch.Tensor:
        """Which latents have a code above zero in some row, bool `[F]`."""
        return (values.new_zeros(n_codes) > 0).index_fill_(0, self.columns[values > 0], True)

    def dense(self, values: torch.Tensor, n_codes: int) -> torch.Tensor:
        """The codes `[B, F]`."""
        return values.new_zeros(len(self.starts), n_codes).index_put_((self.rows, self.columns), values)


def largest_in_each_row(found: torch.Tensor, k: int) -> Entries:
    """The k largest entries of every row of `[B, F]`."""
    import torch

    columns = found.topk(k, dim=1, sorted=False)[1].flatten()
    rows = torch.arange(len(found), device=found.device)
    return Entries(rows.repeat_interleave(k), columns, k * rows)


def largest_of_all(found: torch.Tensor, n: int) -> Entries:
    """The n largest entries of `[B, F]`, none negative; fewer if fewer are above zero."""
    import torch

    flat = found.flatten()
    sample = flat[::SAMPLED].sort(descending=True)[0]
    above = (flat > sample[min(2 * n // SAMPLED, len(sample) - 1)]).nonzero()[:, 0]
    if len(above) < n:  # the guess was too high; seldom, and exact all the same
        above = (flat > 0).nonzero()[:, 0]
    place = above[flat[above].topk(min(n, len(above)), sorted=False)[1]].sort()[0]
    rows = place // found.shape[1]
    return Entries(rows, place % found.shape[1], torch.searchsorted(rows, torch.arange(len(found), device=rows.device)))


def pre_activations(weights: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """W (x - b) + b_enc `[B, F]` of inputs `[B, d]`, through which no gradient flows."""
    import torch

    with torch.no_grad():
        return torch.addmm(weights["encoder_bias"], inputs - weights["decoder_bias"], weights["encoder"].T)


def read(weights: dict[str, torch.Tensor], inputs: torch.Tensor, found: torch.Tensor, entries: Entries) -> torch.Tensor:
    """The pre-activations `[m]` of the entries, out of all `found` `[B, F]`, with their gradient."""
    names = ("encoder", "encoder_bias", "decoder_bias")
    return _reading().apply(*(weights[name] for name in names), inputs, found, entries)


def decoded(entries: Entries, values: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
    """Σ value · direction of each row, `[B, d]`."""
    from torch.nn.functional import embedding_bag

    return embedding_bag(entries.columns, decoder, entries.starts, mode="sum", per_sample_weights=values)


@cache
def _reading() -> type[torch.autograd.Function]:
    """The operation of `read`, made when it is first used: evaluations know this module and start without PyTorch."""
    import torch
    from torch.nn.functional import embedding_bag

    class Read(torch.autograd.Function):
        """Entries of (x - b) Wᵀ + b_enc: dW = Sᵀ (x - b), db_enc = Sᵀ 1, db = -db_enc W, with S the entries' gradients."""

        @staticmethod
        def forward(
            ctx: Any,
            encoder: torch.Tensor,
            encoder_bias: torch.Tensor,
            decoder_bias: torch.Tensor,
            inputs: torch.Tensor,
            found: torch.Tensor,
            entries: Entries,
        ) -> torch.Tensor:
            ctx.save_for_backward(encoder, decoder_bias, inputs)
            ctx.entries = entries
            return found[entries.rows, entries.columns]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            encoder, decoder_bias, inputs = ctx.saved_tensors
            columns, order = ctx.entries.columns.sort(stable=True)
            starts = torch.searchsorted(columns, torch.arange(len(encoder), device=columns.device))
            by_latent, rows = gradient[order], ctx.entries.rows[order]
            d_encoder = embedding_bag(rows, inputs - decoder_bias, starts, mode="sum", per_sample_weights=by_latent)
            d_bias = gradient.new_zeros(len(encoder)).index_add_(0, columns, by_latent)
            return d_encoder, d_bias, -(d_bias @ encoder), None, None, None

    return Read
