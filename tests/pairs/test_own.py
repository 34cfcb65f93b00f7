"""The user's own pairs: every bad row is listed by number, every bad file is refused with its cause and its fix."""

import csv
import json
import logging
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shiftscope.errors import ShiftScopeError
from shiftscope.pairs.base import write_pairs
from shiftscope.pairs.own import Own

LABELS = "write -1, 0 or 1, or say in the config what each means: labels: {word: number}"
QUOTED = "write it in quotes, or as a list of {role, content} messages"
GOOD = [(f"left {number}", f"right {number}") for number in range(10)]


def csv_file(folder, rows, header=("text_0", "text_1")):
    path = folder / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])
    return path


def jsonl_file(folder, rows):
    path = folder / "pairs.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def raw_file(folder, content, name="pairs.csv"):
    path = folder / name
    path.write_bytes(content)
    return path


def built(path, **params):
    return Own(path=path, **params).build()


def reasons(pairs):
    return [(one.row, one.reason) for one in pairs.rejected]


def texts_of(rows):
    return {text for pair in rows for text in (pair.text_0, pair.text_1)}


def all_rows(pairs):
    return [*pairs.splits["train"], *pairs.splits["test"]]


# what is read


def test_the_three_formats_give_the_same_pairs(tmp_path):
    table = {"text_0": [one for one, _ in GOOD], "text_1": [one for _, one in GOOD], "happy": [1, -1] * 5}
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    pq.write_table(pa.table(table), tmp_path / "pairs.parquet")
    files = [
        csv_file(tmp_path, [tuple(row.values()) for row in rows], tuple(table)),
        jsonl_file(tmp_path, rows),
        tmp_path / "pairs.parquet",
    ]
    first, *others = (built(path, concepts=("happy",)) for path in files)
    assert len(all_rows(first)) == 10
    assert [other.splits for other in others] == [first.splits] * 2
    assert [other.truths for other in others] == [{"concepts": ["happy"]}] * 2


def test_without_labels_there_is_no_truth_and_no_single(tmp_path):
    pairs = built(csv_file(tmp_path, GOOD))
    assert (pairs.concepts, pairs.truths, pairs.max_changed, pairs.splits["single"]) == ([], {}, None, [])
    assert {frozenset((pair.text_0, pair.text_1)) for pair in all_rows(pairs)} == set(map(frozenset, GOOD))
    assert (len(pairs.splits["train"]), len(pairs.splits["test"])) == (6, 4)


def test_training_pairs_stand_as_the_file_has_them_unless_they_are_turned_at_random(tmp_path):
    def turned(split, **params):
        return sum(pair.text_0.startswith("right") for pair in built(csv_file(tmp_path, GOOD), **params).splits[split])

    assert (turned("train"), turned("test")) == (0, 2)
    assert (turned("train", orientation="random"), turned("test", orientation="random")) == (3, 2)


def test_labels_become_truth_and_single_pairs_in_the_named_direction(tmp_path):
    labels = [(1, 0), (-1, 0), (0, 0.5), (1, -1), (0, 0)] * 4
    rows = [(f"a{place}", f"b{place}", *two) for place, two in enumerate(labels)]
    path = csv_file(tmp_path, rows, ("text_0", "text_1", "happy", "long"))
    pairs = built(path, concepts=("happy", "long"))
    assert (pairs.concepts, pairs.max_changed) == (["happy", "long"], 2)
    true = {f"a{place}": two for place, two in enumerate(labels)}
    for pair in [*all_rows(pairs), *pairs.splits["single"]]:
        way = 1 if pair.text_0.startswith("a") else -1
        label = true[pair.text_0 if way == 1 else pair.text_1]
        assert pair.shifts["concepts"] == {column: way * value for column, value in enumerate(label) if value}
    held_out = {pair.group for pair in pairs.splits["test"]}
    assert {pair.group for pair in pairs.splits["single"]} == {
        group for group in held_out if sum(map(bool, labels[group])) == 1
    }
    assert all(pair.single_change("concepts")[1] == 1 for pair in pairs.splits["single"])


