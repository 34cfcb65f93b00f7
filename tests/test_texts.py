"""Text as it came in a user's file."""

import pyarrow as pa
import pytest

from shiftscope.texts import SHOWN, broken_byte, parquet_cells, shown


@pytest.mark.parametrize(
    ("text", "where", "seen"),
    [
        ("café 🙂", None, "café 🙂"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "byte 0xe9 at character 4", "caf\\xe9"),
        ("a\ud800", "lone surrogate U+D800 at character 2", "a\\ud800"),
        ("a\0b", None, "a\\x00b"),
    ],
)
def test_what_is_no_utf8_is_found_and_shown(text, where, seen):
    assert (broken_byte(text), shown(text)) == (where, seen)


def test_a_long_text_is_shown_in_part():
    assert shown("x" * SHOWN) == "x" * SHOWN
    assert shown("x" * 10**6) == "x" * SHOWN + "…"


def test_cells_of_every_type():
    assert parquet_cells(pa.array(["a", None]).dictionary_encode()) == ["a", None]
    assert parquet_cells(pa.array([b"caf\xe9"]).view(pa.string())) == ["caf\udce9"]
    assert parquet_cells(pa.array([1, None])) == [1, None]
