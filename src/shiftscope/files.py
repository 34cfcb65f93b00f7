"""Files that are never half-written, and the digests by which the workflow compares them."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    import pyarrow


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success fsync it and rename it to `path`, on failure remove it.

    The file gets the permissions of an ordinary new file, whatever wrote it (safetensors makes private ones).
    A reader sees the old file, the new file or no file, never a part of one. Works for whatever writes to a name
    (pyarrow, safetensors, matplotlib).

    Raises:
        ShiftScopeError: the folder cannot be written or the disk is full; names the path and what to do.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    except Exception as error:
        cause = _system_error(error)
        if cause is None:
            raise
        raise ShiftScopeError(cannot_write(path, cause)) from error
    finally:
        with suppress(OSError):  # the folder is gone or read-only: the error that says so is already on its way
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return mask


def _system_error(error: Exception) -> OSError | None:
    """The operating system's failure behind an exception: safetensors wraps it into one of its own, as text."""
    if isinstance(error, OSError):
        return error
    code = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(code[1]), os.strerror(int(code[1]))) if code else None


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):  # some network file systems cannot sync a folder; the file's own bytes are already safe
        os.fsync(descriptor)
    os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> str:
    """One line for a failed write: what, why, and what to do about it."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full while writing {path}: free some space{_of_disk(path)} and run again; nothing half-written "
            "is left"
        )
    return f"cannot write {path}: {reason}. Check that the folder exists, is writable and is not mounted read-only"


def _of_disk(path: Path) -> str:
    """Which file system that is, and how much of it is left; nothing where the system does not tell."""
    try:
        place, free = disk_of(path)
        return f" on {place} ({shown_bytes(free)} are left)"
    except OSError:
        return ""


def disk_of(path: Path) -> tuple[Path, int]:
    """Where the file system is mounted on which a path is or will be, and how many bytes are left there.

    Raises:
        OSError: the system does not tell.
    """
    place = path.absolute()
    while not os.path.ismount(place):
        place = place.parent
    return place, shutil.disk_usage(place).free


def shown_bytes(number: int) -> str:
    """A number of bytes for people: `1.3 GB`."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if number >= 10**power:
            return f"{number / 10**power:.1f} {unit}"
    return f"{number} bytes"


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value (sorted keys, no spaces): equal values give equal strings.

    Raises:
        ValueError: `value` holds NaN or infinity, which JSON cannot.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        ShiftScopeError: the file is not JSON; names the file and the place.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ShiftScopeError(f"{path} is not readable JSON ({error}): delete it and run again") from error


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_sha256(file: Path, expected: str, what: str, fix: str) -> None:
    """Compare a file's sha256 with the one that it must have.

    Raises:
        ShiftScopeError: they differ; names both.
    """
    found = sha256_of(file)
    if found != expected:
        raise ShiftScopeError(f"{what} has sha256 {found}, but must have {expected}: {fix}")


def write_tensors(path: str | Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write named numpy arrays of any shape as safetensors, atomically and with the same bytes for the same content.

    safetensors orders its metadata by a hash that changes with every process, so more than one key would make two
    equal files differ: everything goes as canonical JSON under the one key `shiftscope`.
    """
    import numpy as np
    from safetensors.numpy import save_file

    arrays = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    with atomic(path) as temporary:
        save_file(arrays, temporary, {"shiftscope": canonical_json(dict(metadata or {}))})


def write_stacked(path: str | Path, count: int, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `count` sets of numpy arrays as `write_tensors` writes them stacked, `[count, …]`, holding two sets at most.

    All have the same names, shapes and types. The layout is that of safetensors, to the byte: the length of the header in
    8 bytes, the header as JSON, then the arrays, wider types first and else by name.

    Raises:
        ValueError: there are other than `count` sets, or one is unlike the first.
    """
    import numpy as np

    with atomic(path) as temporary, temporary.open("wb") as out:
        places: dict[str, tuple[int, np.dtype, tuple[int, ...]]] = {}
        written = 0
        for written, given in enumerate(rows, 1):
            arrays = {name: np.asarray(array, order="C") for name, array in given.items()}
            if not places:
                places, header = _layout(count, arrays)
                out.write(header)
            if {name: (array.dtype, array.shape) for name, array in arrays.items()} != {
                name: (dtype, shape) for name, (_, dtype, shape) in places.items()
            }:
                raise ValueError(f"set {written - 1} of {path} has other arrays than the first")
            for name, array in arrays.items():
                out.seek(places[name][0] + (written - 1) * array.nbytes)
                out.write(array.data if array.ndim else array.tobytes())
        if written != count:
            raise ValueError(f"{count} sets of arrays were announced for {path}, and {written} came")


SAFETENSORS = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "float16": "F16", "int32": "I32", "float32": "F32", "float64": "F64",
    "int64": "I64",
}  # fmt: skip
"""types of stacked arrays, and what safetensors calls them, in the order from which it writes the last first"""


def _layout(count: int, arrays: Mapping[str, Any]) -> tuple[dict[str, tuple[int, Any, tuple[int, ...]]], bytes]:
    """Where each stacked array begins, with the type and shape of one of its rows; and the header."""
    rank = list(SAFETENSORS)
    order = sorted(arrays, key=lambda name: (-rank.index(str(arrays[name].dtype)), name))
    header: dict[str, Any] = {"__metadata__": {"shiftscope": "{}"}}
    starts, end = {}, 0
    for name in order:
        array, starts[name] = arrays[name], end
        end += count * array.nbytes
        kind = SAFETENSORS[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": [count, *array.shape], "data_offsets": [starts[name], end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    first = 8 + len(text)
    places = {name: (first + starts[name], arrays[name].dtype, arrays[name].shape) for name in order}
    return places, len(text).to_bytes(8, "little") + text


def read_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `write_tensors` wrote: `(arrays by name, metadata)`.

    Raises:
        ShiftScopeError: the file is truncated or not safetensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = json.loads((opened.metadata() or {}).get("shiftscope", "{}"))
            return {name: opened.get_tensor(name) for name in opened.keys()}, metadata  # noqa: SIM118
    except SafetensorError as error:
        raise ShiftScopeError(f"{path} is damaged ({error}): delete it and run again") from error


def read_parquet(path: str | Path, columns: list[str] | None = None) -> "pyarrow.Table":
    """A Parquet file as a table. It is pyarrow's `read_table`, which loads half a second of code for folders of files.

    Raises:
        pyarrow.ArrowInvalid: it is no Parquet file.
    """
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as opened:
        return opened.read(columns)
