"""Which modules of this project a script loads: they are inputs of its rule, so code counts by content."""

import ast
import functools
from pathlib import Path

PACKAGE = "shiftscope"


@functools.cache
def imports(path: Path, source: Path) -> frozenset[Path]:
    """The files of the package `source`/shiftscope that the Python file `path` imports, at any depth of its text.

    Imports inside functions count, and so do relative ones and every `__init__` on the way to a module.
    """
    names = set()
    parts = path.with_suffix("").relative_to(source).parts if path.is_relative_to(source) else ()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # `from . import x` in a/b/c.py means a.b, and so does it in a/b/__init__.py
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(file for name in names for file in files_of_module(name, source))


def files_of_module(name: str, source: Path) -> list[Path]:
    """The files that importing the dotted `name` runs: its packages' `__init__` files and, where it exists, its own.

    A name outside the package, or an attribute of a module, has no file of its own and adds none.
    """
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return []
    folders = [source.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    files = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return [file for file in files if file.is_file()]


def code_of(script: Path, modules: list[str], source: Path) -> list[Path]:
    """`script` first, then, sorted, every project file that it or one of the dotted `modules` loads.

    `modules` are those that the script imports by a computed name, such as the variant that it trains.
    """
    found: set[Path] = set()
    todo = [script, *(file for module in modules for file in files_of_module(module, source))]
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += imports(file, source)
    return [script, *sorted(found - {script})]
