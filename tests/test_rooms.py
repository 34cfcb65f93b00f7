"""The laws of the house (docs/architecture.md): which room may import which, how long things may be, what is said once."""

import ast
import collections
import importlib
import inspect
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers.clone import ROOT

from shiftscope import kinds
from shiftscope.workflow.imports import code_of, imports

SOURCE = ROOT / "src"
HOUSE = SOURCE / "shiftscope"
FLOORS = (
    ("errors",), ("files", "vocabulary", "texts"), ("kinds",), ("word_lists", "downloads", "odd_pairs", "pair_embeddings", "models"),
    ("generative",), ("corpora",), ("lms",), ("activations",), ("pairs",), ("synthetic", "simulations"), ("variants",), ("training",),
    ("metrics",), ("steering",), ("evaluation",), ("tables",), ("workflow",), ("report",), ("config",),
)  # fmt: skip
"""from the ground up: a room imports rooms of lower floors alone"""
MODULES = sorted(file for file in HOUSE.rglob("*.py") if file.name != "__init__.py")
BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match)


def room(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def functions(file: Path) -> list[tuple[ast.FunctionDef, str]]:
    """Every function of a file, with the line above it."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    first = [min([node.lineno, *(one.lineno for one in node.decorator_list)]) for node in found]
    return [(node, lines[line - 2].strip() if line > 1 else "") for node, line in zip(found, first, strict=True)]


def depth(statements: list[ast.stmt]) -> int:
    """Levels of nesting; `elif` is no level of its own."""
    deepest = 0
    for node in statements:
        if isinstance(node, BLOCKS):
            parts = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
            parts += [case.body for case in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]]
            chained = len(parts[1]) == 1 and isinstance(node, ast.If) and isinstance(parts[1][0], ast.If)
            below = [depth(part) - (chained and part is parts[1]) for part in parts]
            deepest = max(deepest, 1 + max(below))
    return deepest


def test_no_arrow_of_imports_runs_back_up():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert set(floor) == {room(file) for file in HOUSE.rglob("*.py") if file.parent != HOUSE or file.stem != "__init__"}
    up = {
        (room(file), room(other))
        for file in MODULES
        for other in imports(file, SOURCE)
        if other.name != "__init__.py" and room(other) != room(file) and floor[room(other)] >= floor[room(file)]
    }
    assert up == set()


def test_no_circle_of_imports():
    graph = {
        file: {other for other in imports(file, SOURCE) if other.name != "__init__.py"} - {file} for file in MODULES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("file", [*MODULES, *sorted((ROOT / "scripts").glob("*.py"))], ids=lambda file: file.stem)
def test_no_module_and_no_function_is_long(file):
    """A function of more than 40 lines, or of more than three levels, has a comment above it that says why."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400
    for node, above in functions(file):
        body = node.body[bool(ast.get_docstring(node)) :]
        lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
        assert above.startswith("#") or (lines <= 40 and depth(body) <= 3), node.name


def test_depth_counts_levels():
    tree = ast.parse(
        "for a in b:\n  if c:\n    pass\n  elif d:\n    with e:\n      pass\ntry:\n  pass\nexcept X:\n  if y:\n    pass"
    )
    assert depth(tree.body) == 3


@pytest.mark.parametrize("file", sorted((ROOT / "scripts").glob("*.py")), ids=lambda file: file.stem)
def test_scripts_are_thin(file):
    (main,) = (node for node, _ in functions(file) if node.name == "main")
    body = main.body[bool(ast.get_docstring(main)) :]
    assert body[-1].end_lineno - body[0].lineno + 1 <= 15
    assert [node.name for node, _ in functions(file)] == ["main"]


# --- what a training depends on


def training_code(variant: str) -> set[str]:
    entry = kinds.load("variants", variant)
    named = [kinds.module_of("variants", variant), f"shiftscope.training.{entry.training}"]
    files = code_of(ROOT / "scripts/train.py", named, SOURCE)[1:]
    return {file.relative_to(HOUSE).with_suffix("").as_posix() for file in files}


@pytest.mark.parametrize("variant", kinds.names("variants"))
def test_no_edit_of_metrics_evaluation_or_tables_makes_a_training_stale(variant):
    assert not {name for name in training_code(variant) if name.split("/")[0] in ("metrics", "evaluation", "tables")}


def test_closed_form_variants_do_not_depend_on_the_constrained_trainer():
    code = {name: training_code(name) for name in kinds.names("variants")}
    closed = {name for name in code if kinds.load("variants", name).training == "closed_form"}
    assert {"pca", "ica", "mean_difference", "probe_direction", "dictionary_learning"} <= closed
    assert all("training/closed_form" in code[name] for name in closed)
    assert not any({"training/constrained", "training/checkpoint"} & code[name] for name in closed)
    assert not any("training/closed_form" in code[name] for name in code.keys() - closed)


def test_entries_import_neither_torch_nor_pandas():
    """They are read while the Snakefile is parsed, and by every job that names one."""
    entries = [kinds.module_of(package, name) for package in kinds.BASES for name in kinds.names(package)]
    entries += [kinds.module_of("tables", name) for name in kinds.names("tables", "table_*", "figure_*")]
    code = f"import sys; [__import__(name) for name in {entries!r}]; print(*({{'torch', 'pandas', 'scipy', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SOURCE)
    assert done.stdout.split() == []


# --- once


def test_a_class_has_its_name_alone():
    """One word, one meaning: no two rooms have a public class of the same name."""
    places = collections.defaultdict(list)
    for file in MODULES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(file.relative_to(HOUSE).as_posix())
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize("word, home", [
    ("get_close_matches", ["errors.py"]),
    ("cos(math.pi", ["training/checkpoint.py"]),
    ("optimiser.state_dict()", ["training/checkpoint.py"]),
    ("importlib.import_module(", ["kinds.py", "metrics/base.py", "tables/base.py", "training/base.py"]),
    ('"single"', None), ('"no_steering": ("', ["vocabulary.py"]),
])  # fmt: skip
def test_it_is_said_once(word, home):
    found = [file.relative_to(HOUSE).as_posix() for file in MODULES if word in file.read_text(encoding="utf-8")]
    if home is None:  # SPLITS: nobody lists the splits anew
        listed = re.compile(r"""["']train["'],\s*["']test["'],\s*["']single["']""")
        found = [file.name for file in MODULES if listed.search(file.read_text(encoding="utf-8"))]
        home = ["vocabulary.py"]
    assert found == home


def test_paths_under_results_are_written_in_one_place():
    """In words they may stand anywhere: docstrings, comments, messages."""
    path = re.compile(r"""["']results/[^"' ]*\{?|RESULTS\s*/\s*["']""")
    files = [
        *MODULES,
        *sorted((ROOT / "rules").glob("*.smk")),
        ROOT / "Snakefile",
        *sorted((ROOT / "scripts").glob("*.py")),
    ]
    found = {file.name for file in files if path.search(without_words(file))}
    assert found == {"paths.py"}


def without_words(file: Path) -> str:
    """A file's code without docstrings and comments."""
    text = re.sub(r'("""|\'\'\').*?\1', "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return "\n".join(line.split("  #")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))


def test_formats_are_written_and_read_by_one_module():
    """Whoever writes arrays reads them back, and nobody else does but what users import to steer with."""
    writes, reads = (
        {one.relative_to(HOUSE).as_posix() for one in MODULES if re.search(calls, without_words(one))}
        for calls in (r"\b(?:write_tensors|write_stacked|save_file)\(", r"\b(?:read_tensors|load_file|safe_open)\(")
    )
    assert writes == reads - {"steering/apply.py"} == {
        "files.py", "pair_embeddings.py", "models.py", "steering/vectors.py",
        "activations/last_token.py", "steering/likelihood.py", "training/constrained.py", "training/language_model.py",
        "training/masked.py", "simulations/base.py", "training/streamed.py",
    }  # fmt: skip


# --- docs


def test_architecture_names_every_room_in_one_line():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    assert sorted(named) == sorted({room(file) for file in MODULES})
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert [floor[name] for name in named] == sorted(floor.values())  # from the ground up


def test_every_file_that_the_docs_name_is_there():
    """Paths in backticks, as a newcomer would follow them."""
    named = re.compile(
        r"`((?:src|scripts|rules|docs|config|data|tests|benchmarks|profiles|envs)/[\w./{}<>*-]*|[A-Z]\w+file)`"
    )
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for path in named.findall(page.read_text(encoding="utf-8")):
            if not re.search(r"[<{*]|my_|data/downloads|config/mine", path):
                assert (ROOT / path).exists(), f"{page.name} names {path}"
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_public_functions_and_classes_say_what_they_do():
    for file in MODULES:
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        module = importlib.import_module(name)
        for one, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == name and not one.startswith("_"):
                assert value.__doc__, f"{name}.{one}"
