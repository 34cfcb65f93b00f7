"""Bad files by the hundred: each is a correct result or one clear sentence; nothing half-read, nothing executed."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shiftscope.errors import ShiftScopeError
from shiftscope.pairs.own import Own

NOUNS = ("bus", "tram", "boat", "cab", "ferry", "train", "coach", "sled")
ROWS = [(f"The {noun} is slow, but kind.", f"The {noun} is fast; so kind.") for noun in NOUNS]
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.sampled_from(["pairs.csv", "pairs.tsv", "pairs.json", "pairs.jsonl", "pairs.txt", "pairs", "pairs.parquet", "pairs.csv.gz", "pairs.jsonl.zst"])  # fmt: skip


def written(rows, delimiter=",", quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows([("before", "after"), *rows])
    return text.getvalue()


GOOD = [
    written(ROWS).encode(),
    written(ROWS, ";", csv.QUOTE_ALL).encode(),
    written(ROWS, "\t").encode("utf-16"),
    "".join(json.dumps({"before": one, "after": two}) + "\n" for one, two in ROWS).encode(),
    json.dumps([{"before": one, "after": two} for one, two in ROWS], indent=1).encode(),
    gzip.compress(written(ROWS).encode()),
]


def outcome(path, **params):
    """The pairs, or None where one clear sentence was said; anything else is a fault."""
    try:
        built = Own(path=path, **params).build()
    except ShiftScopeError as error:
        assert "\n" not in str(error) and "Traceback" not in str(error) and len(str(error)) > 20
        assert path.name in str(error)
        return None
    sides = [{text for one in built.splits[split] for text in (one.text_0, one.text_1)} for split in ("train", "test")]
    assert all(sides) and not sides[0] & sides[1]
    assert all(text.strip() and "\0" not in text for side in sides for text in side)
    assert len(built.splits["train"]) + len(built.splits["test"]) + len(built.rejected) == built.facts["rows"]
    return built


@MANY
@given(content=st.binary(max_size=400), name=NAMES)
def test_any_bytes(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    outcome(tmp_path / name)


@MANY
@given(text=st.text(max_size=400), name=NAMES)
def test_any_text(tmp_path, text, name):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    outcome(tmp_path / name)


MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "insert", "cut", "repeat"]),
        st.floats(0, 1),
        st.sampled_from([b'"', b",", b";", b"\n", b"\r", b"\0", b"{", b"]", b"\xff", b"\xef\xbb\xbf", b"NaN", b"1e999", b"\\ud800", b'"""', b"=cmd|' /C calc'!A0"]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def mutated(content, mutations):
    for kind, where, piece in mutations:
        place = int(where * len(content))
        content = {
            "drop": content[:place] + content[place + 3 :],
            "insert": content[:place] + piece + content[place:],
            "cut": content[: max(place, 1)],
            "repeat": content[:place] + content[max(0, place - 40) :],
        }[kind]
    return content


@settings(MANY, max_examples=400)
@given(content=st.sampled_from(GOOD), mutations=MUTATIONS, name=NAMES)
def test_good_files_with_faults(tmp_path, content, mutations, name):
    (tmp_path / name).write_bytes(mutated(content, mutations))
    outcome(tmp_path / name)


@settings(MANY, max_examples=200)
@given(where=st.integers(0, 7), column=st.integers(0, 1), place=st.floats(0, 1))
def test_a_lone_quote_costs_its_own_row_alone(tmp_path, where, column, place):
    """Wherever one quote is put into a file without quotes, at least all other rows are read."""
    rows = [[text.replace(",", "") for text in row] for row in ROWS]
    cut = int(place * len(rows[where][column]))
    rows[where][column] = rows[where][column][:cut] + '"' + rows[where][column][cut:]
    (tmp_path / "pairs.csv").write_text("before,after\n" + "".join(",".join(row) + "\n" for row in rows))
    built = outcome(tmp_path / "pairs.csv")
    texts = {text for split in ("train", "test") for one in built.splits[split] for text in (one.text_0, one.text_1)}
    assert {text for number, row in enumerate(rows) if number != where for text in row} <= texts
    assert len(built.rejected) <= 1


@MANY
@given(
    rows=st.lists(
        st.tuples(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30)), min_size=8, max_size=20
    )
)
def test_what_csv_writes_is_read_to_the_letter(tmp_path, rows):
    rows = [(f"a{number} {one}", f"b{number} {two}") for number, (one, two) in enumerate(rows)]
    rows = [tuple(text.replace("\0", "").replace("\r", "") for text in row) for row in rows]
    if any(0xD800 <= ord(character) <= 0xDFFF for row in rows for text in row for character in text):
        return
    (tmp_path / "pairs.csv").write_bytes(written(rows, quoting=csv.QUOTE_ALL).encode())
    built = outcome(tmp_path / "pairs.csv", text_0="before", text_1="after")
    if built is not None and not built.rejected:
        found = {frozenset((one.text_0, one.text_1)) for split in ("train", "test") for one in built.splits[split]}
        assert found == {frozenset(row) for row in rows}


@pytest.mark.parametrize(
    "cell", ["{0.__class__}", "{text!r}", "$(touch /tmp/never)", "`id`", "{{x}}", "%s", "\\N{BULLET}"]
)
def test_what_stands_in_a_cell_is_text(tmp_path, cell):
    (tmp_path / "pairs.csv").write_text(
        written([(f"{cell} {number}", f"other {cell} {number}") for number in range(6)])
    )
    built = outcome(tmp_path / "pairs.csv", template="say: {text}")
    assert {f"say: {cell} {number}" for number in range(6)} <= {
        text for split in ("train", "test") for one in built.splits[split] for text in (one.text_0, one.text_1)
    }


@MANY
@given(template=st.text(max_size=30))
def test_any_template(tmp_path, template):
    try:
        Own(path="pairs.csv", template=template + "{text}")
    except ValueError as error:
        assert "must hold {text} once" in str(error)


@MANY
@given(
    labels=st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=5),
            st.lists(st.integers(), max_size=3),
        ),
        min_size=8,
        max_size=8,
    )
)
def test_any_labels(tmp_path, labels):
    rows = [{"before": one, "after": two, "up": label} for (one, two), label in zip(ROWS, labels, strict=True)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = outcome(tmp_path / "pairs.jsonl", concepts=("up",))
    if built is not None:
        assert all(
            abs(value) < float("inf")
            for split in ("train", "test")
            for one in built.splits[split]
            for value in one.shifts["concepts"].values()
        )
