"""Embed both texts of every pair with a language model: the last token's activation, at one or several layers."""

from pathlib import Path

from shiftscope.activations.pairs import EmbedSlice, embed_pairs
from shiftscope.workflow.job import run, state_folder


def main(
    pairs: Path,
    pairs_manifest: Path,
    lm_manifest: Path,
    layers: list[str],
    embeddings: list[Path],
    manifest: list[Path],
    params: EmbedSlice,
) -> None:
    state = state_folder(params, [pairs, pairs_manifest, lm_manifest], more=layers)
    embed_pairs(params, layers, pairs, pairs_manifest, lm_manifest.parent, embeddings, manifest, state)


if __name__ == "__main__":
    run(main)
