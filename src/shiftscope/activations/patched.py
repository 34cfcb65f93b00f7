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


class Patched:
    """A language model on some windows, with other activations in the place of its own at one layer.

    Separators keep their activations, and neither they nor what follows them is predicted: no dictionary was trained on
    them, and at a window's first position many a model writes a vector on which all others depend.
    """

    def __init__(self, model: PreTrainedModel, layer: str, windows: Windows, batch_tokens: int) -> None:
        self.model, self.layer = model, layer
        step = max(1, batch_tokens // windows.token.shape[1])
        starts = range(0, len(windows.token), step)
        self.batches = [Windows(*(column[start : start + step] for column in windows)) for start in starts]
        self.place = place_of(model, layer)
        self.states = self._final() if layer == "final_norm" else None

    def cross_entropy(self, replace: Replace | None) -> float:
        """Mean cross-entropy of next tokens, in nats, with what `replace` makes of activations; None: with its own."""
        total, count = 0.0, 0
        for number, batch in enumerate(self.batches):
            ids, told = self._told(batch)
            if self.states is None:
                with in_place(self.place, batch.document != NOWHERE, replace):
                    logits = self._logits(ids)
                    logits = logits[told.to(logits.device)]
            else:
                logits = self._unembedded(self.states[number], replace)
            losses = _losses(logits, ids[:, 1:][told].to(logits.device))
            total, count = total + losses, count + int(told.sum())
        return total / count

    def _told(self, batch: Windows) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens `[batch, window]`, and which of them but the last tell of the next, bool `[batch, window - 1]`."""
        import torch

        kept = batch.document != NOWHERE
        ids = torch.tensor(batch.token.astype(np.int64), device=first_device(self.model))
        return ids, torch.from_numpy(kept[:, :-1] & kept[:, 1:]).to(ids.device)

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        import torch

        with fitting(ids.numel()), torch.inference_mode():
            return self.model(input_ids=ids, use_cache=False).logits[:, :-1].float()

    def _unembedded(self, states: torch.Tensor, replace: Replace | None) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            if replace:
                states = _replaced(states, replace)
            return self.model.get_output_embeddings()(states).float()

    def _final(self) -> list[torch.Tensor] | None:
        """What the unembedding reads of every batch, so that the blocks run but once.

        None if logits are more than the unembedding of it (some models bound them): the model then runs whole each time.
        """
        import torch

        found, head = [], self.model.get_output_embeddings()
        for batch in self.batches if head is not None else ():
            ids, told = self._told(batch)
            with fitting(ids.numel()), torch.inference_mode():
                states = self.place(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
                if not found and not _alike(self._logits(ids[:1]), head(states[:1]).float()):
                    return None
            found.append(states[told.to(states.device)])
        return found or None


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    import torch

    return torch.allclose(one, other.to(one.device), rtol=1e-3, atol=1e-3)


def place_of(model: PreTrainedModel, layer: str) -> torch.nn.Module:
    """The module whose output is the activation at a layer: its block, or the decoder for `final_norm`."""
    decoder = decoder_of(model)
    return block_of(decoder, layer, model.config.get_text_config().num_hidden_layers) or decoder


def _losses(logits: torch.Tensor, following: torch.Tensor) -> float:
    import torch

    return float(torch.nn.functional.cross_entropy(logits, following, reduction="sum"))


def _replaced(states: torch.Tensor, replace: Replace) -> torch.Tensor:
    import torch

    return torch.from_numpy(replace(states.float().cpu().numpy())).to(states)


@contextmanager
def in_place(place: torch.nn.Module, kept: np.ndarray, replace: Replace | None) -> Iterator[None]:
    """Other activations while the model runs: what `replace` makes of them where `kept` is true; None changes nothing.

    A hook on the layer's block, or on the decoder, whose output comes after the final norm. `kept` is bool
    `[windows, tokens]`, of the very tokens that the model reads meanwhile.
    """
    import torch

    def other(states: torch.Tensor) -> torch.Tensor:
        found, where = states.clone(), torch.from_numpy(kept).to(states.device)
        found[where] = _replaced(states[where], replace)
        return found

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (other(output[0]), *output[1:])
        if hasattr(output, "last_hidden_state"):
            output.last_hidden_state = other(output.last_hidden_state)
            return output
        return other(output)

    handle = place.register_forward_hook(hook) if replace else None
    try:
        yield
    finally:
        if handle:
            handle.remove()