def test_template_columns_and_byte_order_mark(tmp_path):
    lines = "before,after\r\n" + "".join(f'"{one}, so",{two}\r\n' for one, two in GOOD)
    path = raw_file(tmp_path, b"\xef\xbb\xbf" + lines.encode())
    pairs = built(path, text_0="before", text_1="after", template="He said: {text}")
    assert texts_of(all_rows(pairs)) == {f"He said: {one}, so" for one, _ in GOOD} | {f"He said: {b}" for _, b in GOOD}


def test_texts_with_braces_are_not_templates(tmp_path):
    rows = [(f"{{text}} {number}", f"{{x!r}} {number}") for number in range(4)]
    assert "say {text} 0" in texts_of(all_rows(built(csv_file(tmp_path, rows), template="say {text}")))


# the split


def test_rows_that_share_a_text_stay_together(tmp_path):
    chain = [("a", "b"), ("c", "b"), ("c", "d")]
    for seed in range(20):
        pairs = built(csv_file(tmp_path, [*chain, *GOOD]), seed=seed)
        assert not texts_of(pairs.splits["train"]) & texts_of(pairs.splits["test"])
        assert len({pair.group for pair in all_rows(pairs) if pair.text_0 in "abcd"}) == 1


def test_composed_and_decomposed_accents_are_one_text(tmp_path):
    rows = [("caf\u00e9", "x"), ("cafe\u0301 ", "y"), *GOOD]
    pairs = built(csv_file(tmp_path, rows))
    assert len({pair.group for pair in all_rows(pairs) if {pair.text_0, pair.text_1} & {"x", "y"}}) == 1


