"""The embeddings of text pairs: the last token's activation of both texts, at one or several layers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from shiftscope.activations.last_token import embed_layers, last_token_ids
from shiftscope.activations.layers import check_layers
from shiftscope.activations.model import load
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.lms.base import read_manifest
from shiftscope.odd_pairs import odd_pairs, warning
from shiftscope.pair_embeddings import EmbeddingFacts, labels, write_embeddings
from shiftscope.vocabulary import SPLITS, DatasetFacts

logger = logging.getLogger(__name__)


class EmbedSlice(Strict):
    """The slice of the config of embeddings; `layer` is the LM's main one."""

    lm: str
    dataset: str
    layer: str
    token: Literal["last"]
    trained_on: bool = True
    """whether anything is trained on these pairs, so that odd ones are left out of training"""
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None = None


def embed_pairs(
    asked: EmbedSlice,
    layers: Sequence[str],
    pairs: Path,
    pairs_manifest: Path,
    lm: Path,
    embeddings: Sequence[Path],
    manifests: Sequence[Path],
    state: Path,
) -> None:
    """Read both texts of every pair and write what each layer has at their last tokens.

    Args:
        asked: how to read.
        layers: which of the LM's layers, in the order of `embeddings` and `manifests`.
        pairs: the pairs' Parquet file, `pairs_manifest` its manifest.
        pairs_manifest: see `pairs`.
        lm: the LM's folder.
        embeddings: files to write, one per layer.
        manifests: their manifests.
        state: folder of what is done so far; removed in the end.
    """
    facts: DatasetFacts = read_json(pairs_manifest)
    about_lm = read_manifest(lm)
    check_layers(layers, about_lm["n_layers"])
    table = read_parquet(pairs)
    model, tokenizer = load(lm, asked.dtype, asked.device_map)
    texts = [*table["text_0"].to_pylist(), *table["text_1"].to_pylist()]
    rows = embed_layers(
        model,
        tokenizer,
        texts,
        layers,
        batch_tokens=asked.batch_tokens,
        state=state,
        progress=f"{asked.lm} reads {asked.dataset}",
        name=lambda index: f"{pairs} row {index % len(table)}, text_{index // len(table)}",
    )
    common = labels(table, facts["truths"])
    training, last = common["split"] == SPLITS.index("train"), last_token_ids(tokenizer, texts).reshape(2, -1)
    for layer, file, manifest in zip(layers, embeddings, manifests, strict=True):
        sides = {"embedding_0": rows[layer][None, : len(table)], "embedding_1": rows[layer][None, len(table) :]}
        shifts = sides["embedding_1"][0] - sides["embedding_0"][0]
        odd = odd_pairs(shifts, training & asked.trained_on, last)
        if asked.trained_on and (said := warning(odd, shifts, training)):
            logger.warning("%s", said)
        sides["odd"] = odd.both[None]
        about = {
            "lm": asked.lm, "untrained_of": about_lm["untrained_of"], "layer": layer, "token": asked.token,
            "dtype": asked.dtype, "shape": list(sides["embedding_0"].shape), "odd": int(odd.both.sum()),
        }  # fmt: skip
        write_embeddings(file, manifest, common | sides, EmbeddingFacts(**(facts | about)), about)
    shutil.rmtree(state, ignore_errors=True)
