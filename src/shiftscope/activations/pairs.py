"""The embeddings of text pairs: the last token's activation of both texts, at one or several layers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shiftscope.activations.last_token import embed_layers, last_token_ids
from shiftscope.activations.layers import check_layers
from shiftscope.activations.model import load
from shiftscope.errors import warnings_of
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.lms.base import read_manifest
from shiftscope.odd_pairs import odd_pairs, warning
from shiftscope.pair_embeddings import EmbeddingFacts, labels, write_embeddings
from shiftscope.vocabulary import SPLITS, DatasetFacts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


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
            rows, last = _read(asked, layers, model, tokenizer, table, source, state / facts["dataset"])
            for layer, (file, manifest) in zip(layers, written, strict=True):
                about = {"lm": asked.lm, "untrained_of": about_lm["untrained_of"], "layer": layer, "token": asked.token, "dtype": asked.dtype}  # fmt: skip
                _write(file, manifest, table, rows[layer], last, facts, about, asked.trained_on[facts["dataset"]])
    shutil.rmtree(state, ignore_errors=True)


def _read(
    asked: EmbedSlice,
    layers: Sequence[str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    table: pa.Table,
    source: Path,
    state: Path,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """By layer the activations of a table's texts `[2n, d]`, first texts before second, and their last tokens `[2, n]`."""
    texts = [*table["text_0"].to_pylist(), *table["text_1"].to_pylist()]
    rows = embed_layers(
        model,
        tokenizer,
        texts,
        layers,
        batch_tokens=asked.batch_tokens,
        state=state,
        progress=f"{asked.lm} reads {state.name}",
        name=lambda index: f"{source} row {index % len(table)}, text_{index // len(table)}",
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