@given(
    rows=st.lists(st.tuples(st.integers(0, 25), st.integers(26, 50)), min_size=4, max_size=40),
    seed=st.integers(0, 100),
)
def test_no_text_is_ever_on_both_sides(rows, seed, tmp_path_factory):
    words = [(f"word {one}", f"word {two}") for one, two in rows]
    path = csv_file(tmp_path_factory.mktemp("own"), [*words, ("first", "end"), ("other", "stop")])
    try:
        splits = built(path, seed=seed).splits
    except ShiftScopeError as error:
        assert re.search(rf"\d+ of {len(rows) + 2} rows hang together|different pairs? of texts only", str(error))
        return
    assert not texts_of(splits["train"]) & texts_of(splits["test"])
    assert len(splits["train"]) + len(splits["test"]) == len(rows) + 2
    assert 0 < len(splits["test"]) <= max(0.4 * (len(rows) + 2) + 0.5, len(rows) // 2)


def test_rows_that_nearly_all_share_a_text_cannot_be_split(tmp_path):
    path = csv_file(tmp_path, [("neutral" if number < 5 else "plain", f"other {number}") for number in range(6)])
    with pytest.raises(
        ShiftScopeError, match=r"5 of 6 rows hang together by texts that they share.*name a `group` col"
    ):
        built(path)


def test_a_group_with_most_of_the_rows_is_refused_by_its_name(tmp_path):
    rows = [(*texts, "work" if number < 7 else f"other {number}") for number, texts in enumerate(GOOD)]
    path = csv_file(tmp_path, rows, ("text_0", "text_1", "topic"))
    with pytest.raises(ShiftScopeError, match=r"group 'work' of column 'topic' holds 7 of 10 rows.*smaller groups"):
        built(path, group="topic")


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_held_out_not_groups(tmp_path, seed):
    """Of groups of very different sizes as many rows are held out as of equal ones."""
    sizes = [9, 5, 1, 1, 2, 6, 1, 3, 1, 1]
    rows = [
        (f"a{group} {one}", f"b{group} {one}", f"g{group}") for group, size in enumerate(sizes) for one in range(size)
    ]
    pairs = built(csv_file(tmp_path, rows, ("text_0", "text_1", "topic")), group="topic", seed=seed)
    assert 10 <= len(pairs.splits["test"]) <= 12
    facts = {name: pairs.facts[name] for name in ("rows", "groups", "largest_group", "text_columns")}
    assert facts == {"rows": 30, "groups": 10, "largest_group": 9, "text_columns": ["text_0", "text_1"]}


def test_a_text_may_name_its_group(tmp_path):
    rows = [(f"question {number // 3}", f"question {number // 3}, answer {number}") for number in range(12)]
    pairs = built(csv_file(tmp_path, rows, ("q", "p")), text_0="q", text_1="p", group="q")
    assert not texts_of(pairs.splits["train"]) & texts_of(pairs.splits["test"]) and len(all_rows(pairs)) == 12


def test_group_column_is_kept_and_shared_texts_are_said(tmp_path, caplog):
    rows = [(f"neutral {number % 2}", f"other {number}", f"g{number // 2}") for number in range(10)]
    path = csv_file(tmp_path, rows, ("text_0", "text_1", "who"))
    with caplog.at_level(logging.WARNING):
        pairs = built(path, group="who")
    assert pairs.split_unit == "who"
    assert sorted(pair.group for pair in all_rows(pairs)) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len({pair.group for pair in pairs.splits["test"]}) == 2
    assert not {pair.group for pair in pairs.splits["train"]} & {pair.group for pair in pairs.splits["test"]}
    assert "2 texts stand in both training and held-out groups of column 'who', such as 'neutral 0'" in caplog.text


# bad rows


def test_every_bad_csv_row_is_listed_by_number(tmp_path, caplog):
    rows = [f"a{number},b{number},1,g{number}" for number in range(6)]
    rows[1:1] = [",b,1,g", "a,  ,1,g", "same,same,1,g", "", "a,b", "a,b,1,g,5", '"a"x,b,1,g', "a,b,yes,g", "a,b,,g"]
    rows += ["a,b,nan,g", "a,b,1, ", "x" * 41 + ",b,1,g", "a\0,b,1,g", "é,è,1,g"]
    content = "\n".join(["text_0,text_1,up,who", *rows]).encode() + b"\ncaf\xe9,th\xc3\xa9,1,g\n\n"
    with caplog.at_level(logging.INFO):
        pairs = built(raw_file(tmp_path, content), concepts=("up",), group="who", max_characters=40)
    assert reasons(pairs) == [
        (2, "text_0 is empty"),
        (3, "text_1 is empty"),
        (4, "the two texts are identical"),
        (5, "the row is blank"),
        (6, "a cell is missing: the row has 2 cells, the header 4"),
        (7, "the row has 5 cells, the header 4: quote texts that hold a comma"),
        (8, "the row is not CSV (',' expected after '\"'): double the quotes inside a quoted text"),
        (9, f"up is not a number ('yes'): {LABELS}"),
        (10, f"up is not a number (''): {LABELS}"),
        (16, f"up is not a number ('nan'): {LABELS}"),
        (17, "who is empty"),
        (18, "text_0 has more than max_characters 40 (41 characters)"),
        (19, "text_0 holds a NUL character"),
        (21, "text_0 is not UTF-8 (byte 0xe9 at character 4): save the file as UTF-8"),
    ]
    assert len(all_rows(pairs)) == 7
    assert "21 rows, 7 usable, 14 rejected" in caplog.text


def test_every_bad_jsonl_row_is_listed_by_number(tmp_path):
    good = [{"text_0": one, "text_1": two, "up": 1} for one, two in GOOD]
    bad = [
        {"text_0": "a", "up": 1},
        {"text_0": "a", "text_1": None, "up": 1},
        {"text_0": 5, "text_1": "b", "up": 1},
        {"text_0": "a", "text_1": ["b"], "up": 1},
        {"text_0": "a", "text_1": "b", "up": True},
        {"text_0": "a", "text_1": "b", "up": "x"},
        {"text_0": "a", "text_1": "b\ud800", "up": 1},
        ["a", "b"],
        "{broken\n",
        "\n",
    ]
    pairs = built(jsonl_file(tmp_path, [*good[:5], *bad, *good[5:]]), concepts=("up",))
    found = reasons(pairs)
    assert found[:8] == [
        (6, "text_1 is missing"),
        (7, "text_1 is missing"),
        (8, f"text_0 is not text (int): {QUOTED}"),
        (9, f"text_1 is not text (list): {QUOTED}"),
        (10, f"up is not a number ('true'): {LABELS}"),
        (11, f"up is not a number ('x'): {LABELS}"),
        (12, "text_1 is not UTF-8 (lone surrogate U+D800 at character 2): save the file as UTF-8"),
        (13, "the row is not a JSON object: write {...} with one key per column"),
    ]
    assert found[8][0] == 14 and found[8][1].startswith("the row is not JSON (")
    assert found[9:] == [(15, "the row is blank")]
    assert len(all_rows(pairs)) == 10


def test_every_bad_parquet_row_is_listed_by_number(tmp_path):
    first = pa.array([b"\xc3\xa9", b"caf\xe9", None, b"d", b"e", b"f"], pa.binary())
    texts = pa.StringArray.from_buffers(6, *first.buffers()[1:], first.buffers()[0])
    table = pa.table({"text_0": texts, "text_1": pa.array(["i", "j", "k", "l", "m", "n"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "pairs.parquet")
    pairs = built(tmp_path / "pairs.parquet")
    assert reasons(pairs) == [
        (2, "text_0 is not UTF-8 (byte 0xe9 at character 4): save the file as UTF-8"),
        (3, "text_0 is missing"),
    ]
    assert texts_of(all_rows(pairs)) == {"é", "d", "e", "f", "i", "l", "m", "n"}


def test_number_column_in_place_of_text(tmp_path):
    pq.write_table(pa.table({"text_0": [1, 2, 3, 4], "text_1": ["a", "b", "c", "d"]}), tmp_path / "pairs.parquet")
    with pytest.raises(
        ShiftScopeError, match=r"0 usable rows of 4 \(4 rows: text_0 is not text \(int 4 times\): write"
    ):
        built(tmp_path / "pairs.parquet")


def test_rejected_rows_are_written_readably_and_shortened(tmp_path):
    content = "text_0,text_1\n" + "".join(f"{one},{two}\n" for one, two in [*GOOD, ("é", "è")])
    content = content.encode() + b"caf\xe9,tea\n" + b"y" * 5000 + b",z\n"
    paths = [tmp_path / name for name in ("out.parquet", "rejected.csv", "manifest.json")]
    write_pairs(built(raw_file(tmp_path, content)), "mine", "own", *paths)
    with paths[1].open(encoding="utf-8", newline="") as opened:
        header, *rows = csv.reader(opened)
    assert header == ["row", "reason", "text_0", "text_1"]
    assert rows == [
        ["12", "text_0 is not UTF-8 (byte 0xe9 at character 4): save the file as UTF-8", "caf\\xe9", "tea"],
        ["13", "text_0 has more than max_characters 4000 (5000 characters)", "y" * 200 + "…", "z"],
    ]
    facts = json.loads(paths[2].read_text())
    assert (facts["rejected"], facts["n_varying"], facts["max_changed"], facts["primary_truth"]) == (
        2,
        None,
        None,
        None,
    )
    assert "truth.concepts" not in pq.read_schema(paths[0]).names


# bad files


def test_latin_1_file_names_row_and_byte(tmp_path):
    content = "text_0,text_1\ncup,tasse\nkey,clé\nwindow,fenêtre\n".encode("latin-1")
    with pytest.raises(ShiftScopeError) as raised:
        built(raw_file(tmp_path, content))
    assert "is not UTF-8; cp1252 reads 'key,clé" in str(raised.value)
    assert "say `encoding: …` as is right (make vectors: ENCODING=…), or save the file as UTF-8" in str(raised.value)
    assert "clé" in texts_of(all_rows(built(raw_file(tmp_path, content + b"box,bo\xeete\n"), encoding="latin-1")))
    assert "row 2, column text_1, byte 0xe9 at character 3" in str(raised.value)
    assert "save the file as UTF-8" in str(raised.value)


def test_latin_1_jsonl_names_row_and_byte(tmp_path):
    content = '{"text_0": "key", "text_1": "clé"}\n'.encode("latin-1") * 5
    with pytest.raises(ShiftScopeError, match="row 1, column text_1, byte 0xe9 at character 3"):
        built(raw_file(tmp_path, content, "pairs.jsonl"))


def test_one_row(tmp_path):
    with pytest.raises(ShiftScopeError, match="has 1 usable rows of 1: at least 4 are needed"):
        built(csv_file(tmp_path, GOOD[:1]))


def test_too_few_rows_quotes_the_first_reasons(tmp_path):
    rows = [*GOOD[:2], ("", "b"), ("a", ""), ("a", "a"), ("", "c"), ("", "d")]
    with pytest.raises(ShiftScopeError) as raised:
        built(csv_file(tmp_path, rows))
    assert (
        "has 2 usable rows of 7 (3 rows: text_0 is empty (rows 3, 6, …); 1 row: text_1 is empty (row 4); "
        "1 row: the two texts are identical (row 5)): at least 4 are needed"
    ) in str(raised.value)


def test_identical_pairs(tmp_path):
    with pytest.raises(ShiftScopeError, match="in all 6 rows the two texts are identical, so nothing changes"):
        built(csv_file(tmp_path, [(f"same {number}", f"same {number}") for number in range(6)]))
    with pytest.raises(
        ShiftScopeError, match=r"6 rows: the two texts differ only by spaces: a template puts words around"
    ):
        built(csv_file(tmp_path, [(f"same {number}", f" same  {number}") for number in range(6)]))


NAMED = {"text_0": "text_0", "text_1": "text_1"}


@pytest.mark.parametrize(
    ("header", "params", "message"),
    [
        (("Text_0", "text_1"), NAMED, r"has no column 'text_0'; the nearest is 'Text_0'"),
        (("text 0", "text_1"), NAMED, r"has no column 'text_0'; the nearest is 'text 0'\."),
        (("q", "zz"), NAMED, r"has no column 'text_0'\. Its columns are 'q', 'zz': set text_0"),
        (("text_0", "text_1"), {"group": "texts"}, r"no column 'texts'; the nearest"),
        (("text_0", "text_1"), {"concepts": ("happy",)}, r"no column 'happy'\. Its columns are 'text_0', 'text_1'"),
        (("text_0", "text_1"), {"template": "{question} {text}"}, r"no column 'question'"),
    ],
)  # fmt: skip
def test_wrong_column_names_the_nearest(tmp_path, header, params, message):
    with pytest.raises(ShiftScopeError, match=message):
        built(csv_file(tmp_path, GOOD, header), **params)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pairs.csv", b"", "is empty: it needs a header"),
        ("pairs.csv", b"\n\n", "is empty: it needs a header"),
        ("pairs.csv", b"text_0,text_1\n", "holds no rows"),
        ("pairs.csv", b"a,a\n1,2\n", "the header names 'a' twice"),
        ("pairs.csv", b't\xe9xt,b\n1,2\n', r"is not UTF-8.* \(the header, byte 0xe9 at character 2"),
        ("pairs.csv", b'text_0,text_1\na,b\nc,"d\ne,f\n', r"a quote opens and never closes: close or double it \(row 2\)"),
        ("pairs.csv", b'"text_0,text_1\na,b\n', "header cannot be read: a quote opens and never closes"),
        ("pairs.csv", "text_0,text_1\n".encode("utf-16-le"), r"is UTF-16 without a byte order mark: save it .*: iconv -f UTF"),
        ("pairs.jsonl", b"", "is empty"),
        ("pairs.jsonl", b"text_0,text_1\na,b\n", r"0 usable rows of 2 \(2 rows: the row is not JSON"),
        ("pairs.parquet", b"PAR1 and no more", "is not a readable Parquet file"),
        ("pairs.txt", b"a\nb\n", r"first line 'a' names one column only: cells are separated by commas, .*path: \[before\.txt, "),
    ],
)  # fmt: skip
def test_bad_file_says_cause_and_fix(tmp_path, name, content, message):
    with pytest.raises(ShiftScopeError, match=message):
        built(raw_file(tmp_path, content, name))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"none\.csv does not exist: correct `path`"):
        built(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ShiftScopeError, match=r"folder\.csv is a folder, and no dataset of .* name a file"):
        built(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    "params",
    [
        {"text_0": "text_0", "text_1": "text_0"},
        {"group": "up", "concepts": ["up"]},
        {"concepts": ["up", "up"]},
        {"text_0": "text_0", "concepts": ["text_0"]},
    ],
)
def test_one_column_has_one_role(params):
    with pytest.raises(ValidationError, match="is named twice among text_0, text_1, group and concepts"):
        Own(path="pairs.csv", **params)


def test_params_of_a_file():
    with pytest.raises(ValidationError, match="path"):
        Own()
    with pytest.raises(ValidationError, match="max_characters"):
        Own(path="pairs.csv", max_characters=0)
    with pytest.raises(ValidationError, match="template"):
        Own(path="pairs.csv", template="no place")
