"""Texts as token ids, and the batches in which a language model reads them."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOG_LINES = 15


def tokenize(
    tokenizer: "PreTrainedTokenizerBase", texts: list[str], context: int | None, where: list[str]
) -> list[list[int]]:
    """Token ids of every text, with the special tokens that the model expects before it, and none after it.

    What a tokenizer appends (an end-of-text token) is left out, so that the last token is the text's own. In a causal
    language model that changes no activation before it.

    Raises:
        ShiftScopeError: a text has no token of its own, or more than `context` tokens.
    """
    empty = tokenizer("")["input_ids"]
    tokens = tokenizer(texts)["input_ids"]
    appended = tokens_after(tokenizer)
    if appended:
        names = " ".join(tokenizer.convert_ids_to_tokens(appended))
        logger.info("the tokenizer ends every text with %s: left out, so that the last token is the text's own", names)
    for text, ids, place in zip(texts, tokens, where, strict=True):
        if not ids or ids == empty:
            raise ShiftScopeError(f"{place}: the text {text!r} has no tokens: remove the row or write a text")
        if context is not None and len(ids) - len(appended) > context:
            raise ShiftScopeError(
                f"{place}: the text {text[:40]!r}… has {len(ids)} tokens, but the LM reads at most {context}: shorten it"
            )
    tokens = [ids[: len(ids) - len(appended)] for ids in tokens]
    _warn_of_two_beginnings(tokenizer, tokens)
    alone = sum(len(ids) == 1 for ids in tokens)
    if alone:
        logger.warning(
            "%d texts are one token with nothing before it: at its first position many an LM writes a large vector that "
            "hardly depends on the token, so a `template` that puts words before the text may say more",
            alone,
        )
    return tokens


def _warn_of_two_beginnings(tokenizer: "PreTrainedTokenizerBase", tokens: list[list[int]]) -> None:
    """Say that texts begin with two beginning tokens: the tokenizer puts one before every text, and a template may, too."""
    begin = tokenizer.bos_token_id
    twice = sum(ids[:2] == [begin, begin] for ids in tokens) if begin is not None else 0
    if twice:
        logger.warning(
            "%d texts begin with two beginning tokens %s, one from the tokenizer and one from the text or its template, which the "
            "model never saw in training: take it out of the `template`",
            twice, tokenizer.bos_token,
        )  # fmt: skip


def tokens_after(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The special tokens that a tokenizer puts behind every text.

    Raises:
        ShiftScopeError: they cannot be told apart from the text's own tokens.
    """
    probe = "a b c"
    whole = tokenizer(probe)["input_ids"]
    bare = tokenizer(probe, add_special_tokens=False)["input_ids"]
    for start in reversed(range(len(whole) - len(bare) + 1)):
        if whole[start : start + len(bare)] == bare:
            return whole[start + len(bare) :]
    raise ShiftScopeError(
        f"the tokenizer reads {probe!r} as {whole} and without special tokens as {bare}: which is the text's last token "
        "cannot be told; use a model with another tokenizer"
    )


def context_length(model: "PreTrainedModel") -> int | None:
    """How many tokens the model can read, None if its positions have no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def batches_of_equal_length(tokens: list[list[int]], batch_tokens: int) -> list[list[int]]:
    """Indices in groups of one length, each of at most `batch_tokens` tokens and at least one text.

    Shortest first, then in the order of the token ids, which puts texts with the same beginning next to each other.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(tokens)), key=lambda index: (len(tokens[index]), tokens[index])):
        length = len(tokens[index])
        if batches and len(tokens[batches[-1][0]]) == length and (len(batches[-1]) + 1) * length <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


@contextmanager
def fitting(tokens: int) -> Iterator[None]:
    """Say what to do if a batch of `tokens` does not fit into the memory.

    Raises:
        ShiftScopeError: it does not.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ShiftScopeError(
            f"a batch of {tokens} tokens does not fit into the GPU's memory beside the LM: lower batch_tokens, or give the "
            "LM a 16-bit dtype or `device_map: auto`"
        ) from error


def watched(batches: list[list[int]], label: str) -> Iterator[list[int]]:
    """Yield the batches under a progress bar on a terminal, else with a line in the log now and then."""
    from tqdm import tqdm

    total = sum(map(len, batches))
    done, told = 0, time.monotonic()
    with tqdm(total=total, desc=label, unit="text") as bar:
        for batch in batches:
            yield batch
            done += len(batch)
            bar.update(len(batch))
            if time.monotonic() - told > SECONDS_BETWEEN_LOG_LINES:
                told = time.monotonic()
                logger.info("%s: %d of %d texts", label, done, total)
    logger.info("%s: %d texts in %d batches", label, total, len(batches))
