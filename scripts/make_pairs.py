"""Build one pair dataset: its pairs, split and turned, the rows that were left out, and a manifest."""

from importlib import import_module
from pathlib import Path

from shiftscope.errors import ShiftScopeError
from shiftscope.job import run
from shiftscope.pairs._words import word_files
from shiftscope.pairs._write import write_pairs


def main(pairs: Path, rejected: Path, manifest: Path, words: list[Path], params: dict) -> None:
    """`params` holds the dataset's name, its kind (a module of shiftscope.pairs) and that module's own params."""
    if {path.resolve() for path in words} != set(word_files(params["kind"])):
        names = ", ".join(map(str, word_files(params["kind"]))) or "none"
        raise ShiftScopeError(f"--words must name the word lists of {params['kind']}, which are: {names}")
    module = import_module(f"shiftscope.pairs.{params['kind']}")
    built = module.build(module.Params(**params["params"]))
    write_pairs(built, params["dataset"], params["kind"], pairs, rejected, manifest)


if __name__ == "__main__":
    run(main)
