"""Documentation of installed packages: which strings are documents, in which order, and what makes them stale."""

import inspect
import os
import subprocess
import sys
from importlib import metadata

import pytest
from helpers.clone import ROOT
from helpers.corpora import files_in, write
from pydantic import ValidationError

from shiftscope.corpora.base import CorpusSlice
from shiftscope.corpora.docstrings import Docstrings
from shiftscope.errors import ShiftScopeError

LONG = "What it does, in a sentence that is long enough to be a document of the corpus."
CODE = f'''"""{LONG} 1"""
if True:
    def one():
        r"""{LONG} 2

            >>> \\d   \t
        indented
        """
        class Two:
            """{LONG} 3"""
            def short(self):
                """Too short."""
            async def three(self):
                """{LONG} 4"""
match 1:
    case 1:
        try:
            raise ValueError
        except ValueError:
            def four():
                """{LONG} 2

            >>> \\\\d
        indented"""
x = """{LONG} a string that documents nothing"""
def five(text: "{LONG} an annotation"):
    """caf\\xe9 {LONG}"""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package called `made-up`, of the given files."""

    def make(files: dict[str, str], *absent: str, version="1.0"):
        about = tmp_path / "site" / f"made_up-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-up\nVersion: {version}\n")
        for name, code in files.items():
            (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "site" / name).write_text(code)
        (about / "RECORD").write_text("".join(f"{name},,\n" for name in [*files, *absent, "../../bin/tool.py"]))
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return Docstrings(packages=("made-up",), least=40)

    return make


def test_docstrings_are_documents_in_the_order_of_files_and_lines(package, tmp_path):
    law = package({
        "made_up/b.py": CODE, "made_up/a.py": f"'''{LONG} first'''", "made_up/tests/test_a.py": f"'''{LONG} of a test'''",
        "made_up/new.py": "what is this syntax", "made_up/bytes.py": f"b'''{LONG} no string'''", "made_up/data.txt": LONG,
    }, "made_up/gone.py")  # fmt: skip
    found = write(law, tmp_path / "out", "docstrings")
    second = f"{LONG} 2\n\n    >>> \\d\nindented"
    assert found.texts == [f"{LONG} first", f"{LONG} 1", second, f"{LONG} 3", f"{LONG} 4", f"café {LONG}"]
    assert found.sources == ["made_up/a.py:1", *(f"made_up/b.py:{line}" for line in (1, 4, 10, 14, 27))]
    assert found.reasons == {
        "made_up/b.py:21": "duplicate", "made_up/gone.py": "cannot be read (No such file or directory)",
        "made_up/new.py": "not Python (invalid syntax (<unknown>, line 1))",
    }  # fmt: skip
    assert found.facts["versions"] == {"made-up": "1.0"}


def test_no_code_of_a_package_is_run(package, tmp_path):
    code = f"'''{LONG}'''\nimport pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    assert write(package({"made_up/__init__.py": code}), tmp_path / "out", "docstrings").texts == [LONG]
    assert not (tmp_path / "ran").exists()


def test_a_real_package_is_as_python_itself_documents_it(tmp_path):
    import networkx as nx

    found = write(Docstrings(packages=("networkx",), documents=400), tmp_path / "out", "docstrings")
    assert len(found.texts) == 400
    assert min(map(len, found.texts)) >= 200
    assert found.facts["versions"] == {"networkx": metadata.version("networkx")}
    documented = inspect.cleandoc(nx.algorithms.approximation.clique.maximum_independent_set.__doc__)
    assert "\n".join(line.rstrip() for line in documented.split("\n")) in found.texts
    assert [source.partition(":")[0] for source in found.sources] == sorted(
        source.partition(":")[0] for source in found.sources
    )


def test_the_bytes_are_the_same_in_another_process(tmp_path):
    law = Docstrings(packages=("click", "jinja2"))
    found = write(law, tmp_path / "once", "docstrings")
    code = (
        "import sys, pathlib; from helpers.corpora import write; from shiftscope.corpora.docstrings import Docstrings\n"
    )
    code += "write(Docstrings(packages=('click', 'jinja2')), pathlib.Path(sys.argv[1]), 'docstrings')"
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}",
        "PYTHONHASHSEED": "7",
        "LC_ALL": "C",
    }
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], env=environment, check=True, cwd=tmp_path)
    assert tuple(file.read_bytes() for file in files_in(tmp_path / "again")) == found.bytes


def test_the_default_packages_are_pinned_and_installed():
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert set(Docstrings().packages) <= pinned
    versions = Docstrings().versions()
    assert list(versions) == list(Docstrings().packages)
    assert not any("+" in version for version in versions.values())  # local builds would differ from machine to machine


def test_packages_that_cannot_be_read_are_named(package, tmp_path):
    with pytest.raises(
        ShiftScopeError, match=r"^the package no-such-package, .*, is not installed: `make install`, or leave it out"
    ):
        Docstrings(packages=("click", "no-such-package")).versions()
    with pytest.raises(ShiftScopeError, match=r"^the package made-up has no Python files of its own"):
        write(package({"made_up/tests/a.py": CODE}), tmp_path / "out", "docstrings")
    with pytest.raises(ValidationError, match="at least 1 item"):
        Docstrings(packages=())


def test_other_versions_than_those_of_the_slice_are_refused(package, tmp_path):
    law = package({"made_up/a.py": CODE})
    asked = CorpusSlice(corpus="small", kind="docstrings", params={}, versions={"made-up": "0.9"})
    with pytest.raises(
        ShiftScopeError, match=r"is to be read from made-up 0\.9, and here are made-up 1\.0: run Snakemake and"
    ):
        law.write(asked, files_in(tmp_path), tmp_path / "state")
