"""Files and folders of text: every form is read, every fault is reported by file and document, and nothing is lost."""

import gzip
import json
import logging
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.clone import ROOT
from helpers.corpora import write

from shiftscope.corpora import _text
from shiftscope.corpora._files import batches_of_files, files_at
from shiftscope.corpora.pile import Pile
from shiftscope.corpora.text import TextFiles
from shiftscope.errors import ShiftScopeError

TEXTS = [f"document {number}: Füße, naïve, 日本 🙂" for number in range(7)]


def lines(texts, column="text") -> bytes:
    return "".join(
        json.dumps({column: text}, ensure_ascii=bool(number % 2)) + "\n" for number, text in enumerate(texts)
    ).encode()


def zstd(*frames: bytes) -> bytes:
    """Archives one behind the other, as `cat` joins them."""
    packed = b""
    for frame in frames:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(frame)
        packed += sink.getvalue().to_pybytes()
    return packed


def parquet(table: dict) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table), sink, row_group_size=3)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def folder(tmp_path):
    """`folder(name=bytes)`: a folder with these files."""

    def make(files: dict[str, bytes]):
        for name, content in files.items():
            (tmp_path / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "texts" / name).write_bytes(content)
        return tmp_path / "texts"

    return make


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(TEXTS)),
        ("a.jsonl", lines(TEXTS).rstrip(b"\n")),
        ("a.jsonl", b"\xef\xbb\xbf" + lines(TEXTS).replace(b"\n", b"\r\n")),
        ("a.JSONL.GZ", gzip.compress(lines(TEXTS))),
        ("a.jsonl.gz", gzip.compress(lines(TEXTS[:3])) + gzip.compress(lines(TEXTS[3:]))),
        ("a.jsonl.zst", zstd(lines(TEXTS))),
        ("a.jsonl.zst", zstd(lines(TEXTS)[:100], lines(TEXTS)[100:])),  # the cut is in the middle of a document
        ("a.parquet", parquet({"text": TEXTS, "meta": list(range(7))})),
        ("a.parquet", parquet({"text": pa.array(TEXTS).dictionary_encode()})),
        ("a.parquet", parquet({"text": pa.array(TEXTS, pa.large_string())})),
    ],
)
def test_every_form_has_the_same_documents(folder, tmp_path, name, content):
    for path in (folder({name: content}), tmp_path / "texts" / name):
        found = write(TextFiles(path=path), tmp_path / "out")
        assert found.texts == TEXTS
        assert found.sources == [f"{name}:{number}" for number in range(1, 8)]
        assert (found.facts["documents_in"], found.facts["documents"], found.rejected) == (7, 7, [])
    assert write(Pile(path=path), tmp_path / "out", "pile").texts == TEXTS


def test_files_are_read_in_the_order_of_their_names_and_a_text_file_is_a_document(folder, tmp_path):
    files = {"b.txt": b"second\nline\n", "a/z.txt": b"first", "c.txt.gz": gzip.compress(b"third"),
             "d.txt.zst": zstd(b"fourth"), "b.jsonl": lines(["between"], "body")}  # fmt: skip
    found = write(TextFiles(path=folder(files), column="body"), tmp_path / "out")
    assert found.texts == ["first", "between", "second\nline\n", "third", "fourth"]
    assert found.sources == ["a/z.txt:1", "b.jsonl:1", "b.txt:1", "c.txt.gz:1", "d.txt.zst:1"]


