"""Adding a vector to a language model's activations while it runs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@contextmanager
def added(block: "torch.nn.Module | None", vector: "torch.Tensor") -> Iterator[None]:
    """Add `vector` to all outputs of `block`, which may be a decoder; nothing is added where there is no block."""
    if block is None:
        yield
        return

    def add(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + vector.to(output[0].dtype), *output[1:])
        if hasattr(output, "last_hidden_state"):
            output.last_hidden_state = output.last_hidden_state + vector.to(output.last_hidden_state.dtype)
            return output
        return output + vector.to(output.dtype)

    handle = block.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def steered(model: "PreTrainedModel", layer: str, vector: "torch.Tensor") -> AbstractContextManager[None]:
    """Add `vector` `[d]` to the activation of every token at `layer` while the model runs: after the final norm, or a block."""
    from shiftscope.activations.patched import place_of

    return added(place_of(model, layer), vector)
