"""The embeddings of text pairs: the last token's activation of both texts, at one or several layers."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shiftscope.activations.last_token import embed_layers, last_token_ids
from shiftscope.activations.layers import check_layers
from shiftscope.activations.model import check_room, load
from shiftscope.errors import ShiftScopeError, warnings_of
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.lms._tokenizer import check_token_ids
from shiftscope.lms.base import read_manifest
from shiftscope.odd_pairs import odd_pairs, warning
from shiftscope.pair_embeddings import EmbeddingFacts, labels, write_embeddings
from shiftscope.vocabulary import SPLITS, DatasetFacts

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)
ROUNDED = 16
"""pairs of which the rounding of 16-bit types is measured"""
MOST_ROUNDED = 0.02
"""share of a shift from which on its rounding is warned of"""


class EmbedSlice(Strict):
    """The slice of the config of embeddings; `layer` is the LM's main one."""

    lm: str
    trained_on: dict[str, bool]
    """for each dataset, whether anything is trained on its pairs, so that odd ones are left out of training"""
    layer: str
    token: Literal["last"]
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None = None


def embed_pairs(
    asked: EmbedSlice,
    layers: Sequence[str],
    pairs: Sequence[tuple[Path, Path]],
    lm: Path,
    files: Sequence[tuple[Path, Path]],
    state: Path,
) -> None:
    """Read both texts of every pair and write what each layer has at their last tokens; the LM is loaded once.

    Args:
        asked: how to read.
        layers: which of the LM's layers.
        pairs: of each dataset the pairs' Parquet file and its manifest.
        lm: the LM's folder.
        files: to write, embeddings and their manifest: of the first dataset one per layer, then of the second.
        state: folder of what is done so far; removed in the end.
    """
    about_lm = read_manifest(lm)
    check_layers(layers, about_lm["n_layers"])
    model, tokenizer = load(lm, asked.dtype, asked.device_map)
    for number, (source, about_source) in enumerate(pairs):
        facts: DatasetFacts = read_json(about_source)
        table = read_parquet(source)
        written = files[number * len(layers) : (number + 1) * len(layers)]
        with warnings_of(facts["dataset"]):
            texts = read_texts(table, facts, tokenizer)
            check_token_ids(lm, tokenizer, dict.fromkeys(texts))
            rows, last = _read(asked, layers, model, tokenizer, texts, source, state / facts["dataset"])
            if asked.dtype != "float32":
                say_rounding(lm, asked, {layer: rows[layer] for layer in layers}, texts)
            for layer, (file, manifest) in zip(layers, written, strict=True):
                about = {"lm": asked.lm, "untrained_of": about_lm["untrained_of"], "layer": layer, "token": asked.token, "dtype": asked.dtype}  # fmt: skip
                _write(file, manifest, table, rows[layer], last, facts, about, asked.trained_on[facts["dataset"]])
    shutil.rmtree(state, ignore_errors=True)


def read_texts(table: pa.Table, facts: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What a language model reads of a table of pairs: all first texts, then all second ones.

    Chat messages are joined by the model's own template, up to the end of the last message: what a template puts behind it, to end the
    turn, is the same whatever was said. It often begins with the token that the tokenizer puts before every text anyway, which is then
    left out.

    Raises:
        ShiftScopeError: texts are chat messages, and the model has no template for them.
    """
    texts = [*table["text_0"].to_pylist(), *table["text_1"].to_pylist()]
    if not facts.get("chat"):
        return texts
    if not tokenizer.chat_template:
        raise ShiftScopeError(
            "the texts are chat messages, and this language model has no chat template: use a model that was trained to chat, or "
            "give the texts as plain text"
        )
    joined = [_joined(tokenizer, json.loads(text), row % len(table)) for row, text in enumerate(texts)]
    begin = tokenizer.bos_token if tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id] else ""
    return [text.removeprefix(begin or "") for text in joined]


def _joined(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], row: int) -> str:
    from jinja2.exceptions import TemplateError

    try:
        joined = tokenizer.apply_chat_template(messages, tokenize=False)
        last = messages[-1]["content"].strip()
        place = joined.rfind(last) if last else -1
        return joined if place < 0 else joined[: place + len(last)]
    except (TemplateError, ValueError, KeyError, TypeError) as error:
        roles = ", ".join(message["role"] for message in messages)
        raise ShiftScopeError(
            f"row {row} of the pairs: the model's chat template refuses its messages, of {roles} ({error}): give roles as the model "
            "was trained on them, mostly user and assistant in turn"
        ) from error


def say_rounding(lm: Path, asked: EmbedSlice, rows: Mapping[str, np.ndarray], texts: Sequence[str]) -> None:
    """Say how much of a shift is rounding: the same activations in float32, of a few pairs, where that fits into the memory.

    A shift is the difference of two vectors that are nearly equal, so that what 16 bits round off is a larger share of it.
    """
    half = len(texts) // 2
    some = np.linspace(0, half - 1, min(ROUNDED, half)).astype(int)
    try:
        check_room(lm)
        model, tokenizer = load(lm, "float32", asked.device_map)
    except ShiftScopeError as error:
        logger.warning("how much of a shift is rounding in %s was not measured: %s", asked.dtype, error)
        return
    exact = embed_layers(model, tokenizer, [texts[one] for one in [*some, *(some + half)]], list(rows), batch_tokens=asked.batch_tokens)  # fmt: skip
    for layer, found in rows.items():
        true = exact[layer][len(some) :] - exact[layer][: len(some)]
        off = np.linalg.norm(found[some + half] - found[some] - true, axis=1)
        share = off / np.maximum(np.linalg.norm(true, axis=1), 1e-30)
        say = logger.warning if np.median(share) > MOST_ROUNDED else logger.info
        say(
            "in %s %.0f %% of a shift at %s is rounding in the median of %d pairs, %.0f %% at worst: with `dtype: float32` none is",
            asked.dtype, 100 * np.median(share), layer, len(some), 100 * share.max(),
        )  # fmt: skip


def _read(
    asked: EmbedSlice,
    layers: Sequence[str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    source: Path,
    state: Path,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """By layer the activations of `texts` `[2n, d]`, first texts before second, and their last tokens `[2, n]`."""
    half = len(texts) // 2
    rows = embed_layers(
        model,
        tokenizer,
        texts,
        layers,
        batch_tokens=asked.batch_tokens,
        state=state,
        progress=f"{asked.lm} reads {state.name}",
        name=lambda index: f"{source} row {index % half}, text_{index // half}",
    )
    return rows, last_token_ids(tokenizer, texts).reshape(2, -1)


def _write(
    file: Path,
    manifest: Path,
    table: pa.Table,
    rows: np.ndarray,
    last: np.ndarray,
    facts: DatasetFacts,
    about: dict[str, Any],
    trained_on: bool,
) -> None:
    """Write a layer's rows `[2n, d]`, those of first texts before those of second; `last` `[2, n]` are last tokens."""
    common = labels(table, facts["truths"])
    sides = {"embedding_0": rows[None, : len(table)], "embedding_1": rows[None, len(table) :]}
    shifts, training = sides["embedding_1"][0] - sides["embedding_0"][0], common["split"] == SPLITS.index("train")
    odd = odd_pairs(shifts, training & trained_on, last)
    if trained_on and (said := warning(odd, shifts, training)):
        logger.warning("%s", said)
    sides["odd"] = odd.both[None]
    about |= {"shape": list(sides["embedding_0"].shape), "odd": int(odd.both.sum())}
    write_embeddings(file, manifest, common | sides, EmbeddingFacts(**(facts | about)), about)
