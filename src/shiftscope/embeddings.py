"""Last-token activations of texts under a language model, and the arrays that are kept for a file of pairs."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_tensors, write_tensors

if TYPE_CHECKING:
    import pyarrow
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)
SPLITS = {"train": 0, "test": 1, "single": 2}
SECONDS_BETWEEN_LOG_LINES = 15


def embed(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    layer: str,
    *,
    batch_tokens: int,
    state: Path | None = None,
    progress: str = "embedding",
    name: Callable[[int], str] = "row {}".format,
) -> np.ndarray:
    """The last token's activation of every text, float32 `[n, d]`, in the order of `texts`.

    `layer` is `final_norm` (after the final norm, what the unembedding reads) or `resid_post.L` (the residual stream
    after block L, counted from 0). Equal texts are embedded once. A batch holds texts of one length, at most
    `batch_tokens` tokens of them (but at least one text), so nothing is padded and no mask can matter. A row does not
    depend on its batch beyond rounding: with SmolLM2 in float32 on one CPU thread batches of 1 to 200 texts agreed to
    the bit; the tests demand 1e-5 of the row's norm.

    With a `state` folder every finished batch is kept there and read back by the next call. The folder must belong
    to this model, these texts and this layer (`shiftscope.job.state_folder`); the caller removes it.
    `progress` labels the progress bar, `name` says where the text of an index comes from.

    Raises:
        ShiftScopeError: no texts, an unknown layer, a text without tokens or beyond the model's context, an activation
            that is not finite, or a batch too large for the GPU; names the text where there is one.
    """
    if not texts:
        raise ShiftScopeError("there are no texts to embed: give at least one")
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    first = {text: index for index, text in reversed(list(enumerate(texts)))}
    where = [name(first[text]) for text in distinct]
    tokens = tokenize(tokenizer, list(distinct), context_length(model), where)
    last_token = reader(model, layer)
    batches = batches_of_equal_length([len(ids) for ids in tokens], batch_tokens)
    rows = None
    for number, batch in enumerate(watched(batches, progress)):
        found = kept(
            state and state / f"batch_{number:06}.safetensors",
            lambda batch=batch: last_token([tokens[i] for i in batch]),
        )
        check_finite(found, [where[i] for i in batch])
        if rows is None:
            rows = np.empty((len(distinct), found.shape[1]), np.float32)
        rows[batch] = found
    return rows[[distinct[text] for text in texts]]


def tokenize(
    tokenizer: "PreTrainedTokenizerBase", texts: list[str], context: int | None, where: list[str]
) -> list[list[int]]:
    """Token ids of every text, with the special tokens that the model expects.

    Raises:
        ShiftScopeError: a text has no token of its own, or more than `context` tokens.
    """
    empty = tokenizer("")["input_ids"]
    tokens = tokenizer(texts)["input_ids"]
    for text, ids, place in zip(texts, tokens, where, strict=True):
        if not ids or ids == empty:
            raise ShiftScopeError(f"{place}: the text {text!r} has no tokens: remove the row or write a text")
        if context is not None and len(ids) > context:
            raise ShiftScopeError(
                f"{place}: the text {text[:40]!r}… has {len(ids)} tokens, but the LM reads at most {context}: shorten it"
            )
    return tokens


def context_length(model: "PreTrainedModel") -> int | None:
    """How many tokens the model can read, None if its positions have no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def batches_of_equal_length(lengths: list[int], batch_tokens: int) -> list[list[int]]:
    """Indices grouped by length, shortest first, each group of at most `batch_tokens` tokens and at least one text."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        length = lengths[index]
        fits = batches and lengths[batches[-1][0]] == length and (len(batches[-1]) + 1) * length <= batch_tokens
        if fits:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def reader(model: "PreTrainedModel", layer: str) -> Callable[[list[list[int]]], np.ndarray]:
    """A function from a batch of token ids, all of one length, to their activations float32 `[batch, d]`.

    Raises:
        ShiftScopeError: the model has no such layer.
    """
    import torch

    decoder = model.get_decoder()
    block = block_of(decoder, layer, model.config.get_text_config().num_hidden_layers)

    def last_token(tokens: list[list[int]]) -> np.ndarray:
        ids = torch.tensor(tokens, device=model.device)
        try:
            with torch.inference_mode():
                found = final_norm(decoder, ids) if block is None else residual_after(decoder, block, ids)
                return found[:, -1].float().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise ShiftScopeError(
                f"a batch of {ids.numel()} tokens does not fit into the GPU's memory: lower batch_tokens"
            ) from error

    return last_token


def block_of(decoder: "torch.nn.Module", layer: str, n_layers: int) -> "torch.nn.Module | None":
    """The block after which `layer` reads, None for `final_norm`.

    The blocks are the decoder's only list of `n_layers` modules, whatever the architecture calls it.

    Raises:
        ShiftScopeError: the name is not one of the model's layers.
    """
    import torch

    if layer == "final_norm":
        return None
    stem, _, number = layer.partition(".")
    if stem != "resid_post" or not number.isdecimal() or int(number) >= n_layers:
        raise ShiftScopeError(
            f"layer {layer!r} is unknown: this LM has final_norm and resid_post.0 to resid_post.{n_layers - 1}"
        )
    stacks = [part for part in decoder.children() if isinstance(part, torch.nn.ModuleList) and len(part) == n_layers]
    if len(stacks) != 1:
        raise ShiftScopeError(f"the blocks of a {type(decoder).__name__} cannot be told apart: use layer final_norm")
    return stacks[0][int(number)]


def final_norm(decoder: "torch.nn.Module", ids: "torch.Tensor") -> "torch.Tensor":
    """Activations after the final norm, `[batch, tokens, d]`."""
    return decoder(input_ids=ids, attention_mask=ids.new_ones(ids.shape), use_cache=False).last_hidden_state


class _ReachedError(Exception):
    """Ends a forward pass at the block whose output is wanted."""


def residual_after(decoder: "torch.nn.Module", block: "torch.nn.Module", ids: "torch.Tensor") -> "torch.Tensor":
    """The residual stream after `block`, `[batch, tokens, d]`; the blocks above it are not run.

    Read by a hook, since the last of transformers' `hidden_states` is not the last block's output but comes after the
    final norm.
    """
    caught: list[torch.Tensor] = []

    def catch(module: Any, inputs: Any, output: Any) -> None:
        caught.append(output[0] if isinstance(output, tuple) else output)
        raise _ReachedError

    handle = block.register_forward_hook(catch)
    try:
        final_norm(decoder, ids)
    except _ReachedError:
        return caught[0]
    finally:
        handle.remove()
    raise RuntimeError(f"{type(decoder).__name__} did not run its block")


def kept(file: Path | None, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in `file`, or a computed one that is then kept there."""
    if file is None:
        return compute()
    if file.exists():
        return read_tensors(file)[0]["rows"]
    rows = compute()
    write_tensors(file, {"rows": rows})
    return rows


