"""Measure every sparse autoencoder of one store of activations: one part of the long-form metrics."""

from pathlib import Path

from shiftscope.activations.model import load
from shiftscope.activations.store import Store
from shiftscope.activations.windows import read_held_out
from shiftscope.evaluation.base import read_trained
from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.saes import SaeSlice, check_inputs, evaluate, read_words
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
    part: Path,
    params: SaeSlice,
) -> None:
    store = Store(manifest)
    check_inputs(params, store, lm_manifest, windows, windows_manifest, documents, sidecars)
    words = read_words(store, zip(embeddings, embeddings_manifests, strict=True))
    trained = read_trained(weights, sidecars)[params.dataset]
    model, _ = load(lm_manifest.parent, params.dtype, params.device_map)
    held_out = read_held_out(windows, windows_manifest)
    write_part(part, evaluate(store, trained, words, model, held_out, documents, params.batch_tokens))


if __name__ == "__main__":
    run(main)
