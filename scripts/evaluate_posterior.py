"""Compare the representations of a language model, at every layer and checkpoint, with what its grammar says of concepts."""

from pathlib import Path

from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.posterior import PosteriorSlice, evaluate
from shiftscope.workflow.job import run


def main(
    lm_manifest: Path, corpus_manifest: Path, part: Path, params: PosteriorSlice, twin: Path | None = None
) -> None:
    """`twin` is the manifest of the untrained twin, if there is one."""
    write_part(part, evaluate(params, lm_manifest.parent, corpus_manifest, twin and twin.parent))


if __name__ == "__main__":
    run(main)
