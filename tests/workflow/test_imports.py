"""Which modules a job's code consists of: made-up packages with every kind of import, then this project's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.clone import ROOT

from shiftscope import kinds
from shiftscope.tables import base as catalogue
from shiftscope.workflow.imports import code_of, files_of_module

SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


@pytest.fixture
def tree(tmp_path):
    """`tree({file: text})` writes files and returns what `script.py` is made of, as paths in the folder."""

    def write(files: dict[str, str], *modules: str) -> list[str]:
        for name, text in {"src/shiftscope/__init__.py": "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = code_of(tmp_path / "script.py", list(modules), tmp_path / "src")
        return [str(file.relative_to(tmp_path)).removeprefix("src/shiftscope/") for file in found]

    return write


def package(**files: str) -> dict[str, str]:
    return {f"src/shiftscope/{name.replace('__', '/', 1)}.py": text for name, text in files.items()}


@pytest.mark.parametrize(
    "text",
    [
        "import shiftscope.a",
        "import os, shiftscope.a as other",
        "from shiftscope import a",
        "from shiftscope import a as other",
        "from shiftscope.a import value",
        "from shiftscope.a import *",
        "def f():\n    from shiftscope.a import value",
        "class C:\n    def f(self):\n        import shiftscope.a",
        "try:\n    import shiftscope.a\nexcept ImportError:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shiftscope import a",
    ],
)
def test_every_spelling_of_an_import_counts(tree, text):
    assert tree(package(a="value = 1") | {"script.py": text}) == ["script.py", "__init__.py", "a.py"]


@pytest.mark.parametrize(
    "text", ["", "import os", "import shiftscopes.a", "'import shiftscope.a'", "# import shiftscope.a"]
)
def test_what_is_no_import_of_the_package_does_not_count(tree, text):
    assert tree(package(a="") | {"script.py": text}) == ["script.py"]


def test_the_package_alone_is_its_init(tree):
    assert tree(package(a="") | {"script.py": "import shiftscope"}) == ["script.py", "__init__.py"]


def test_imports_of_imports_and_cycles(tree):
    files = package(a="import shiftscope.b", b="from shiftscope import c", c="import shiftscope.a", d="")
    assert tree(files | {"script.py": "import shiftscope.a"}) == ["script.py", "__init__.py", "a.py", "b.py", "c.py"]


def test_relative_imports(tree):
    files = {
        "src/shiftscope/p/__init__.py": "from . import first",
        "src/shiftscope/p/first.py": "from .second import x",
        "src/shiftscope/p/second.py": "from ..q import third\nfrom .. import top",
        "src/shiftscope/q/__init__.py": "",
        "src/shiftscope/q/third.py": "from .missing import x",
        "src/shiftscope/q/unused.py": "",
        "src/shiftscope/top.py": "",
        "script.py": "import shiftscope.p",
    }
    assert tree(files) == [
        "script.py", "__init__.py", "p/__init__.py", "p/first.py", "p/second.py", "q/__init__.py", "q/third.py", "top.py",
    ]  # fmt: skip


def test_every_init_on_the_way_counts_with_its_own_imports(tree):
    files = {
        "src/shiftscope/p/__init__.py": "import shiftscope.helper",
        "src/shiftscope/p/q/__init__.py": "",
        "src/shiftscope/p/q/deep.py": "",
        "src/shiftscope/helper.py": "",
        "script.py": "from shiftscope.p.q.deep import x",
    }
    assert tree(files) == ["script.py", "__init__.py", "helper.py", "p/__init__.py", "p/q/__init__.py", "p/q/deep.py"]


def test_a_module_that_does_not_exist_has_no_file(tree):
    assert tree({"script.py": "import shiftscope.nowhere.at.all"}) == ["script.py", "__init__.py"]
    assert files_of_module("numpy.linalg", ROOT / "src") == []
    assert files_of_module("shiftscope.files.atomic", ROOT / "src") == [ROOT / "src/shiftscope/__init__.py"]


def test_modules_imported_by_a_computed_name_are_given(tree):
    files = package(v__one="import shiftscope.a", v__two="", a="") | {"src/shiftscope/v/__init__.py": ""}
    found = tree(files | {"script.py": "import importlib"}, "shiftscope.v.one")
    assert found == ["script.py", "__init__.py", "a.py", "v/__init__.py", "v/one.py"]


def test_the_script_comes_first_and_the_rest_is_sorted():
    for script in SCRIPTS:
        found = code_of(script, [], ROOT / "src")
        assert found[0] == script
        assert found[1:] == sorted(set(found[1:]))


# --- this project


def variants_in(files: list[Path]) -> set[str]:
    return {file.stem for file in files if file.parent.name == "variants"} - {"__init__", "base"}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("ssae", {"ssae", "_starts", "_whitening"}),
        ("affine", {"affine", "ssae", "_starts", "_whitening"}),
        ("shared", {"shared", "_discriminant", "_sign_flips"}),
        ("shift_mixture", {"shift_mixture", "_discriminant", "_text_states"}),
        ("pca", {"pca"}),
        ("mean_difference", {"mean_difference", "_labelled", "_unshrunk"}),
        ("ssae_paper", {"ssae_paper"}),
        ("ssae_paper_repaired", {"ssae_paper_repaired", "ssae_paper"}),
    ],
)
def test_a_variant_is_made_of_itself_and_what_it_builds_on(variant, expected):
    for script, own in (("train.py", set()), ("evaluate.py", set()), ("export_vectors.py", {"_sign_flips"})):
        code = code_of(ROOT / "scripts" / script, [kinds.module_of("variants", variant)], ROOT / "src")
        assert variants_in(code) == expected | own


def named_modules() -> dict[str, list[str]]:
    """For each script that imports a module by a computed name: all that it may import."""

    def of(package: str) -> list[str]:
        return [kinds.module_of(package, name) for name in kinds.names(package)]

    entries = [kinds.module_of("tables", name) for name in catalogue.names()]
    trainers = sorted(
        {kinds.module_of("training", kinds.load("variants", name).training) for name in kinds.names("variants")}
    )
    return {
        "train": [*of("variants"), *trainers], "evaluate": of("variants"), "evaluate_transfer": of("variants"),
        "export_vectors": of("variants"), "make_synthetic": of("synthetic"), "make_pairs": of("pairs"),
        "measure_behaviour": ["shiftscope.pairs.truthfulqa_1_1"], "fetch_lm": of("lms"), "make_corpus": of("corpora"),
        "train_lm": of("corpora"), "make_simulation": of("simulations"), "evaluate_simulation": of("variants"), "make_table": entries, "make_figure": entries, "make_report": entries,
    }  # fmt: skip


def test_the_scripts_that_import_by_name_are_scripts():
    assert set(named_modules()) < {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_no_job_depends_on_the_config_or_on_what_snakemake_reads(script):
    code = code_of(script, named_modules().get(script.stem, []), ROOT / "src")
    names = {str(file.relative_to(ROOT / "src/shiftscope")) for file in code[1:]}
    assert "workflow/job.py" in names
    of_the_rules = {"workflow/digests.py", "workflow/paths.py", "workflow/provenance.py"}
    if script.stem == "make_report":  # it says where vectors and wall times come from
        of_the_rules.remove("workflow/paths.py")
    assert not names & of_the_rules
    assert not [name for name in names if name.startswith("config/")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_no_script_depends_on_a_module_that_it_could_import_by_name(script):
    """Else a new variant, dataset, source or table would make the others stale."""
    code = code_of(script, [], ROOT / "src")
    found = {f"shiftscope.{file.parent.name}.{file.stem}" for file in code[1:]}
    assert not found & set(named_modules().get(script.stem, []))


def test_a_table_does_not_depend_on_another():
    for name in catalogue.names():
        code = code_of(ROOT / "scripts/make_table.py", [kinds.module_of("tables", name)], ROOT / "src")
        assert {file.stem for file in code} & set(catalogue.names()) == {name}


TORCH = (
    "fetch_lm", "train_lm", "embed_pairs", "cache_activations", "measure_behaviour", "train", "train_masked",
    "train_streamed",
    "evaluate_saes", "describe_latents", "evaluate_posterior", "evaluate_causal",
)  # fmt: skip
"""jobs that load it"""


def test_only_jobs_with_a_language_model_or_a_training_load_torch():
    """Starting Python with torch costs seconds; every other job is to start without it."""
    scripts = [script for script in SCRIPTS if script.stem not in TORCH]
    files = {file for script in scripts for file in code_of(script, named_modules().get(script.stem, []), ROOT / "src")}
    modules = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files - set(scripts)]
    program = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name.removesuffix(".__init__"))
print(*sorted({{"torch", "cooper", "transformers"}} & set(sys.modules)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
