"""Embed both texts of every pair of some datasets with a language model: the last token's activation, at one or several layers."""

from pathlib import Path

from shiftscope.activations.pairs import EmbedSlice, embed_pairs
from shiftscope.workflow.job import run, state_folder


def main(
    pairs: list[Path],
    pairs_manifests: list[Path],
    lm_manifest: Path,
    layers: list[str],
    embeddings: list[Path],
    manifests: list[Path],
    params: EmbedSlice,
) -> None:
    """`embeddings` and `manifests` are those of the first dataset at all layers, then those of the second."""
    state = state_folder(params, [*pairs, *pairs_manifests, lm_manifest], more=layers)
    files = list(zip(embeddings, manifests, strict=True))
    embed_pairs(params, layers, list(zip(pairs, pairs_manifests, strict=True)), lm_manifest.parent, files, state)


if __name__ == "__main__":
    run(main)
