"""Which next tokens a vector raises and lowers, when it is added to a language model's activations at a layer.

Where the vector meets the unembedding, at `final_norm`, its effect is linear and the same on every token: W (size ·
direction), in logits. Behind a block it depends on what else is there, so the model reads a sample of text with and
without it, and the effect is the mean change of a next token's log-probability, in nats. So it is at `final_norm`, too,
of a model that does more to its logits than to multiply by W (some cap them). Up to a constant, by which the softmax is
normalised, both are the same where both apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from shiftscope.activations.layers import decoder_of, first_device
from shiftscope.activations.patched import Replace, in_place, place_of
from shiftscope.activations.tokens import fitting
from shiftscope.activations.windows import NOWHERE, Windows
from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class NextTokens(NamedTuple):
    """What every vector does to every next token."""

    change: np.ndarray
    """`[vectors, vocabulary]` float32, in `unit`"""
    unit: Literal["logits", "nats"]
    """logits: computed; nats: measured, the mean change of log-probability"""
    tokens: int
    """on which it was measured; 0 if it was computed"""


def next_tokens(
    model: PreTrainedModel, layer: str, directions: np.ndarray, sizes: np.ndarray, windows: Windows, batch_tokens: int
) -> NextTokens:
    """What it does to next tokens to add `sizes[i]` times `directions[i]` to the activations at a layer.

    Args:
        model: the language model.
        layer: where the vectors were read, and are added.
        directions: `[vectors, d]`.
        sizes: `[vectors]`, how much of each is added.
        windows: a sample of text, of which all tokens but separators count.
        batch_tokens: tokens that the model reads at a time.

    Raises:
        ShiftScopeError: the sample has no token but separators.
    """
    vectors = (np.asarray(sizes)[:, None] * directions).astype(np.float32)
    kept = int((windows.document != NOWHERE).sum())
    if not kept:
        raise ShiftScopeError("there is no text to read next tokens on: set `held_out` of the activations above 0")
    device = _where_linear(model, windows) if layer == "final_norm" else None
    if device is not None:
        return NextTokens(unembedded(model, vectors, device), "logits", 0)
    return NextTokens(measured(model, layer, vectors, windows, batch_tokens), "nats", kept)


def unembedded(model: PreTrainedModel, vectors: np.ndarray, device: torch.device | str = "cpu") -> np.ndarray:
    """Logits `[vectors, vocabulary]` that vectors `[vectors, d]` add, by the unembedding without its bias."""
    import torch

    head = model.get_output_embeddings()
    inputs = torch.from_numpy(vectors).to(device=device, dtype=model.dtype)
    with torch.inference_mode():
        return (head(inputs).float() - head(torch.zeros_like(inputs[:1])).float()).cpu().numpy()


def measured(
    model: PreTrainedModel, layer: str, vectors: np.ndarray, windows: Windows, batch_tokens: int
) -> np.ndarray:
    """Mean change `[vectors, vocabulary]` of the log-probability of next tokens, over all tokens but separators.

    Separators keep their activations. The model reads the sample once, and once more for every vector.
    """
    kept, step = windows.document != NOWHERE, max(1, batch_tokens // windows.token.shape[1])
    total: list[np.ndarray | float] = [0.0] * len(vectors)
    for start in range(0, len(windows.token), step):
        rows = slice(start, start + step)
        clean = _log_probabilities(model, layer, windows.token[rows], kept[rows], None)
        for number, vector in enumerate(vectors):
            other = _log_probabilities(
                model, layer, windows.token[rows], kept[rows], lambda states, by=vector: states + by
            )
            total[number] = total[number] + (other - clean)
    width = model.config.get_text_config().vocab_size
    return (np.stack(total) / kept.sum()).astype(np.float32) if total else np.zeros((0, width), np.float32)


def _log_probabilities(
    model: PreTrainedModel, layer: str, token: np.ndarray, kept: np.ndarray, replace: Replace | None
) -> np.ndarray:
    """Log-probability of every next token, float64 `[vocabulary]`, summed over the tokens that are `kept`."""
    import torch

    ids = torch.tensor(token.astype(np.int64), device=first_device(model))
    with fitting(ids.numel()), torch.inference_mode(), in_place(place_of(model, layer), kept, replace):
        logits = model(input_ids=ids, use_cache=False).logits
        logits = logits[torch.from_numpy(kept).to(logits.device)].float()
        return (logits.sum(0).double() - logits.logsumexp(-1).double().sum()).cpu().numpy()


def _where_linear(model: PreTrainedModel, windows: Windows) -> torch.device | None:
    """The device where the unembedding reads, if logits are what it makes of the final state and no more, else None.

    One window is read to see it.
    """
    import torch

    head, seen = model.get_output_embeddings(), {}
    if not isinstance(head, torch.nn.Linear):
        return None

    def see(module: object, inputs: tuple, output: torch.Tensor) -> None:
        seen["into"], seen["out"] = inputs[0], output

    def final(module: object, inputs: tuple, output: object) -> None:
        seen["final"] = output.last_hidden_state

    handles = [head.register_forward_hook(see), decoder_of(model).register_forward_hook(final)]
    try:
        with torch.inference_mode():
            ids = torch.tensor(windows.token[:1].astype(np.int64), device=first_device(model))
            logits = model(input_ids=ids, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    linear = torch.equal(seen["into"], seen["final"].to(seen["into"].device)) and torch.equal(
        seen["out"].float(), logits.to(seen["out"].device).float()
    )
    return seen["into"].device if linear else None
