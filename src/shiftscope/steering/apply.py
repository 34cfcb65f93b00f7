"""Adding a vector to a language model's activations while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def added(block: "torch.nn.Module | None", vector: "torch.Tensor") -> Iterator[None]:
    """Add `vector` to all outputs of `block`; nothing is added where there is no block."""
    if block is None:
        yield
        return

    def add(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + vector.to(output[0].dtype), *output[1:])
        return output + vector.to(output.dtype)

    handle = block.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
