"""Describe the latents of one store's sparse autoencoders that were matched to concepts: a card each."""

from pathlib import Path

from shiftscope.activations.model import load
from shiftscope.activations.store import Store
from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.card_file import write_cards
from shiftscope.evaluation.cards import describe
from shiftscope.evaluation.saes import SaeSlice
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.workflow.job import run


def main(
    manifest: Path,
    windows: Path,
    windows_manifest: Path,
    lm_manifest: Path,
    weights: list[Path],
    sidecars: list[Path],
    embeddings: list[Path],
    embeddings_manifests: list[Path],
    cards: Path,
    params: SaeSlice,
) -> None:
    store = Store(manifest)
    trained = read_trained(weights, sidecars)[store.facts["dataset"]]
    words = [read_embeddings(*files) for files in zip(embeddings, embeddings_manifests, strict=True)]
    model, tokenizer = load(lm_manifest.parent, params.dtype, params.device_map)
    write_cards(
        cards, describe(store, trained, words, model, tokenizer, windows, windows_manifest, params.batch_tokens)
    )


if __name__ == "__main__":
    run(main)
