"""Describe the latents of one store's sparse autoencoders that were matched to concepts: a card each."""

from pathlib import Path

from shiftscope.activations.model import load
from shiftscope.activations.store import Store
from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.card_file import write_cards
from shiftscope.evaluation.cards import describe
from shiftscope.evaluation.saes import SaeSlice, check_inputs, read_words
from shiftscope.workflow.job import run


def main(
    manifest: Path,
    windows: Path,
    windows_manifest: Path,
    documents: Path,
    lm_manifest: Path,
    weights: list[Path],
    sidecars: list[Path],
    embeddings: list[Path],
    embeddings_manifests: list[Path],
    cards: Path,
    params: SaeSlice,
) -> None:
    store = Store(manifest)
    check_inputs(params, store, lm_manifest, windows, windows_manifest, documents, sidecars)
    words = read_words(store, zip(embeddings, embeddings_manifests, strict=True))
    trained = read_trained(weights, sidecars)[params.dataset]
    model, tokenizer = load(lm_manifest.parent, params.dtype, params.device_map)
    write_cards(
        cards, describe(store, trained, words, model, tokenizer, windows, windows_manifest, params.batch_tokens)
    )


if __name__ == "__main__":
    run(main)
