"""TruthfulQA's pairs: of wrong and right answers to one question, no question on both sides, what is left out listed."""

import hashlib
import json
from pathlib import Path

import pytest
from helpers.questions import question, save
from pydantic import ValidationError

from shiftscope import downloads
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json
from shiftscope.pairs.base import write_pairs
from shiftscope.pairs.truthfulqa_1_1 import Truthfulqa11


@pytest.fixture
def file(tmp_path) -> Path:
    return save(tmp_path / "mc_task.json", [question(number) for number in range(20)])


@pytest.mark.parametrize(
    ("choice", "cap", "per_question"), [("mc0", 9, 1), ("mc1", 9, 3), ("mc2", 9, 9), ("mc2", 2, 2)]
)
def test_pairs_are_one_wrong_and_one_right_answer_to_one_question(file, choice, cap, per_question):
    built = Truthfulqa11(path=file, choice=choice, pairs_per_question=cap).build()
    entries = json.loads(file.read_text())
    for split, pairs in built.splits.items():
        assert len(pairs) == per_question * (12 if split == "train" else 8)
        assert len(pairs) == len({frozenset((pair.text_0, pair.text_1)) for pair in pairs})
        for pair in pairs:
            sign = pair.shifts["concepts"][0]
            wrong, right = (pair.text_0, pair.text_1) if sign > 0 else (pair.text_1, pair.text_0)
            labels = entries[pair.group][f"{choice}_targets"]
            begin = f"Q: {entries[pair.group]['question']}\nA: "
            assert labels[wrong.removeprefix(begin)] == 0
            assert labels[right.removeprefix(begin)] == 1
    sums = {split: sum(pair.shifts["concepts"][0] for pair in pairs) for split, pairs in built.splits.items()}
    assert sums["train"] == 12 * per_question  # from wrong to right
    assert sums["test"] in (-1, 0, 1)
    turned = Truthfulqa11(path=file, choice=choice, pairs_per_question=cap, orientation="random").build()
    assert sum(pair.shifts["concepts"][0] for pair in turned.splits["train"]) in (-1, 0, 1)
    assert built.facts == {"choice": choice, "questions": 20, "pairs_per_question": cap}


def test_no_question_is_on_both_sides_of_the_split(file):
    built = Truthfulqa11(path=file).build()
    questions = {
        split: {(pair.group, text.split("\n")[0]) for pair in pairs for text in (pair.text_0, pair.text_1)}
        for split, pairs in built.splits.items()
    }
    assert questions["train"].isdisjoint(questions["test"])
    assert questions["single"] == questions["test"]
    assert len(questions["train"] | questions["test"]) == 20


def test_the_manifest_states_the_choice_and_what_was_left_out_is_listed(tmp_path, file):
    entries = json.loads(file.read_text())
    entries[3]["mc2_targets"][" "] = 1
    entries[5] = "no object"
    entries[7]["question"] = entries[0]["question"]
    entries[8]["mc1_targets"]["a second right one"] = 1
    entries[9]["mc2_targets"] = {"the lamp": 1}
    entries[10]["mc1_targets"]["in a shape"] = "wrong"
    entries[11]["question"] = None
    entries[12]["mc2_targets"]["a word "] = 1
    save(file, entries)
    built = Truthfulqa11(path=file.parent).build()
    write_pairs(built, "truthfulqa_1_1", "truthfulqa_1_1", *(tmp_path / name for name in ("p", "r.csv", "m.json")))
    facts = read_json(tmp_path / "m.json")
    assert (facts["choice"], facts["questions"], facts["split_unit"]) == ("mc1", 13, "question")
    assert (facts["concepts"], facts["n_varying"], facts["rejected"]) == (["truthful"], 1, 8)
    assert [(one.row, one.reason) for one in built.rejected] == [
        (4, "an answer is empty"),
        (6, "the row is not a JSON object"),
        (8, "the question stands in row 1 too"),
        (9, "mc1_targets has 2 right and 3 wrong answers: mc1 has one right"),
        (10, "mc2_targets has no wrong answer"),
        (11, "mc1_targets has a label that is not 0 or 1"),
        (12, "the question is missing"),
        (13, "mc2_targets has an answer twice, but for spaces around it"),
    ]
    assert (tmp_path / "r.csv").read_text().count("\n") == 1 + 8


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("[{", "is not readable JSON"),
        ({}, "must hold a JSON list"),
        (
            [question(0), {}, 1, None],
            r"has 1 usable questions of 4 \(row 2: the question is missing; row 3: .*at least 4",
        ),
        ('[{"question": "a", "mc1_targets": {"b": 1, "b": 0}}]', "mc1_targets has the answer 'b' twice"),
    ],
)
def test_bad_files_are_named_with_the_reason(tmp_path, entries, message):
    path = save(tmp_path / "mine.json", entries)
    with pytest.raises(ShiftScopeError, match=message) as error:
        Truthfulqa11(path=path, choice="mc0" if isinstance(entries, list) else "mc1").build()
    assert str(path) in str(error.value)


def test_a_template_ends_in_the_answer():
    for template in ("{answer} {question}", "{question} {answer}.", "{question}"):
        with pytest.raises(ValidationError, match="template"):
            Truthfulqa11(template=template)


def test_the_published_file_is_verified_and_kept(tmp_path, monkeypatch, file):
    monkeypatch.setattr(downloads, "FOLDER", tmp_path / "downloads")
    kept = tmp_path / "downloads/truthfulqa_mc_task.json"
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        return file.open("rb")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", urlopen)
    with pytest.raises(ShiftScopeError, match=r"raw\.githubusercontent.* has sha256 .* but must have c90d85.*path:"):
        Truthfulqa11().build()
    assert not kept.exists()
    right = Truthfulqa11(sha256=hashlib.sha256(file.read_bytes()).hexdigest(), url="https://example.org/mc.json")
    assert len(right.read_questions()[0]) == len(right.read_questions()[0]) == 20
    assert asked == [Truthfulqa11().url, right.url]  # the second time it lay there
    kept.write_text("damaged")
    assert len(right.read_questions()[0]) == 20
    assert len(asked) == 3

    def offline(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", offline)
    with pytest.raises(ShiftScopeError, match=r"cannot download .*\(no network\).*give `path:`"):
        Truthfulqa11().build()
    assert len(right.read_questions()[0]) == 20
