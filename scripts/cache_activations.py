"""Cache a language model's activation of every token of a part of a corpus, at one or several layers."""

from pathlib import Path

from shiftscope.activations.every_token import CacheSlice, cache_part, places_of
from shiftscope.workflow.job import run, state_folder


def main(
    windows: Path,
    windows_manifest: Path,
    lm_manifest: Path,
    layers: list[str],
    shards: list[Path],
    manifests: list[Path],
    params: CacheSlice,
) -> None:
    """`shards` are those of the first layer, then those of the next; `manifests` are one for each layer."""
    state = state_folder(params, [windows_manifest, lm_manifest], more=layers)
    cache_part(params, places_of(layers, shards, manifests), windows, windows_manifest, lm_manifest.parent, state)


if __name__ == "__main__":
    run(main)
