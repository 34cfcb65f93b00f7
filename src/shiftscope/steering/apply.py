"""Adding a vector to a language model's activations while it runs."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.errors import ShiftScopeError, unknown

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

FILE = "steering_vectors.safetensors"
"""the file of vectors in the folder of a variant"""


@contextmanager
def added(block: "torch.nn.Module | None", vector: "torch.Tensor") -> Iterator[None]:
    """Add `vector` to all outputs of `block`, which may be a decoder; nothing is added where there is no block.

    It is added in the type and on the device of the outputs, whatever its own. Blocks that return a tensor, a tuple or list
    whose first member it is, or an output with a last hidden state are known.
    """
    if block is None:
        yield
        return

    def add(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + vector.to(output[0]), *output[1:])
        if isinstance(output, list):
            return [output[0] + vector.to(output[0]), *output[1:]]
        if hasattr(output, "last_hidden_state"):
            output.last_hidden_state = output.last_hidden_state + vector.to(output.last_hidden_state)
            return output
        return output + vector.to(output)

    handle = block.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def steered(model: "PreTrainedModel", layer: str, vector: "torch.Tensor") -> AbstractContextManager[None]:
    """Add `vector` `[d]` to the activation of every token at `layer` while the model runs: after the final norm, or a block."""
    from shiftscope.activations.patched import place_of

    return added(place_of(model, layer), vector)


@contextmanager
def steer(
    model: "PreTrainedModel",
    vectors: str | Path | Mapping[str, Any],
    name: str,
    scale: float = 1.0,
    layer: str | None = None,
) -> "Iterator[PreTrainedModel]":
    """Steer a causal language model of transformers while the `with` block runs; afterwards, also after an error, it is as it was.

    Weights may be of any type or quantised, and lie on several devices; batches, caches and `generate` work as ever. Blocks
    may be nested, to add several vectors.

    Args:
        model: of the language model that the vectors were learned on.
        vectors: a file of exported vectors, the folder that it lies in, or vectors `[d_model]` by name.
        name: which of them.
        scale: how often it is added; 1 is one typical shift, -1 one back.
        layer: where: `final_norm` or `resid_post.L`. By default where the file says that they were read.

    Yields:
        the model.

    Raises:
        ShiftScopeError: no vector has that name, it is not as long as the model is wide, or the model lacks the layer.
    """
    import torch

    from shiftscope.activations.layers import check_layers

    by_name, read_at = opened(vectors)
    where = layer if layer is not None else read_at
    if where is not None and not isinstance(where, str):
        raise ShiftScopeError(
            f"layer={where!r} is no name of a layer: write layer='resid_post.{where}', or 'final_norm'"
        )
    if not isinstance(scale, (int, float)):
        raise ShiftScopeError(f"scale={scale!r} is not a number")
    if where is None:
        raise ShiftScopeError(
            "these vectors do not say where they were read: pass layer='final_norm' or 'resid_post.L'"
        )
    if name not in by_name:
        raise ShiftScopeError(unknown(f"vector {name!r}", name, by_name))
    config = model.config.get_text_config()
    check_layers([where], config.num_hidden_layers)
    vector = torch.as_tensor(by_name[name])
    if vector.shape != (config.hidden_size,):
        raise ShiftScopeError(
            f"vector {name!r} has shape {list(vector.shape)}, but the activations of this {type(model).__name__} are "
            f"{config.hidden_size} wide: it was learned on another language model"
        )
    with steered(model, where, vector * scale):
        yield model


def opened(given: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """Vectors by name, of a file or the folder that it lies in, and the layer at which they were read, if that is known.

    Raises:
        ShiftScopeError: there is no such file.
    """
    from shiftscope.files import read_tensors

    if isinstance(given, Mapping):
        return given, None
    path = Path(given).expanduser()
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise ShiftScopeError(f"{path} does not exist: give a file of steering vectors, or its folder")
    if path.suffix == ".json":
        raise ShiftScopeError(
            f"{path} only describes vectors: give {path.with_suffix('.safetensors').name}, or the folder"
        )
    arrays, about = read_tensors(path)
    return arrays, about.get("layer")
