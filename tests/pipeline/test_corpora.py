"""A corpus of a user's own folder through Snakemake: made once, and again if the text changed, not if it was moved."""

import json
import shutil

import pytest
from helpers.clone import snakemake

pytestmark = pytest.mark.workflow
TARGETS = [f"results/corpora/{name}/manifest.json" for name in ("mine", "docs")]


def run(folder, *arguments: str, path: str = "texts") -> str:
    (folder / "own.yaml").write_text(
        "corpora:\n"
        f"  mine: {{kind: text, path: {path}}}\n"
        "  docs: {kind: docstrings, packages: [click], documents: 20}\n"
    )
    done = snakemake(folder, *TARGETS, *arguments, config=("--configfile", "config/test.yaml", "own.yaml"))
    return done.stdout + done.stderr


def facts(folder, name: str) -> dict:
    return json.loads((folder / f"results/corpora/{name}/manifest.json").read_text())


def test_corpora_of_text(clone, tmp_path):
    folder = shutil.copytree(clone, tmp_path / "clone")
    (folder / "texts/inner").mkdir(parents=True)
    (folder / "texts/inner/a.txt").write_text("first")
    (folder / "texts/b.jsonl").write_text('{"text": "second"}\n{"text": "first"}\n{\n')
    said = run(folder)
    assert "make_corpus: warning: mine: 2 of 4 documents are left out" in said, said
    assert (facts(folder, "mine")["documents"], facts(folder, "docs")["documents"]) == (2, 20)
    assert facts(folder, "mine")["rejected"] == {"duplicate": 1, "not JSON": 1}
    assert "Nothing to be done" in run(folder, "--dry-run")
    shutil.move(folder / "texts", tmp_path / "elsewhere")
    assert "Nothing to be done" in run(folder, "--dry-run", path=str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere/b.jsonl").write_text('{"text": "third"}\n')
    before = facts(folder, "docs")
    run(folder, path=str(tmp_path / "elsewhere"))
    assert facts(folder, "mine")["rejected"] == {}
    assert facts(folder, "docs") == before
    assert "corpora.mine.path: texts does not exist: correct `path`" in run(folder)
