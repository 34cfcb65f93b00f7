"""Compare the directions in which concepts change with the probes that read them, of one language model's words: metrics."""

from pathlib import Path

from shiftscope.evaluation.identity import IdentitySlice, evaluate
from shiftscope.evaluation.parts import write_part
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.workflow.job import run


def main(embeddings: Path, manifest: Path, part: Path, params: IdentitySlice) -> None:
    write_part(part, evaluate(read_embeddings(embeddings, manifest), params.of, params.step))


if __name__ == "__main__":
    run(main)
