"""List all parts of the activations of a corpus in one manifest."""

from pathlib import Path

from shiftscope.activations.every_token import GatherSlice, gather
from shiftscope.workflow.job import run


def main(windows_manifest: Path, parts: list[Path], lm_manifest: Path, manifest: Path, params: GatherSlice) -> None:
    gather(params, windows_manifest, parts, lm_manifest.parent, manifest)


if __name__ == "__main__":
    run(main)
