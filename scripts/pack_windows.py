"""Pack a corpus into windows of equal length, as one language model's tokenizer reads it."""

from pathlib import Path

from shiftscope.activations.windows import WindowsSlice, write_windows
from shiftscope.workflow.job import run


def main(
    documents: Path, corpus_manifest: Path, lm_manifest: Path, windows: Path, manifest: Path, params: WindowsSlice
) -> None:
    write_windows(params, documents, corpus_manifest, lm_manifest.parent, windows, manifest)


if __name__ == "__main__":
    run(main)
