"""Text as it came in a user's file: what in it is no UTF-8, and how it is shown where it is refused."""

from typing import Any

SHOWN = 200
"""characters of a refused text: enough to find it, too few to copy an over-long file"""


def broken_byte(text: str) -> str | None:
    """Where a text holds something that is no UTF-8, or None: `byte 0xe9 at character 4`.

    Bytes that are none stand in it as the lone surrogates of Python's `surrogateescape`.
    """
    for place, character in enumerate(text, start=1):
        code = ord(character)
        if 0xD800 <= code <= 0xDFFF:
            what = f"byte 0x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"lone surrogate U+{code:04X}"
            return f"{what} at character {place}"
    return None


def shown(text: str) -> str:
    """The beginning of a text, with bytes that were no UTF-8 as `\\xe9` and other lone surrogates as `\\ud800`."""
    readable = "".join(
        f"\\x{ord(character) - 0xDC00:02x}" if 0xDC80 <= ord(character) <= 0xDCFF else character
        for character in text[: SHOWN + 1]
    )
    readable = readable.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return readable if len(readable) <= SHOWN else readable[:SHOWN] + "…"


def parquet_cells(column: Any) -> list[Any]:
    """The cells of a column; strings by way of their bytes, since Parquet does not check that they are UTF-8.

    Bytes that are none become lone surrogates, as `surrogateescape` has them.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column.to_pylist()
    cells = column.cast(pa.large_binary()).to_pylist()
    return [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in cells]
