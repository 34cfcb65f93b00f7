"""Where an activation is read: a block's output or the final norm's, and what reading it presumes of a model."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shiftscope.activations.tokens import fitting
from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PROBE_TOKENS = 8
ROUNDING = {"float32": 1e-3}
"""relative difference of two readings of one activation that only rounding explains; 0.2 for 16-bit types"""


def check_layers(layers: Sequence[str], n_layers: int) -> None:
    """Compare names of layers with those that a model of `n_layers` blocks has.

    Raises:
        ShiftScopeError: a name is not one of the model's layers.
    """
    for layer in layers:
        stem, _, number = layer.partition(".")
        if layer != "final_norm" and not (stem == "resid_post" and number.isdecimal() and int(number) < n_layers):
            raise ShiftScopeError(
                f"layer {layer!r} is unknown: this LM has final_norm and resid_post.0 to resid_post.{n_layers - 1}"
            )


def block_of(decoder: "torch.nn.Module", layer: str, n_layers: int) -> "torch.nn.Module | None":
    """The block after which `layer` reads, None for `final_norm`.

    The blocks are the decoder's only list of `n_layers` modules, whatever the architecture calls it.

    Raises:
        ShiftScopeError: the blocks cannot be told apart.
    """
    import torch

    if layer == "final_norm":
        return None
    stacks = [part for part in decoder.children() if isinstance(part, torch.nn.ModuleList) and len(part) == n_layers]
    if len(stacks) != 1:
        raise ShiftScopeError(f"the blocks of a {type(decoder).__name__} cannot be told apart: use layer final_norm")
    return stacks[0][int(layer.partition(".")[2])]


def decoder_of(model: "PreTrainedModel") -> "PreTrainedModel":
    """The model without its unembedding: what some architectures call their decoder is the unembedding itself."""
    decoder = model.get_decoder()
    return decoder if hasattr(decoder, "config") else model.base_model


def first_device(model: "PreTrainedModel") -> "torch.device | str | int":
    """Where the embedding of tokens is computed; of a model with a device map its weights may lie elsewhere."""
    hook = getattr(model.get_input_embeddings(), "_hf_hook", None)
    devices = [getattr(one, "execution_device", None) for one in getattr(hook, "hooks", [hook])]
    return next((device for device in devices if device is not None), model.device)


def can_share_prefixes(decoder: "torch.nn.Module") -> bool:
    """Whether the model keeps nothing of the tokens that it has read but the keys and values of plain attention."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    layers = DynamicCache(config=decoder.config).layers
    plain = bool(layers) and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
    return plain and "past_key_values" in inspect.signature(decoder.forward).parameters


def final_states(decoder: "torch.nn.Module", ids: "torch.Tensor", seen: "torch.Tensor", cache: Any) -> "torch.Tensor":
    """The decoder's output for the tokens `ids`, `[batch, tokens, d]`; `seen` are these and those that `cache` holds."""
    context = {} if cache is None else {"past_key_values": cache}
    mask = seen.new_ones(seen.shape)
    return decoder(input_ids=ids, attention_mask=mask, use_cache=bool(context), **context).last_hidden_state


class _ReachedError(Exception):
    """Ends a forward pass at the last block whose output is wanted."""


def activations(
    decoder: "torch.nn.Module",
    blocks: "dict[str, torch.nn.Module | None]",
    ids: "torch.Tensor",
    seen: "torch.Tensor",
    cache: Any,
    last: bool = True,
) -> "dict[str, torch.Tensor]":
    """The last activation of the tokens `ids` at every layer, `{layer: float32 [batch, d]}`; one pass.

    Unless `last`, that of every token, `[batch, tokens, d]`. `seen` are these tokens and those that `cache` already holds.
    A block's output is read by a hook, and blocks that no layer needs are not run. The last of transformers'
    `hidden_states` would not do: it comes after the final norm.
    """
    caught: dict[str, torch.Tensor] = {}
    wanted = [layer for layer, block in blocks.items() if block is not None]
    to_the_end = len(wanted) < len(blocks)

    def catch(layer: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            # a copy: what follows may work in place
            states = output[0] if isinstance(output, (tuple, list)) else output
            caught[layer] = (states[:, -1] if last else states).float().clone()
            if not to_the_end and len(caught) == len(wanted):
                raise _ReachedError

        return hook

    handles = [blocks[layer].register_forward_hook(catch(layer)) for layer in wanted]
    try:
        states = final_states(decoder, ids, seen, cache)
    except _ReachedError:
        return caught
    finally:
        for handle in handles:
            handle.remove()
    final = (states[:, -1] if last else states).float()
    return caught | {layer: final for layer, block in blocks.items() if block is None}


def check_model(model: "PreTrainedModel", layers: Sequence[str], tokens: list[list[int]]) -> None:
    """Read the beginning of the longest text twice, to see that the model is what reading it presumes.

    Raises:
        ShiftScopeError: a token's activation depends on what follows it, or `final_norm` is not what the unembedding
            reads.
    """
    import torch

    decoder, ids = decoder_of(model), max(tokens, key=len)[:PROBE_TOKENS]
    with fitting(len(ids)), torch.inference_mode():
        whole = torch.tensor([ids], device=first_device(model))
        states = final_states(decoder, whole, whole, None)
        if len(ids) > 1:
            part = whole[:, :-1]
            alone = final_states(decoder, part, part, None)
            if differ(alone[0, -1], states[0, -2]):
                raise ShiftScopeError(
                    f"a {type(model).__name__} reads the tokens after a token, too, so its last token is not all that it "
                    "knows of a text: use a causal language model"
                )
        head = model.get_output_embeddings()
        if "final_norm" not in layers or head is None:
            return
        read = []
        handle = head.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
        try:
            model(input_ids=whole, attention_mask=torch.ones_like(whole), use_cache=False)
        finally:
            handle.remove()
    if read[0].shape[-1] != states.shape[-1] or differ(read[0][0, -1], states[0, -1]):
        raise ShiftScopeError(
            f"a {type(model).__name__} changes its last hidden state before the unembedding reads it, so final_norm "
            f"cannot be read: use a layer from resid_post.0 to resid_post.{model.config.get_text_config().num_hidden_layers - 1}"
        )


def differ(one: "torch.Tensor", other: "torch.Tensor") -> bool:
    """Whether two vectors `[d]` differ by more than rounding, up to a common scale (some models scale before they unembed)."""
    allowed = ROUNDING.get(str(one.dtype).removeprefix("torch."), 0.2)
    one, other = one.float().cpu(), other.float().cpu()
    lengths = one.norm(), other.norm()
    return bool((one / lengths[0] - other / lengths[1]).norm() > allowed) if all(lengths) else bool(any(lengths))
