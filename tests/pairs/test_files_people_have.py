"""Every kind of file that people bring: the same pairs come of all, or one line that names the cause and what helps."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import datasets
import numpy as np
import pandas as pd
import pytest
import zstandard

from shiftscope.errors import ShiftScopeError
from shiftscope.pairs import _content, _csv, _dataset
from shiftscope.pairs.base import PairsSlice, build_pairs
from shiftscope.pairs.own import Own

ROWS = [(f"The {noun} is slow, but kind.", f"The {noun} is fast; \"so\" kind.") for noun in ("bus", "tram", "boat", "cab", "ferry", "train")]  # fmt: skip
EXPECTED = {frozenset(row) for row in ROWS}
RECORDS = [{"before": before, "after": after} for before, after in ROWS]


def pairs_of(path, **params):
    built = Own(path=path, **params).build()
    return {frozenset((one.text_0, one.text_1)) for split in ("train", "test") for one in built.splits[split]}


def csv_text(separator=",", header=("before", "after"), rows=ROWS):
    written = io.StringIO()
    csv.writer(written, delimiter=separator).writerows([header, *rows])
    return written.getvalue()


def lines():
    return "".join(json.dumps(one) + "\n" for one in RECORDS)


def tokens(noun, word):
    return [{"role": "user", "content": f"How is the {noun}?"}, {"role": "assistant", "content": word}]


def parquet():
    written = io.BytesIO()
    pd.DataFrame(RECORDS).to_parquet(written)
    return written.getvalue()


KINDS = {
    "comma.csv": csv_text().encode(),
    "semicolon.csv": csv_text(";").encode(),
    "tab.csv": csv_text("\t").encode(),
    "bar.txt": csv_text("|").encode(),
    "tabs.tsv": csv_text("\t").encode(),
    "no_suffix": csv_text().encode(),
    "mark.csv": b"\xef\xbb\xbf" + csv_text().encode(),
    "sep_line.csv": ("sep=;\n" + csv_text(";")).encode(),
    "quoted_sep_line.csv": ('\ufeff"sep=,"\r\n' + csv_text()).encode(),
    "utf16.csv": csv_text().encode("utf-16"),
    "utf32.csv": csv_text().encode("utf-32"),
    "old_mac.csv": csv_text().replace("\r\n", "\r").encode(),
    "index.csv": pd.DataFrame(RECORDS).to_csv().encode(),
    "trailing.csv": csv_text(rows=[(*row, "", "") for row in ROWS], header=("before", "after", "", "")).encode(),
    "longer_rows.csv": csv_text(rows=[(*row, "", "") for row in ROWS]).encode(),
    "lines.jsonl": lines().encode(),
    "lines.json": lines().encode(),
    "array.json": json.dumps(RECORDS).encode(),
    "pretty.jsonl": json.dumps(RECORDS, indent=2).encode(),
    "inside.json": json.dumps({"version": 1, "data": RECORDS}, indent=1).encode(),
    "columns.json": json.dumps({name: [one[name] for one in RECORDS] for name in RECORDS[0]}, indent=1).encode(),
    "unknown.data": lines().encode(),
    "table.parquet": parquet(),
    "parquet.csv": parquet(),
    "packed.jsonl.gz": gzip.compress(lines().encode()),
    "packed.csv.zst": zstandard.compress(csv_text().encode()),
    "packed.json.bz2": bz2.compress(json.dumps(RECORDS).encode()),
    "packed.tsv.xz": lzma.compress(csv_text("\t").encode()),
    "two_frames.jsonl.zst": zstandard.compress(lines()[:100].encode()) + zstandard.compress(lines()[100:].encode()),
}


@pytest.mark.parametrize("name", KINDS)
def test_all_kinds_give_the_same_pairs(tmp_path, name):
    (tmp_path / name).write_bytes(KINDS[name])
    assert pairs_of(tmp_path / name) == EXPECTED


def test_several_files_and_a_pattern(tmp_path):
    for number in (0, 1):
        (tmp_path / f"part_{number}.csv").write_text(csv_text(rows=ROWS[number * 3 :][:3]))
    (tmp_path / "part_0.csv").write_text(csv_text(rows=[*ROWS[:3], ("", "x")]))
    assert pairs_of([tmp_path / "part_0.csv", tmp_path / "part_1.csv"]) == EXPECTED
    assert pairs_of(tmp_path / "part_*.csv") == EXPECTED
    [rejected] = Own(path=tmp_path / "part_*.csv").build().rejected
    assert (rejected.row, rejected.file) == (4, "part_0.csv")
    with pytest.raises(ShiftScopeError, match=r"no file fits .*/other_\*\.csv: correct `path`"):
        pairs_of(tmp_path / "other_*.csv")
    (tmp_path / "part_2.csv").write_text("one,two\na,b\n")
    with pytest.raises(
        ShiftScopeError, match=r"part_2\.csv has other columns than .*part_0\.csv \('after', 'before', 'one', 'two'\)"
    ):
        pairs_of(tmp_path / "part_*.csv")


def test_two_files_whose_lines_belong_together(tmp_path):
    for place, name in enumerate(("plain.en", "other.fr")):
        (tmp_path / name).write_text("".join(row[place] + "\n" for row in ROWS))
    both = [tmp_path / "plain.en", tmp_path / "other.fr"]
    assert pairs_of(both) == EXPECTED
    (tmp_path / "other.fr").write_text("too\nfew\n")
    with pytest.raises(
        ShiftScopeError, match=r"plain\.en has 6 lines and .*other\.fr 2: of two files of text, each line"
    ):
        pairs_of(both)


def test_one_text_a_row(tmp_path, caplog):
    rows = [
        (number, side, row[place]) for number, row in enumerate(ROWS) for place, side in enumerate(("slow", "fast"))
    ]
    rows += [("", "slow", "lost"), (7, "slow", "alone"), (0, "slow", "again"), (1, "medium", "neither")]
    (tmp_path / "long.csv").write_text(csv_text(header=("id", "speed", "text"), rows=rows))
    long = {"pair": "id", "side": "speed"}
    assert pairs_of(tmp_path / "long.csv", long=long, text_0="slow", text_1="fast") == EXPECTED
    reasons = {
        one.reason for one in Own(path=tmp_path / "long.csv", long=long, text_0="slow", text_1="fast").build().rejected
    }
    assert reasons == {
        "id is missing", "the pair has no text for 'fast'", "id has two texts for the same speed",
        "speed is 'medium', neither 'slow' nor 'fast'",
    }  # fmt: skip
    with pytest.raises(ShiftScopeError, match="has no column 'ids'; the nearest is 'id'"):
        pairs_of(tmp_path / "long.csv", long={"pair": "ids", "side": "speed"}, text_0="slow", text_1="fast")


def test_a_dataset_of_hugging_face(tmp_path, monkeypatch):
    found = datasets.Dataset.from_list(RECORDS)
    found.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": found, "other": found.select([0])}).save_to_disk(tmp_path / "splits")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "README.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "repository" / "train.jsonl").write_text(lines())
    for name in ("saved", "splits", "repository"):
        assert pairs_of(tmp_path / name) == EXPECTED
    with pytest.raises(ShiftScopeError, match=r"splits has no split 'tests': its splits are train, other: set `split`"):
        pairs_of(tmp_path / "splits", split="tests")
    monkeypatch.setattr(_dataset, "opened", lambda *given: found.to_iterable_dataset() if given == ("me/pairs", "v1", "train") else None)  # fmt: skip
    built = Own(hub="me/pairs", revision="v1").build()
    assert {
        frozenset((one.text_0, one.text_1)) for split in ("train", "test") for one in built.splits[split]
    } == EXPECTED


def test_chat_messages(tmp_path, caplog):
    nouns = ("bus", "tram", "boat", "cab", "ferry", "train")
    rows = [{"chosen": tokens(noun, "Fine."), "rejected": tokens(noun, "Look yourself.")} for noun in nouns]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = Own(path=tmp_path / "chat.jsonl").build()
    assert built.facts["chat"] and built.facts["text_columns"] == ["rejected", "chosen"]
    assert json.loads(built.splits["train"][0].text_0)[1] == {"role": "assistant", "content": "Look yourself."}
    assert "texts are chat messages, which the language model's chat template joins" in caplog.text
    with pytest.raises(
        ShiftScopeError, match="chat messages are joined by the model's own chat template: leave `template`"
    ):
        pairs_of(tmp_path / "chat.jsonl", template="say {text}")
    (tmp_path / "mixed.jsonl").write_text("".join(json.dumps(row | ({"chosen": "Yes."} if n < 2 else {})) + "\n" for n, row in enumerate(rows)))  # fmt: skip
    with pytest.raises(ShiftScopeError, match="some texts are chat messages and others plain text"):
        pairs_of(tmp_path / "mixed.jsonl")


def archive():
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened:
        opened.writestr("pairs.csv", csv_text())
    return written.getvalue()


def tar():
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as opened:
        opened.addfile(tarfile.TarInfo("pairs.csv"), io.BytesIO())
    return written.getvalue()


REFUSED = {
    "pointer.jsonl": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", r"is a Git LFS pointer.*git lfs pull --include=pointer\.jsonl"),
    "page.csv": (b"\n<!DOCTYPE html><html><body>404</body></html>", r"is a web page \(HTML or XML\).*download the raw file"),
    "pairs.zip": (archive(), r"is an archive \(zip\), or a spreadsheet.*unzip pairs\.zip"),
    "pairs.xlsx": (archive(), r"save the spreadsheet as CSV"),
    "pairs.tar": (tar(), r"is an archive \(tar\): unpack it: tar xf pairs\.tar"),
    "pairs.tar.gz": (gzip.compress(tar()), r"is an archive \(tar\)"),
    "pairs.pdf": (b"%PDF-1.7 and more", r"is a PDF: copy its text"),
    "pairs.pkl": (b"\x80\x04\x95", r"is a Python pickle, which could run anything when it is opened"),
    "pairs.db": (b"SQLite format 3\x00" + bytes(100), r"is a SQLite database: export the table: sqlite3"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, r"is a binary file, not text: give a CSV, TSV"),
    "cut.jsonl.gz": (gzip.compress(lines().encode() * 50)[:-20], r"cut\.jsonl\.gz is cut off or damaged \(gzip: .*fetch it again"),
    "cut.csv.zst": (zstandard.compress(csv_text().encode() * 50)[:-9], r"cut off or damaged \(zstd"),
    "broken.json": (json.dumps(RECORDS)[:-30].encode(), r"the JSON array is cut off or broken \(.*: write the file again"),
    "wide.csv": ((",".join(map(str, range(20_000))) + "\nx\n").encode(), r"the header has 20,000 columns: give those of the texts alone"),
    "one_column.csv": (b"text\na\nb\n", r"its first line 'text' names one column only: cells are separated by"),
    "many_texts.csv": (csv_text(header=("q w", "e r", "t z"), rows=[(*row, "u i") for row in ROWS]).encode(), r"cannot be told: its columns are 'q w', 'e r', 't z'; of these .* TEXT_0=… TEXT_1=…"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_of_texts_is_refused_in_one_line(tmp_path, name):
    content, said = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ShiftScopeError, match=said) as raised:
        pairs_of(tmp_path / name)
    assert "\n" not in str(raised.value) and name in str(raised.value)


def test_a_huge_file_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(_content, "LARGEST", 1000)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 10_000_000))
    (tmp_path / "large.csv").write_bytes(b"a,b\n" * 1000)
    for name in ("bomb.csv.gz", "large.csv"):
        with pytest.raises(ShiftScopeError, match=rf"{name} holds more than 1.0 kB of text: .*head -n 20000 {name}"):
            pairs_of(tmp_path / name)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-8", "utf-16-le"])
def test_a_stated_encoding(tmp_path, encoding):
    rows = [(before + " à", after + " é") for before, after in ROWS]
    (tmp_path / "pairs.csv").write_bytes(csv_text(rows=rows).encode(encoding))
    assert pairs_of(tmp_path / "pairs.csv", encoding=encoding) == {frozenset(row) for row in rows}


# what quotes may do


SWALLOWED = """text_0,text_1
He plays .,He played .
"Al sings .,Al sang .
It runs .,It ran .
It is {},It was 5 m
They sing .,They sang .
We go .,We went .
"""


@pytest.mark.parametrize(
    ("closed", "lost", "said"),
    [
        ('5"', 3, "lines 3 to 5 are one quoted text, and each looks like a row of its own: if a quote was forgotten"),
        (
            '"often',
            3,
            "a quote opens in line 3 and is closed wrongly (lines 3 to 5): close it in its line, or double it",
        ),
        ("5", 1, "a quote opens and never closes: close or double it"),
    ],
    ids=["silent", "in the middle", "never"],
)
def test_a_forgotten_quote_swallows_no_row_unseen(tmp_path, closed, lost, said):
    (tmp_path / "pairs.csv").write_text(SWALLOWED.format(closed) + "We stay .,We stayed .\n")
    built = Own(path=tmp_path / "pairs.csv").build()
    texts = {text for split in ("train", "test") for one in built.splits[split] for text in (one.text_0, one.text_1)}
    assert {"He plays .", "They sang .", "We went .", "We stayed ."} <= texts and "Al sang ." not in texts
    assert ("It ran ." in texts) == (lost == 1)
    [one] = built.rejected
    assert one.row == 2 and one.reason.startswith(said)


@pytest.mark.parametrize(
    "record",
    ['"Hi, Bob\nSee you",Hello', '"Dear Ann,\nhe said "no", ok\nbye",Hi'],
    ids=["two lines", "inner quote"],
)
def test_no_line_of_a_text_is_taken_for_a_pair(tmp_path, record):
    """Whether a quote was forgotten or a text has such lines nobody can tell: no pair is made of either."""
    (tmp_path / "pairs.csv").write_text(csv_text().replace("\r\n", "\n") + record + "\n")
    assert pairs_of(tmp_path / "pairs.csv") == EXPECTED
    assert Own(path=tmp_path / "pairs.csv").build().rejected


def test_a_text_over_several_lines_is_one_text(tmp_path):
    rows = [
        (f"Dear {noun},\nI write, as ever, and\n\nremain, yours", f"Hi {noun},\nbye")
        for noun in ("Ann", "Bob", "Cid", "Dan")
    ]
    (tmp_path / "pairs.csv").write_text(csv_text(rows=rows))
    assert pairs_of(tmp_path / "pairs.csv") == {frozenset(row) for row in rows}


def test_a_file_full_of_open_quotes_is_read_in_linear_time(tmp_path):
    lines = [
        "text_0,text_1",
        *(f'"a {number},b {number}' for number in range(4000)),
        *(f"c {n},d {n}" for n in range(5)),
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    built = Own(path=tmp_path / "pairs.csv").build()
    assert len(built.rejected) == 2000 and _csv.LONGEST * 4000 < 1e7


# labels, prompts, degenerate files


def test_labels_as_words_truth_values_lists_and_decimal_commas(tmp_path):
    values = ["louder", True, "0,5", " quieter ", False, "-1"]
    rows = [
        one | {"how": value, "both": [number % 2, 1]}
        for number, (one, value) in enumerate(zip(RECORDS, values, strict=True))
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    labels = {"louder": 1, "quieter": -1, "true": 1, "false": 0}
    built = Own(path=tmp_path / "pairs.json", concepts=("how", "both.0"), labels=labels).build()
    found = {frozenset((one.text_0, one.text_1)): dict(one.turned().shifts["concepts"] if one.back else one.shifts["concepts"])
             for split in ("train", "test") for one in built.splits[split]}  # fmt: skip
    expected = [{0: 1}, {0: 1, 1: 1}, {0: 0.5}, {0: -1, 1: 1}, {}, {0: -1, 1: 1}]
    assert [found[frozenset(row)] for row in ROWS] == expected
    with pytest.raises(
        ShiftScopeError,
        match=r"both is a list \(\[0,1\] 3 times, \[1,1\] 3 times\): name its entries: concepts: \[both\.0, both\.1\]",
    ):
        Own(path=tmp_path / "pairs.json", concepts=("both",)).build()
    with pytest.raises(
        ShiftScopeError, match=r"how is not a number \('louder', 'true', 'quieter', 'false'\): write -1, 0 or 1, or say"
    ):
        Own(path=tmp_path / "pairs.json", concepts=("how",)).build()


def test_a_template_takes_any_column_and_whitespace_as_it_stands(tmp_path):
    rows = [
        {"the question": f" May I {what}?\n", "no.1": number, "wrong": " (A)", "right": " (B) "}
        for number, what in enumerate("abcdef")
    ]
    (tmp_path / "caa.json").write_text(json.dumps(rows))
    named = {"text_0": "wrong", "text_1": "right"}
    found = pairs_of(tmp_path / "caa.json", template="{no.1}{{x}}{the question}{text}", **named)
    assert frozenset(("0{x} May I a?\n (A)", "0{x} May I a?\n (B) ")) in found and len(found) == 6
    with pytest.raises(
        ShiftScopeError,
        match=r"column 'wrong' holds the same text in all 6 rows.*template: '\{the question\}\{text\}' \(make vectors: TEMPLATE=",
    ):
        pairs_of(tmp_path / "caa.json", **named)


@pytest.mark.parametrize("template", ["{text.__class__}", "{text!r}", "{text:>9}", "{text}{text}", "{", "none"])
def test_a_template_runs_nothing(template):
    with pytest.raises(ValueError, match=r"must hold {text} once; other names in braces are columns"):
        Own(path="pairs.csv", template=template)


@pytest.mark.parametrize(
    ("rows", "params", "said"),
    [
        ([(f"statement {n}", str(n % 2)) for n in range(9)], {}, r"column 'after' holds numbers \(0, 1\), so it is a label, not a text"),
        ([("the same", f"other {n}") for n in range(9)], {}, r"column 'before' holds the same text in all 9 rows \('the same'\)"),
        ([(f"a {n % 3}", f"b {n % 3}") for n in range(9)], {}, r"its 9 rows hold 3 different pairs of texts only"),
        ([("(A)", "(B)"), ("(B)", "(A)")] * 5, {}, r"its 10 rows hold 1 different pair of texts only, which tell of one change"),
    ],
)  # fmt: skip
def test_files_of_which_nothing_can_be_learned(tmp_path, rows, params, said):
    (tmp_path / "pairs.csv").write_text(csv_text(rows=rows))
    with pytest.raises(ShiftScopeError, match=said):
        pairs_of(tmp_path / "pairs.csv", text_0="before", text_1="after", **params)


def test_rejected_rows_are_written_even_if_the_job_fails(tmp_path):
    (tmp_path / "pairs.csv").write_text(csv_text(rows=[("same", "same"), ("a", ""), *ROWS[:3]]))
    files = [tmp_path / name for name in ("pairs.parquet", "rejected.csv", "manifest.json", "refused.csv")]
    asked = PairsSlice(dataset="mine", kind="own", params={})
    with pytest.raises(
        ShiftScopeError, match=r"has 3 usable rows of 5 .*; all 2 rows that were left out: .*refused\.csv"
    ):
        build_pairs(Own(path=tmp_path / "pairs.csv"), asked, *files)
    assert files[3].read_text().splitlines() == [
        "row,reason,text_0,text_1",
        "1,the two texts are identical,same,same",
        "2,after is empty,a,",
    ]
    assert not any(file.exists() for file in files[:3])
    (tmp_path / "pairs.csv").write_text(csv_text(rows=[("same", "same"), *ROWS]))
    build_pairs(Own(path=tmp_path / "pairs.csv"), asked, *files)
    assert files[1].read_text().count("\n") == 2 and not files[3].exists()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("id", "casual", "formal", "topic"), ("casual", "formal")),
        (("After", "BEFORE"), ("BEFORE", "After")),
        (("chosen", "rejected", "prompt"), ("rejected", "chosen")),
        (("number", "left", "right"), ("left", "right")),
    ],
)
def test_columns_are_guessed_and_said(tmp_path, caplog, columns, expected):
    cells = {
        "id": range(6),
        "topic": ["x"] * 6,
        "number": np.linspace(0, 1, 6),
        "prompt": [f"ask {n}" for n in range(6)],
    }
    table = {name: cells.get(name, [f"{name} {n}" for n in range(6)]) for name in columns}
    pd.DataFrame(table).to_csv(tmp_path / "pairs.csv", index=False)
    assert Own(path=tmp_path / "pairs.csv").build().facts["text_columns"] == list(expected)
    assert f"columns guessed: {expected[0]!r} holds the texts before, {expected[1]!r} those after" in caplog.text
