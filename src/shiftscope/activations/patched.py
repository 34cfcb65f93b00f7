"""Something else in the place of a language model's activations, and what the model loses by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from shiftscope.activations.layers import block_of, decoder_of, first_device
from shiftscope.activations.tokens import fitting
from shiftscope.activations.windows import NOWHERE, Windows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Replace = Callable[[np.ndarray], np.ndarray]
"""what takes the place of activations `[n, d]`"""


def cross_entropy(
    model: PreTrainedModel, layer: str, windows: Windows, replace: Replace | None, batch_tokens: int
) -> float:
    """Mean cross-entropy of next tokens, in nats, with other activations at a layer; None: with its own.

    Separators keep their activations, and neither they nor what follows them is predicted: no dictionary was trained on
    them, and at a window's first position many a model writes a vector on which all others depend.
    """
    import torch

    kept, total, count = windows.document != NOWHERE, 0.0, 0
    step = max(1, batch_tokens // windows.token.shape[1])
    for start in range(0, len(windows.token), step):
        rows = slice(start, start + step)
        ids = torch.tensor(windows.token[rows].astype(np.int64), device=first_device(model))
        with fitting(ids.numel()), torch.inference_mode(), in_place(model, layer, kept[rows], replace):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        told = torch.from_numpy(kept[rows][:, :-1] & kept[rows][:, 1:]).to(logits.device)
        losses = torch.nn.functional.cross_entropy(logits[told], ids[:, 1:].to(logits.device)[told], reduction="sum")
        total, count = total + float(losses), count + int(told.sum())
    return total / count


@contextmanager
def in_place(model: PreTrainedModel, layer: str, kept: np.ndarray, replace: Replace | None) -> Iterator[None]:
    """Other activations at a layer while the model runs: what `replace` makes of them where `kept` is true.

    A hook on the layer's block, or on the decoder, whose output comes after the final norm. `kept` is bool
    `[windows, tokens]`, of the very tokens that the model reads meanwhile; None for `replace` changes nothing.
    """
    import torch

    def other(states: torch.Tensor) -> torch.Tensor:
        found, where = states.clone(), torch.from_numpy(kept).to(states.device)
        found[where] = torch.from_numpy(replace(states[where].float().cpu().numpy())).to(states)
        return found

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (other(output[0]), *output[1:])
        if hasattr(output, "last_hidden_state"):
            output.last_hidden_state = other(output.last_hidden_state)
            return output
        return other(output)

    decoder = decoder_of(model)
    place = block_of(decoder, layer, model.config.get_text_config().num_hidden_layers) or decoder
    handle = place.register_forward_hook(hook) if replace else None
    try:
        yield
    finally:
        if handle:
            handle.remove()