def check_finite(rows: np.ndarray, where: list[str]) -> None:
    """Refuse NaN and infinity.

    Raises:
        ShiftScopeError: names the first text whose activation is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise ShiftScopeError(
            f"{where[bad[0]]}: its activation is not finite (NaN or infinity), and so are {bad.size - 1} more in its "
            "batch: the LM's weights are damaged or overflow; fetch the LM again or use another layer"
        )


def watched(batches: list[list[int]], label: str) -> Iterator[list[int]]:
    """Yield the batches under a progress bar on a terminal, else with a line in the log now and then."""
    from tqdm import tqdm

    total = sum(map(len, batches))
    done, told = 0, time.monotonic()
    with tqdm(total=total, desc=label, unit="text", disable=not sys.stderr.isatty()) as bar:
        for batch in batches:
            yield batch
            done += len(batch)
            bar.update(len(batch))
            if time.monotonic() - told > SECONDS_BETWEEN_LOG_LINES:
                told = time.monotonic()
                logger.info("%s: %d of %d texts", label, done, total)
    logger.info("%s: %d texts in %d batches", label, total, len(batches))


def labels(pairs: "pyarrow.Table", truths: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """The columns that pass from the pairs to their embeddings unchanged, with the axis G = 1 where the format has it.

    `split` `[n]`, `group` `[n]`, `concept` and `sign` `[1, n]`, `truth.{name}` `[1, n, m]`.

    Raises:
        ShiftScopeError: a split has an unknown name, or a truth has another width than the manifest says.
    """
    splits = pairs["split"].to_pylist()
    for row, split in enumerate(splits):
        if split not in SPLITS:
            raise ShiftScopeError(f"row {row}: split {split!r} is unknown: allowed are {', '.join(SPLITS)}")
    arrays = {
        "split": np.array([SPLITS[split] for split in splits], np.uint8),
        "group": pairs["group"].to_numpy().astype(np.int64),
        "concept": pairs["concept"].to_numpy().astype(np.int64)[None],
        "sign": pairs["sign"].to_numpy().astype(np.int8)[None],
    }
    for truth, columns in truths.items():
        values = pairs[f"truth.{truth}"].to_pylist()
        for row, shift in enumerate(values):
            if shift is None or len(shift) != len(columns):
                raise ShiftScopeError(
                    f"row {row}: truth.{truth} has {len(shift or [])} values, but the manifest names {len(columns)}: "
                    "make the pairs again"
                )
        arrays[f"truth.{truth}"] = np.array(values, np.float32).reshape(1, len(values), len(columns))
    return arrays