FAULTS = {
    "b'{\"text\": \"caf\\xe9\"}'": (b'{"text": "caf\xe9"}', "not UTF-8 (byte 0xe9 at character 4)"),
    "surrogate": (b'{"text": "a\\ud800"}', "not UTF-8 (lone surrogate U+D800 at character 2)"),
    "json": (b'{"text": "a"', "not JSON (Expecting ',' delimiter: line 1 column 13 (char 12))"),
    "deep": (b"[" * 100_000, "not JSON (maximum recursion depth exceeded while decoding a JSON array from a unicode string)"),
    "digits": (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "not JSON (Exceeds the limit (4300 digits) for integer string conversion: "
               "value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit)"),
    "list": (b'["text"]', "not a JSON object"),
    "absent": (b'{"body": "a"}', "no text"),
    "null": (b'{"text": null}', "no text (null)"),
    "number": (b'{"text": 3}', "not a string (int)"),
    "blank": (b'{"text": " \\n"}', "empty"),
    "no line": (b"", "empty"),
    "twice": (b'{"text": "good"}', "duplicate"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_bad_line_is_reported_by_number_and_the_others_are_kept(folder, tmp_path, caplog, line, reason):
    found = write(
        TextFiles(path=folder({"a.jsonl": b'{"text": "good"}\n' + line + b'\n{"text": "last"}\n'})), tmp_path / "o"
    )
    assert found.texts == ["good", "last"]
    assert found.sources == ["a.jsonl:1", "a.jsonl:3"]
    assert found.reasons == {"a.jsonl:2": reason}
    assert found.facts["rejected"] == {reason.partition(" (")[0]: 1}
    assert (found.facts["documents_in"], found.facts["documents"]) == (3, 2)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert bool(warned) == (reason != "duplicate")
    assert all(f"a.jsonl:2: {reason}" in message for message in warned)


def test_a_refused_text_is_shown_so_that_it_can_be_found(folder, tmp_path):
    long = b'{"text": "caf\xe9 ' + b"x" * 500 + b'"}\n'
    found = write(TextFiles(path=folder({"a.jsonl": long + lines(["good"])})), tmp_path / "out")
    assert found.rejected[0]["text"] == "caf\\xe9 " + "x" * 192 + "…"


def test_strings_of_parquet_that_are_no_utf8_or_none(folder, tmp_path):
    broken = pa.array([b"good", b"caf\xe9", None]).cast(pa.binary()).view(pa.string())
    files = {"a.parquet": parquet({"text": broken}), "b.parquet": parquet({"text": [1]}), "c.parquet": parquet({"body": ["a"]}),
             "d.parquet": parquet({"text": TEXTS})[:-20], "e.parquet": b""}  # fmt: skip
    found = write(TextFiles(path=folder(files)), tmp_path / "out")
    assert found.texts == ["good"]
    reasons = found.reasons
    assert reasons.pop("d.parquet").startswith("not a readable Parquet file (")
    assert reasons.pop("e.parquet").startswith("not a readable Parquet file (")
    assert reasons == {"a.parquet:2": "not UTF-8 (byte 0xe9 at character 4)", "a.parquet:3": "no text (null)",
                       "b.parquet:1": "not a string (int)", "c.parquet": "no column text (it has body)"}  # fmt: skip


def test_files_that_hold_no_text_are_reported(folder, tmp_path):
    path = folder(
        {
            "a.pdf": b"%PDF",
            "b": b"text",
            "c.parquet.gz": b"",
            "d.jsonl": b"",
            "e.txt": b" ",
            "f.txt": b"caf\xe9",
            "z.txt": b"good",
        }
    )
    (path / "g.txt").symlink_to("nowhere")
    (path / "h").symlink_to(tmp_path)
    os.mkfifo(path / "i.txt")
    found = write(TextFiles(path=path), tmp_path / "out")
    assert found.texts == ["good"]
    suffix = "unknown suffix (none of .parquet, .txt, .jsonl)"
    assert found.reasons == {
        "a.pdf": suffix, "b": suffix, "c.parquet.gz": suffix, "d.jsonl": "no documents (the file is empty)", "e.txt:1": "empty",
        "f.txt:1": "not UTF-8 (byte 0xe9 at character 4)", "g.txt": "cannot be read (No such file or directory)",
        "h": "no regular file", "i.txt": "no regular file",
    }  # fmt: skip
    assert found.facts["rejected"]["unknown suffix"] == 3


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
@pytest.mark.parametrize("number", [7, 3000])
def test_of_an_archive_that_is_cut_off_everything_before_the_cut_is_kept(folder, tmp_path, caplog, pack, number):
    texts = [f"document {one} {os.urandom(20).hex()}" for one in range(number)]
    packed = pack(lines(texts))
    without_end = packed[:-2] if pack is gzip.compress else pack(lines(texts[:-1])) + pack(lines(texts[-1:]))[:6]
    found = write(
        TextFiles(
            path=folder({"a.jsonl.x": b"", "a.jsonl." + ("gz" if pack is gzip.compress else "zst"): without_end})
        ),
        tmp_path / "out",
    )
    kept = number if pack is gzip.compress else number - 1
    assert found.texts == texts[:kept]
    (reason,) = [reason for where, reason in found.reasons.items() if where.endswith(f":{kept + 1}")]
    assert reason == "cut off or damaged (Truncated compressed stream; what follows is lost)"
    assert any(f":{kept + 1}: cut off or damaged" in record.getMessage() for record in caplog.records)
    half = (
        folder({"half/a.jsonl.gz": pack(lines(texts))[: len(packed) // 2]}) / "half" if pack is gzip.compress else None
    )
    if half:
        found = write(TextFiles(path=half), tmp_path / "out")
        assert found.texts == texts[: len(found.texts)] and number // 4 < len(found.texts) < number


def test_damage_in_the_middle_is_reported(folder, tmp_path):
    packed = bytearray(zstd(lines(TEXTS)) + zstd(lines(["never seen"])))
    packed[len(zstd(lines(TEXTS))) : len(zstd(lines(TEXTS))) + 4] = b"junk"
    found = write(TextFiles(path=folder({"a.jsonl.zst": bytes(packed)})), tmp_path / "out")
    assert found.texts == TEXTS
    assert found.reasons["a.jsonl.zst:8"].startswith("cut off or damaged (ZSTD decompress failed: ")


def test_if_nothing_is_left_the_error_says_why(folder, tmp_path):
    with pytest.raises(
        ShiftScopeError,
        match=r"^corpus small: none of 2 documents can be used \(a\.jsonl:1: not JSON .*; a.*2: empty\)",
    ):
        write(TextFiles(path=folder({"a.jsonl": b"{\n\n"})), tmp_path / "out")
    with pytest.raises(ShiftScopeError, match=r"nowhere does not exist: correct `path`"):
        write(TextFiles(path=tmp_path / "nowhere"), tmp_path / "out")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ShiftScopeError, match=r"bare holds no files: put text into it"):
        write(TextFiles(path=tmp_path / "bare"), tmp_path / "out")


@pytest.mark.parametrize(
    ("limits", "kept", "ended_by"),
    [
        ({"documents": 3}, 3, "documents"),
        ({"characters": 2 * len(TEXTS[0]) + 1}, 3, "characters"),
        ({"characters": 2 * len(TEXTS[0])}, 2, "characters"),
        ({"documents": 70, "characters": 10**6}, 7, None),
    ],
)
def test_limits_end_the_reading(folder, tmp_path, limits, kept, ended_by):
    path = folder({"a.jsonl": lines(TEXTS), "b.pdf": b""})
    found = write(TextFiles(path=path, **limits), tmp_path / "out")
    assert found.texts == TEXTS[:kept]
    assert found.facts["ended_by"] == ended_by
    assert found.facts["characters"] == sum(map(len, found.texts))
    assert bool(found.rejected) == (ended_by is None)  # what is behind the end is not even looked at
    assert found.facts["documents_in"] == found.facts["documents"] + len(found.rejected)


def test_duplicates_are_kept_where_they_belong(folder, tmp_path):
    path = folder({"a.jsonl": lines(["one", "two", "one", "one "])})
    assert write(TextFiles(path=path), tmp_path / "out").texts == ["one", "two", "one "]
    assert write(TextFiles(path=path, deduplicate=False), tmp_path / "out").texts == ["one", "two", "one", "one "]
    assert write(Pile(path=path), tmp_path / "out", "pile").texts == ["one", "two", "one", "one "]


def test_reading_goes_on_behind_any_place(folder, monkeypatch):
    cut = gzip.compress(lines(TEXTS))[:-4]
    files = {
        "a.jsonl": lines(TEXTS[:3]),
        "b.pdf": b"",
        "c.jsonl.gz": cut,
        "d.parquet": parquet({"text": TEXTS}),
        "e.txt": b"last",
    }
    path = folder(files)
    monkeypatch.setattr(_text, "DOCUMENTS", 1)
    batches = list(batches_of_files(path, "text", None))
    assert len(batches) == 3 + 1 + 8 + 7 + 1
    for number, (_, place) in enumerate(batches, start=1):
        assert list(batches_of_files(path, "text", place)) == batches[number:]


def test_names_that_are_no_utf8(tmp_path):
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9.txt", os.O_CREAT))
    assert list(files_at(tmp_path)) == ["caf\\udce9.txt"]


def test_an_archive_larger_than_memory_is_read(folder, tmp_path):
    """130 MB of text, read and written with less than half of that."""
    text = "all work and no play makes Jack a dull boy " * 100
    frame = zstd("".join(json.dumps({"text": f"{number} {text}"}) + "\n" for number in range(3000)).encode())
    path = folder({"a.jsonl.zst": frame * 10})
    code = (
        "import resource, sys, pathlib; sys.path.insert(0, 'tests')\n"
        "import pyarrow, pyarrow.parquet\n"
        "from helpers.corpora import write, files_in\n"
        "from shiftscope.corpora.base import CorpusSlice\n"
        "from shiftscope.corpora.text import TextFiles\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "corpus = TextFiles(path=sys.argv[1], deduplicate=False)\n"
        "out = pathlib.Path(sys.argv[2])\n"
        "corpus.write(CorpusSlice(corpus='big', kind='text', params={}), files_in(out), out / 'state')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT / "src")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pq.ParquetFile(tmp_path / "out/documents.parquet").metadata.num_rows == 30_000
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 60e6
