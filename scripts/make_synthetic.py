"""Draw synthetic pairs with known concepts: embeddings, shifts and truth of every data seed in one file."""

from pathlib import Path

from shiftscope import kinds
from shiftscope.synthetic.base import SyntheticSlice, write_synthetic
from shiftscope.workflow.job import run


def main(embeddings: Path, manifest: Path, params: SyntheticSlice) -> None:
    law = kinds.load("synthetic", params.kind)(**params.params)
    write_synthetic(law, params.dataset, params.kind, embeddings, manifest)


if __name__ == "__main__":
    run(main)
