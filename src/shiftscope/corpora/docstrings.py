"""The documentation of the Python packages that the environment has: real English prose, without a download.

A docstring is a document, as `inspect.cleandoc` leaves it, with the examples of code in it: they are what such text looks
like, and none of the dialects of markup need be parsed. Documents stand in the order of `packages`, then of files by
name, then of lines. Only the packages' own Python files are read, never run: so the same versions give the same bytes on
every machine. Files of tests are left out, for they document nothing.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from shiftscope.corpora._text import Batch, Item, TextCorpus, in_batches
from shiftscope.errors import ShiftScopeError

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
HOLDERS = ast.stmt | ast.ExceptHandler | ast.match_case
"""nodes in which something documented may stand"""
TESTS = {"test", "tests", "testing", "conftest.py"}
"""folders and files that are there for tests"""


class Docstrings(TextCorpus):
    """`packages`: as the package index calls them; `least`: characters that a docstring must have to be a document.

    Packages copy docstrings from class to class, so duplicates are left out.
    """

    packages: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "scikit-learn", "scipy", "pandas", "networkx", "matplotlib", "numpy", "datasets", "huggingface_hub", "pydantic",
        "accelerate", "snakemake", "dvc", "sympy", "transformers",
    )  # fmt: skip
    least: int = Field(200, ge=1)

    def versions(self) -> dict[str, str]:
        """The version of each package.

        Raises:
            ShiftScopeError: one is not installed; names it.
        """
        return {package: _installed(package).version for package in self.packages}

    def batches(self, after: int | None) -> Iterator[Batch]:
        """The docstrings behind the first `after`: to find them again takes seconds a package.

        Raises:
            ShiftScopeError: a package has no Python files that can be read.
        """
        seen = after or 0
        items = (item for package in self.packages for item in _documentation(package, self.least))
        for batch in in_batches(itertools.islice(items, seen, None)):
            seen += len(batch)
            yield batch, seen


def _installed(package: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise ShiftScopeError(
            f"the package {package}, whose documentation the corpus is to hold, is not installed: `make install`, or leave it "
            "out of `packages`"
        ) from error


def _documentation(package: str, least: int) -> Iterator[Item]:
    installed = _installed(package)
    files = sorted({PurePosixPath(file) for file in installed.files or () if file.suffix == ".py"})
    files = [file for file in files if not {*TESTS, ".."} & set(file.parts)]  # commands lie outside
    if not files:
        raise ShiftScopeError(
            f"the package {package} has no Python files of its own (is it installed from a folder?): leave it out of `packages`"
        )
    for file in files:
        try:
            yield from _docstrings(str(file), installed.locate_file(file).read_bytes(), least)
        except OSError as error:
            yield Item(str(file), None, "", f"cannot be read ({error.strerror})")
        except (SyntaxError, ValueError) as error:
            yield Item(str(file), None, "", f"not Python ({error})")


def _docstrings(source: str, code: bytes, least: int) -> Iterator[Item]:
    """Of a module, of its classes and functions, and of what is defined in them, by line.

    Raises:
        SyntaxError: this version of Python cannot read the file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in other people's code
        todo: list[ast.AST] = [ast.parse(code)]
    found: list[tuple[int, str]] = []
    while todo:
        node = todo.pop()
        todo += [child for child in ast.iter_child_nodes(node) if isinstance(child, HOLDERS)]
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node, clean=False)):
            clean = "\n".join(line.rstrip() for line in inspect.cleandoc(text).split("\n"))
            found += [(node.body[0].lineno, clean)] * (len(clean) >= least)
    yield from (Item(source, line, text) for line, text in sorted(found))
