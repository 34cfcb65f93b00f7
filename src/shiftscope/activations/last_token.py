"""The last token's activation of every text at one or several layers of a language model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shiftscope.activations.layers import (
    activations,
    block_of,
    can_share_prefixes,
    check_layers,
    check_model,
    decoder_of,
    first_device,
)
from shiftscope.activations.tokens import (
    batches_of_equal_length,
    context_length,
    fitting,
    tokenize,
    tokens_after,
    watched,
)
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_tensors, write_tensors

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def embed_layers(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    layers: Sequence[str],
    *,
    batch_tokens: int,
    state: Path | None = None,
    progress: str = "embedding",
    name: Callable[[int], str] = "row {}".format,
) -> dict[str, np.ndarray]:
    """The last token's activation of every text at every layer, `{layer: float32 [n, d]}`, in the order of `texts`.

    A layer is `final_norm` (after the final norm, what the unembedding reads) or `resid_post.L` (the residual stream
    after block L, counted from 0). All are read in one pass, which ends at the last block that is wanted; a layer's
    values are, to the bit, those of reading it alone.

    Equal texts are embedded once. A batch holds texts of one length, at most `batch_tokens` tokens of them (but at
    least one text), so nothing is padded; beginnings that texts of a batch share are read once. A row does not depend
    on its batch beyond rounding: measured on SmolLM2 in float32, 1000 templated phrases, batches of 512 to 4096
    tokens: at most 1.5e-6 of the row's norm. The tests demand 1e-5.

    With a `state` folder every finished batch is kept there and read back by the next call. The folder must belong
    to this model, these texts and these layers (`shiftscope.workflow.job.state_folder`); the caller removes it.
    `progress` labels the progress bar, `name` says where the text of an index comes from.

    Raises:
        ShiftScopeError: no texts, an unknown layer, a model that cannot be read so (`check_model`), a text without
            tokens or beyond the model's context, an activation that is not finite, or a batch too large for the GPU;
            names the text where there is one.
    """
    if not texts:
        raise ShiftScopeError("there are no texts to embed: give at least one")
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        first.setdefault(text, index)
    where = [name(index) for index in first.values()]
    last_tokens = reader(model, layers)
    tokens = tokenize(tokenizer, list(first), context_length(model), where)
    check_model(model, layers, tokens)
    rows: dict[str, np.ndarray] = {}
    for number, batch in enumerate(watched(batches_of_equal_length(tokens, batch_tokens), progress)):
        file = state / f"batch_{number:06}.safetensors" if state else None
        if file and file.exists():
            found = read_tensors(file)[0]
        else:
            found = last_tokens([tokens[index] for index in batch])
            for layer, values in found.items():
                check_finite(values, [where[index] for index in batch], layer)
            if file:
                write_tensors(file, found)
        for layer, values in found.items():  # the layers of one model may differ in width
            rows.setdefault(layer, np.empty((len(first), values.shape[1]), np.float32))[batch] = values
    row_of = {text: row for row, text in enumerate(first)}
    order = [row_of[text] for text in texts]
    return {layer: values[order] for layer, values in rows.items()}


def last_token_ids(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> np.ndarray:
    """The id of the token at which every text is read, int64 `[n]`."""
    distinct = list(dict.fromkeys(texts))
    tokens = tokenizer(distinct)["input_ids"]
    place = -1 - len(tokens_after(tokenizer))
    last = dict(zip(distinct, (ids[place] for ids in tokens), strict=True))
    return np.array([last[text] for text in texts], np.int64)


def reader(model: "PreTrainedModel", layers: Sequence[str]) -> Callable[[list[list[int]]], dict[str, np.ndarray]]:
    """A function from a batch of token ids, all of one length, to `{layer: float32 [batch, d]}`, their last activations.

    Raises:
        ShiftScopeError: the model has no such layer.
    """
    import torch

    decoder, n_layers = decoder_of(model), model.config.get_text_config().num_hidden_layers
    check_layers(layers, n_layers)
    blocks = {layer: block_of(decoder, layer, n_layers) for layer in layers}
    sharing = can_share_prefixes(decoder)
    device = first_device(model)

    def last_tokens(tokens: list[list[int]]) -> dict[str, np.ndarray]:
        ids = torch.tensor(tokens, device=device)
        with fitting(ids.numel()), torch.inference_mode():
            found = last_activations(decoder, blocks, ids, cheapest_split(tokens) if sharing else 0)
            return {layer: rows.cpu().numpy() for layer, rows in found.items()}

    return last_tokens


def cheapest_split(tokens: list[list[int]]) -> int:
    """How many leading tokens to read once per distinct beginning so that the batch reads the fewest tokens.

    0 if that saves less than a quarter of the tokens: a second pass through the model has its price, too. The last
    token is always read as part of its text.
    """
    whole = len(tokens) * len(tokens[0])
    saved = [(len(tokens) - len({tuple(ids[:split]) for ids in tokens})) * split for split in range(len(tokens[0]))]
    return saved.index(max(saved)) if max(saved) >= whole / 4 else 0


def last_activations(
    decoder: "torch.nn.Module", blocks: "dict[str, torch.nn.Module | None]", ids: "torch.Tensor", split: int
) -> "dict[str, torch.Tensor]":
    """The last token's activation after each of `blocks` (None: after the final norm), `{layer: float32 [batch, d]}`.

    The first `split` tokens are read once for each distinct beginning, and their keys and values are handed to every
    text that continues it: the same computation, without its repetitions.
    """
    import torch
    from transformers.cache_utils import DynamicCache

    if not split:
        return activations(decoder, blocks, ids, ids, None)
    beginnings, which = torch.unique(ids[:, :split], dim=0, return_inverse=True)
    cache = DynamicCache(config=decoder.config)
    activations(decoder, blocks, beginnings, beginnings, cache)
    cache.batch_select_indices(which.cpu())  # the blocks' keys may lie on several devices, and any takes these
    return activations(decoder, blocks, ids[:, split:], ids, cache)


def check_finite(rows: np.ndarray, where: list[str], layer: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        ShiftScopeError: names the first text whose activation is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise ShiftScopeError(
            f"{where[bad[0]]}: its activation is not finite (NaN or infinity) at {layer}, and so are {bad.size - 1} more "
            "in its batch: the LM's weights are damaged or overflow; use `dtype: float32`, or fetch the LM again"
        )
