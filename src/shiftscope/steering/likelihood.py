"""How likely a language model finds texts while a vector is added at one of its layers (docs/steering-vectors.md)."""

import copy
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shiftscope.activations.layers import block_of, can_share_prefixes, final_states
from shiftscope.activations.tokens import context_length, watched
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_tensors, write_tensors
from shiftscope.steering.apply import added

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

POSITIONS = 256
"""positions whose next-token distributions are in memory together"""


class Text(NamedTuple):
    """A text, the character at which what is scored begins (0: all but the first token), and where it comes from."""

    text: str
    start: int
    where: str


def log_probabilities(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[Text],
    layer: str,
    steerings: np.ndarray,
    *,
    batch_tokens: int,
    state: Path | None = None,
    progress: str = "reading",
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of the scored part of every text, given what stands before it, under every steering.

    A steering, a row of `[S, d]`, is added to the output of `layer` at every token; zeros steer nothing. After the
    final norm logits are linear in it, log p(t) = l_t + u_t - log Σ exp(l + u) with u the unembedded steering, so the
    texts are read once for all steerings; at `resid_post.L` they are read once for each. Beginnings that texts share
    are read once.

    With a `state` folder what is done is kept there, as in `shiftscope.activations.last_token.embed_layers`.

    Returns:
        sums over tokens, float64 `[n, S]`, and the number of scored tokens `[n]`.

    Raises:
        ShiftScopeError: an unknown layer, a text without a token to score or beyond the model's context, an LM whose
            logits are not its unembedding times its final norm, or a steering that leaves no finite probability.
    """
    import torch

    tokens, firsts = scored_tokens(tokenizer, texts, context_length(model))
    decoder = model.get_decoder()
    block = block_of(decoder, layer, model.config.get_text_config().num_hidden_layers)
    sharing = can_share_prefixes(decoder)
    vectors = torch.from_numpy(steerings).to(model.device)
    columns = [range(len(vectors))] if block is None else [range(one, one + 1) for one in range(len(vectors))]
    work = [(group, some) for group in groups(tokens, firsts, batch_tokens) for some in columns]
    found = np.empty((len(texts), len(vectors)))
    with torch.inference_mode():
        check_linear(model, tokens[0])
        offsets = unembedded(model, vectors) if block is None else None
        for number, (group, (_, some)) in enumerate(
            zip(watched([one for one, _ in work], progress), work, strict=True)
        ):
            file = state / f"texts_{number:06}.safetensors" if state else None
            if file and file.exists():
                found[np.ix_(group, some)] = read_tensors(file)[0]["values"]
                continue
            ids, begin = [tokens[index] for index in group], firsts[group[0]]
            with added(block, vectors[some[0]]):
                values = _read(model, ids, begin, sharing, batch_tokens, offsets)
            if not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise ShiftScopeError(
                    f"{texts[group[row]].where}: a steering leaves it no finite probability: lower the doses"
                )
            found[np.ix_(group, some)] = values
            if file:
                write_tensors(file, {"values": values})
    counts = np.array([len(ids) - first for ids, first in zip(tokens, firsts, strict=True)])
    return found, counts


def scored_tokens(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[Text], context: int | None
) -> tuple[list[list[int]], list[int]]:
    """Token ids of every text, and the place of the first one that reaches into its scored part.

    Raises:
        ShiftScopeError: there is none, no token before it, or more than `context` tokens; or the tokenizer cannot say
            which characters a token stands for.
    """
    if not tokenizer.is_fast:
        raise ShiftScopeError("the LM's tokenizer has no tokenizer.json, so tokens of answers cannot be told: add one")
    encoded = tokenizer([one.text for one in texts], return_offsets_mapping=True)
    firsts = []
    for one, ids, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        first = next((place for place, (_, end) in enumerate(offsets) if end > one.start), len(ids))
        first = first if one.start else max(first, 1)
        if not 0 < first < len(ids):
            raise ShiftScopeError(f"{one.where}: the text {one.text[:40]!r} has no token to score, or none before it")
        if context is not None and len(ids) > context:
            raise ShiftScopeError(f"{one.where}: the text has {len(ids)} tokens, but the LM reads at most {context}")
        firsts.append(first)
    return encoded["input_ids"], firsts


def groups(tokens: list[list[int]], firsts: list[int], batch_tokens: int) -> list[list[int]]:
    """Indices of texts whose scored parts begin at the same token, at most `batch_tokens` tokens of beginnings each."""
    found: list[list[int]] = []
    order = sorted(range(len(tokens)), key=lambda index: (firsts[index], tokens[index]))
    for first, same in groupby(order, key=firsts.__getitem__):
        budget = 0
        for beginning, texts in groupby(same, key=lambda index: tokens[index][: firsts[index]]):
            budget -= len(beginning)
            if budget < 0:
                found.append([])
                budget = max(batch_tokens - first, 0)
            found[-1].extend(texts)
    return found


def batches(tokens: list[list[int]], begin: int, batch_tokens: int) -> Iterator[list[int]]:
    """Indices from short to long, so many that they have at most `batch_tokens` tokens after `begin` once padded."""
    batch: list[int] = []
    for index in sorted(range(len(tokens)), key=lambda index: len(tokens[index])):
        if batch and (len(batch) + 1) * (len(tokens[index]) - begin) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    yield batch


def _read(
    model: "PreTrainedModel",
    tokens: list[list[int]],
    begin: int,
    sharing: bool,
    batch_tokens: int,
    offsets: "torch.Tensor | None",
) -> np.ndarray:
    """Summed log-probabilities `[n, S]` of the tokens from `begin` on, of texts that all have the same `begin`.

    Texts are padded on the right, where no token that counts can see it.
    """
    import torch
    from transformers.cache_utils import DynamicCache

    decoder, split = model.get_decoder(), begin - 1 if sharing else 0
    beginnings = sorted({tuple(ids[:split]) for ids in tokens})
    place = {beginning: row for row, beginning in enumerate(beginnings)}
    kept = None
    if split:
        kept = DynamicCache(config=decoder.config)
        ids = torch.tensor(beginnings, device=model.device)
        final_states(decoder, ids, ids, kept)
    values = np.zeros((len(tokens), 1 if offsets is None else len(offsets)))
    for batch in batches(tokens, split, batch_tokens):
        length = max(len(tokens[index]) for index in batch)
        ids = torch.tensor(
            [[*tokens[i], *[tokens[i][-1]] * (length - len(tokens[i]))] for i in batch], device=model.device
        )
        cache = None
        if kept is not None:
            cache = copy.copy(kept)
            cache.layers = [copy.copy(part) for part in kept.layers]  # reading on replaces tensors, it changes none
            cache.batch_select_indices(
                torch.tensor([place[tuple(tokens[i][:split])] for i in batch], device=model.device)
            )
        states = final_states(decoder, ids[:, split:], ids, cache)
        rows, places = np.array(
            [(row, at) for row, index in enumerate(batch) for at in range(begin, len(tokens[index]))]
        ).T  # fmt: skip
        predicting = states[torch.from_numpy(rows), torch.from_numpy(places - 1 - split)]
        found = next_token(model, predicting, ids[torch.from_numpy(rows), torch.from_numpy(places)], offsets)
        np.add.at(values, np.array(batch)[rows], found)
    return values


def next_token(
    model: "PreTrainedModel", states: "torch.Tensor", targets: "torch.Tensor", offsets: "torch.Tensor | None"
) -> np.ndarray:
    """Log-probability of each target `[N]` after the state `[N, d]`, under each offset of the logits `[S, V]`: `[N, S]`.

    With E = exp(l - max l) and M = exp(u - max u), all normalisers log Σ exp(l + u) come from the one product E Mᵀ, in
    float64: it can hold neither overflow nor, below a difference of 700 nats, nothing at all.
    """
    import torch

    head = model.get_output_embeddings()
    if offsets is None:
        offsets = torch.zeros(1, 1, dtype=torch.float64, device=states.device).expand(1, head.weight.shape[0])
    highest = offsets.max(1).values
    factors = torch.exp(offsets - highest[:, None]).T
    found = []
    for some, wanted in zip(states.split(POSITIONS), targets.split(POSITIONS), strict=True):
        logits = head(some).double()
        top = logits.max(1, keepdim=True).values
        normaliser = torch.log(torch.exp(logits - top) @ factors) + top + highest
        found.append(logits.gather(1, wanted[:, None]) + offsets[:, wanted].T - normaliser)
    return torch.cat(found).cpu().numpy()


def unembedded(model: "PreTrainedModel", vectors: "torch.Tensor") -> "torch.Tensor":
    """What vectors `[S, d]` add to the logits if they are added after the final norm, float64 `[S, V]`."""
    return vectors.double() @ model.get_output_embeddings().weight.double().T


def check_linear(model: "PreTrainedModel", ids: list[int]) -> None:
    """Compare the model's own logits of a text with its unembedding times its final norm.

    Raises:
        ShiftScopeError: they differ, so the model caps or scales its logits.
    """
    import torch

    read = torch.tensor([ids], device=model.device)
    own = model(input_ids=read).logits.double()
    ours = model.get_output_embeddings()(final_states(model.get_decoder(), read, read, None)).double()
    if float((own - ours).abs().max()) > 1e-2 * float(own.abs().max()):
        raise ShiftScopeError(
            "this LM's logits are not its unembedding times its final norm (they are capped or scaled): "
            "its behaviour cannot be measured; remove the dataset from `behaviour` or use another LM"
        )
