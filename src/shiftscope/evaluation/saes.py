"""All metrics of the autoencoders of one store: on held-out tokens, in the language model, against known concepts, on words."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shiftscope.activations.agreement import check_models, check_origins, check_store, check_windows, check_words
from shiftscope.activations.patched import Patched
from shiftscope.activations.store import AGAIN, Chunk, Store
from shiftscope.activations.windows import NOWHERE, Windows, WindowsFacts
from shiftscope.evaluation.base import (
    RANDOM_DICTIONARIES,
    Row,
    Trained,
    common,
    described,
    few_at_a_time,
    random_directions,
    scored_codes,
    step_of,
)
from shiftscope.evaluation.dictionary import token_rows
from shiftscope.evaluation.pcc import evaluate_words
from shiftscope.files import check_sha256, read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.lms.base import read_manifest
from shiftscope.metrics import correlation, dictionary
from shiftscope.pair_embeddings import PairEmbeddings, read_embeddings
from shiftscope.variants.base import decode

if TYPE_CHECKING:
    from transformers import PreTrainedModel
logger = logging.getLogger(__name__)

CE_TOKENS = 512
"""held-out tokens on which the language model is run with reconstructions"""
SAMPLE = 8192
"""activations of the training stream from which principal directions and linear readouts are estimated"""
TOKENS = 4096
"""held-out tokens that are compared with the concepts of their documents"""


class SaeSlice(Strict):
    """The slice of the config of an evaluation of autoencoders: where the store is read, and how its language model is loaded."""

    lm: str
    layer: str
    dataset: str
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None = None


def check_inputs(
    params: SaeSlice, store: Store, lm_manifest: Path, windows: Path, windows_manifest: Path, documents: Path,
    sidecars: list[Path],
) -> None:  # fmt: skip
    """See that what is measured belongs together, before a model is loaded.

    Raises:
        ShiftScopeError: the store is another than its folder says, or its language model, windows, corpus or autoencoders
            are not those that it names.
    """
    check_store(store, params.lm, params.layer, params.dataset)
    packed: WindowsFacts = read_json(windows_manifest)
    check_origins(store.facts, read_manifest(lm_manifest.parent), packed, [lm_manifest, windows_manifest])
    check_windows(windows, packed)
    check_sha256(documents, store.facts["corpus_sha256"], str(documents), f"the store is of another corpus; {AGAIN}")
    check_models(store, sidecars)


def read_words(store: Store, files: Iterable[tuple[Path, Path]]) -> list[PairEmbeddings]:
    """Embeddings of words, of their file and its manifest each, as they were read where the store was.

    Raises:
        ShiftScopeError: another language model read them, or at another layer.
    """
    words = []
    for path, manifest in files:
        words.append(read_embeddings(path, manifest))
        check_words(store, words[-1], manifest)
    return words


def evaluate(
    store: Store, trained: list[Trained], words: list[PairEmbeddings], lm: PreTrainedModel, windows: Windows,
    documents: Path, batch_tokens: int,
) -> list[Row]:  # fmt: skip
    """Rows of every model, and of what no training made.

    Args:
        store: the activations that they were trained on, and held-out ones.
        trained: all variants.
        words: datasets of words whose concepts are known, as the same language model embeds them.
        lm: the language model.
        windows: held-out windows.
        documents: the corpus.
        batch_tokens: tokens that the language model reads at a time.
    """
    dataset, twin = store.facts["dataset"], store.facts["untrained_of"]
    base = common(store, dataset, "test")
    found = [*token_rows(trained, (chunk.activations for chunk in few_at_a_time(store, "test")))]
    if not twin:
        found += ce_rows(store, trained, lm, windows, batch_tokens)
        found += truth_rows(store, trained, documents)
    rows = [base | row for row in found if not (twin and ("step" in row or row.get("control")))]
    sample = first_rows(store, "train", SAMPLE).activations
    for data in words:
        rows += evaluate_words(data, dataset, trained, sample)
    return rows


def ce_rows(
    store: Store, trained: list[Trained], lm: PreTrainedModel, windows: Windows, batch_tokens: int
) -> Iterator[Row]:
    """What the language model keeps of its cross-entropy when reconstructions take the place of activations.

    Of the setting of each variant that tables show, and of its untrained models of the first seed: each is a pass.
    """
    layer = store.facts["layer"]
    some = Windows(*(column[: max(1, CE_TOKENS // windows.token.shape[1])] for column in windows))
    mean = first_rows(store, "train", SAMPLE).activations.mean(0)
    patched = Patched(lm, layer, some, batch_tokens)
    clean = patched.cross_entropy(None)
    without = {
        dictionary.CE_RECOVERED: patched.cross_entropy(np.zeros_like),
        dictionary.CE_RECOVERED_MEAN: patched.cross_entropy(lambda states: np.broadcast_to(mean, states.shape).copy()),
    }
    logger.info("cross-entropy %.3f nats on %d tokens; with nothing in the place of activations %.3f, with their mean %.3f",
                clean, (some.document != NOWHERE).sum(), *without.values())  # fmt: skip
    worth = {metric: ablated for metric, ablated in without.items() if ablated > clean}
    if len(worth) < len(without):
        logger.warning(
            "next tokens are no harder to predict without the activations at %s (%.3f nats with them), so there is no "
            "cross-entropy to recover: it is left out", layer, clean,
        )  # fmt: skip
    if not worth:
        return
    for one, model in ((each, model) for each in trained for model in each.models if model.setting == each.chosen):
        at = step_of(one, model)
        if "step" in at or (at and model.seed != one.models[0].seed):
            continue

        def reconstructed(states: np.ndarray, one: Trained = one, arrays: dict = model.arrays) -> np.ndarray:
            return decode(arrays, one.variant.encode(arrays, states))

        value = patched.cross_entropy(reconstructed)
        for metric, ablated in worth.items():
            kept = dictionary.ce_recovered(clean, value, ablated)
            yield described(one, model) | at | {"metric": metric.name, "value": kept}


def truth_rows(store: Store, trained: list[Trained], documents: Path) -> Iterator[Row]:
    """MCC of codes of held-out tokens with the concepts of their documents, where the corpus tells these.

    A token may come before its document has told a concept: what is linearly readable stands beside as the ceiling.
    """
    concepts = read_parquet(documents)
    names = [name for name in concepts.column_names if name not in ("text", "source")]
    if not names:
        return
    test, train = first_rows(store, "test", TOKENS), first_rows(store, "train", SAMPLE)
    columns = [np.asarray(concepts[name].combine_chunks().dictionary_encode().indices) for name in names]
    one_hot = np.concatenate([np.eye(column.max() + 1, dtype=np.float32)[column] for column in columns], axis=1)
    truth, known = one_hot[test.document], one_hot[train.document]

    def row(codes: np.ndarray) -> Row:
        return {"metric": dictionary.MCC_DOCUMENTS.name, "value": correlation.mcc(codes, truth)}

    for one, model in ((each, model) for each in trained for model in each.models):
        if "step" in step_of(one, model):
            continue
        for scored in scored_codes(one, model, test.activations):
            yield scored.described | step_of(one, model) | row(scored.codes)
    ceiling = correlation.readability(train.activations, known, test.activations, truth)
    yield {"metric": dictionary.MCC_DOCUMENTS.name, "value": ceiling, "control": "ceiling", "codes": 0}
    yield row(test.activations) | {"control": "neurons", "codes": 0}
    for size in sorted({one.n_codes for one in trained}):
        for seed in range(RANDOM_DICTIONARIES):
            codes = test.activations @ random_directions(size, seed, 0, store.d).T.astype(np.float32)
            yield row(codes) | {"control": "random_dictionary", "seed": seed, "codes": size}


def first_rows(store: Store, split: str, most: int) -> Chunk:
    """The first vectors of a split, at most so many: a random sample, for so they are stored."""
    chunks, count = [], 0
    for chunk in store.chunks(split):
        chunks.append(Chunk(*(column[: most - count] for column in chunk)))
        count += len(chunks[-1].token)
        if count == most:
            break
    return Chunk(*(np.concatenate(columns) for columns in zip(*chunks, strict=True)))
