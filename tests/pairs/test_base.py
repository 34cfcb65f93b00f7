"""What all pair datasets share: a checked template, light imports, and files with the same bytes each time."""

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.built_in import BUILT_IN, build, write
from helpers.clone import ROOT
from pydantic import ValidationError

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError
from shiftscope.pairs.base import Pair, Pairs
from shiftscope.pairs.cat_135_3 import Cat1353
from shiftscope.pairs.lang_1_1 import Lang11
from shiftscope.vocabulary import SPLITS
from shiftscope.word_lists import word_files
from shiftscope.workflow.imports import code_of


def test_every_kind_is_a_dataset():
    assert kinds.names("pairs") == sorted([*BUILT_IN, "bat27", "grammar_concepts", "own", "truthfulqa_1_1"])


def test_datasets_are_read_without_numpy():
    code = (
        "import sys; from shiftscope import kinds\n"
        "[kinds.load('pairs', kind) for kind in kinds.names('pairs')]\n"
        "sys.exit(sorted({'numpy', 'pandas', 'pyarrow', 'scipy', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", BUILT_IN)
def test_same_seed_same_bytes_other_seed_other_split(kind, tmp_path):
    dataset = kinds.load("pairs", kind)
    first = [path.read_bytes() for path in write(dataset(seed=3).build(), tmp_path / "a")]
    again = [path.read_bytes() for path in write(dataset(seed=3).build(), tmp_path / "b")]
    other = [path.read_bytes() for path in write(dataset(seed=4).build(), tmp_path / "c")]
    assert first == again
    assert first[0] != other[0]


@pytest.mark.parametrize("kind", BUILT_IN)
def test_files_hold_what_the_formats_page_says(kind, tmp_path):
    built = build(kind)
    pairs, rejected, manifest = write(built, tmp_path)
    table, facts = pq.read_table(pairs), json.loads(manifest.read_text(encoding="utf-8"))
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "text_0": "string", "text_1": "string", "split": "string", "group": "int64", "concept": "int64", "sign": "int8",
        "back": "bool",
        **{f"truth.{name}": "list<element: float>" for name in built.truths},
    }  # fmt: skip
    assert rejected.read_text() == "row,reason,text_0,text_1\n"
    columns = table.to_pydict()
    assert facts["counts"] == {split: columns["split"].count(split) for split in SPLITS}
    assert facts["primary_truth"] == next(iter(built.truths))
    assert facts["orientation"] == built.orientation
    assert facts["truths"] == {name: list(names) for name, names in built.truths.items()}
    assert (facts["n_varying"], facts["max_changed"]) == tuple(map(int, kind.split("_")[1:]))
    truth = np.array(columns[f"truth.{built.steering}"])
    for concept, sign, shift in zip(columns["concept"], columns["sign"], truth, strict=True):
        if concept >= 0:
            assert shift[concept] == sign == shift.sum()
        else:
            assert sign == 0 and np.count_nonzero(shift) != 1


def test_writing_refuses_an_empty_split(tmp_path):
    built = Pairs({"train": [Pair("a", "b", 0)], "test": [], "single": []}, "{text}", "row")
    with pytest.raises(ShiftScopeError, match="no test pairs"):
        write(built, tmp_path)


def test_script_writes_them_with_its_declared_code(tmp_path):
    script, source = ROOT / "scripts" / "make_pairs.py", ROOT / "src"
    outputs = {name: tmp_path / name for name in ("pairs", "rejected", "manifest", "refused")}
    params = {"dataset": "home", "kind": "lang_1_1", "params": {"seed": 5, "template": "{text}"}}
    command = [sys.executable, script, *(part for name, path in outputs.items() for part in (f"--{name}", path))]
    command += ["--words", *word_files(["lang_1_1"]), "--params", json.dumps(params)]
    code = ["--modules", *code_of(script, ["shiftscope.pairs.lang_1_1"], source)]
    environment = {"PYTHONPATH": str(source)}
    done = subprocess.run([*command, *code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts = json.loads(outputs["manifest"].read_text())
    assert (facts["dataset"], facts["kind"], facts["template"]) == ("home", "lang_1_1", "{text}")
    command[command.index("--words") + 1] = outputs["manifest"]
    failed = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    assert f"--words must name the word lists that are read, which are: {word_files(['lang_1_1'])[0]}" in failed.stderr


# --- templates


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("a word", "found none"),
        ("{text} {text}", r"found \{text\} \{text\}"),
        ("{txt}", r"found \{txt\}"),
        ("{text!r}", r"found \{text\}"),
        ("{text", "expected '}'"),
    ],
)
def test_template_must_hold_its_placeholder_once(template, found):
    with pytest.raises(ValidationError, match=rf"must hold each of \{{text\}} once.*{found}"):
        Lang11(template=template)


def test_template_of_cat_needs_all_three():
    with pytest.raises(ValidationError, match=r"must hold each of \{color\} \{shape\} \{object\} once"):
        Cat1353(template="{color} {shape}")
    assert Cat1353(template="{color} {shape} {object}").n_pairs == 6000


def test_template_may_hold_literal_braces_and_texts_too():
    dataset = Lang11(template='{{"word": "{text}"}}')
    assert dataset.template.format(text="{x}") == '{"word": "{x}"}'


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_held_out_share_is_between_0_and_1(share):
    with pytest.raises(ValidationError):
        Lang11(held_out=share)
