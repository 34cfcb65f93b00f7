"""What made each output, shared through git and tied to the output's bytes.

Snakemake judges what is stale by `.snakemake/metadata`: the command, parameters, input set and input checksums of the
job that wrote each output. That folder never leaves the machine, so after `git clone` and `dvc pull`, or after a
change of branch, Snakemake is blind (dvc#8602, dvc#10347, snakemake#2977). `results/provenance.jsonl` is its copy in
git: a line per output with the sha256 of that output, so that a line is only ever applied to the bytes it is about.

`restore` runs while the Snakefile is parsed, `record` when a run has ended, well or not. For each output:

    written here and untouched, and git has brought no news of it   Snakemake's own record stands
    its sha256 is that of a line                                    the line becomes Snakemake's record
    neither                                                         its record becomes UNKNOWN: it is made again
    not here (not pulled), and one line is about it                 the line, to judge what was made from it

Outputs themselves are never touched. The record format is Snakemake's internal one: a version with another format is
refused, not guessed at.
"""

import base64
import fcntl
import hashlib
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import canonical_json, sha256_of, write_text
from shiftscope.workflow.paths import LEDGER, NOT_OUTPUTS, RESULTS

NOTES = Path(".snakemake/shiftscope.json")
"""this machine's notes: the digest of each file by its stat signature, and which lines of the ledger were seen"""
RECORD_FORMAT = 6
UNKNOWN = "<these bytes are not those that were recorded>"
"""the only parameter in the record of an output of which nothing is known: no job has it, so the job runs"""
RECORDED = ("rule", "code", "params", "log")
"""fields that a line takes from Snakemake's record as they are; `inputs` joins its inputs and their checksums"""
MADE_WITH = ("snakemake", "torch", "cooper-optim", "transformers", "numpy", "scipy", "scikit-learn")

Line = dict[str, Any]


class Records:
    """`.snakemake/metadata`, through Snakemake's own reader and writer.

    Raises:
        ShiftScopeError: the installed Snakemake keeps its records in another way than this module knows.
    """

    def __init__(self) -> None:
        try:
            from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
            from snakemake.persistence.file import FilePersistence

            if RECORD_FORMAT_VERSION != RECORD_FORMAT:
                raise AttributeError(f"record format {RECORD_FORMAT_VERSION}")
            self._store = FilePersistence(nolock=True)
            self._known: dict[str, Any] = {}
            self._record = MetadataRecord
            self._folder = Path(self._store._metadata_path)
            self._read, self._write = self._store._read_record, self._store._write_record
            self._unfinished, self._finish = self._store._filter_incomplete_keys, self._store._unmark_incomplete
            missing = {*RECORDED, "input", "input_checksums", "starttime", "endtime"} - set(MetadataRecord.model_fields)
            if missing:
                raise AttributeError(f"no {sorted(missing)[0]} in its records")
        except (ImportError, AttributeError) as error:
            raise ShiftScopeError(
                f"snakemake {_version('snakemake')} keeps its records otherwise than format {RECORD_FORMAT} ({error}), so "
                "what is stale cannot be told: `make install` installs the version that ShiftScope was tested with"
            ) from error

    def paths(self) -> Iterator[str]:
        """Every output that has a record."""
        for folder, _, files in os.walk(self._folder):
            parts = [part.removeprefix("@") for part in Path(folder).relative_to(self._folder).parts]
            for file in files:
                yield base64.urlsafe_b64decode("".join([*parts, file])).decode()

    def get(self, path: str) -> Any:
        """Snakemake's record of an output, None if there is none."""
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def put(self, path: str, **fields: Any) -> None:
        """Replace the record of an output."""
        record = self._record(record_format_version=RECORD_FORMAT, incomplete=False, **fields)
        if record != self.get(path):
            self._write(path, record)
            self._known[path] = record
            self._store._clear_cache()

    def unfinished(self, paths: Iterable[str]) -> set[str]:
        """Outputs whose job was started and never ended."""
        return self._unfinished(paths)

    def finish(self, path: str) -> None:
        """Forget that the job of an output did not end."""
        self._finish(path)


def is_here(path: str) -> bool:
    """Whether an output of this project (a user's own file has an absolute path) is on this machine."""
    return not Path(path).is_absolute() and Path(path).is_file()


def mtime(path: str) -> float:
    """The modification time that Snakemake goes by: of a link, the link's own."""
    return os.lstat(path).st_mtime


def describes(record: Any, path: str) -> bool:
    """Whether a record was written for the file that is there now, and says what made it."""
    return bool(record and record.endtime) and abs(record.endtime - mtime(path)) < 1e-6 and record.params != [UNKNOWN]


def signature(path: str) -> list[int]:
    """What changes whenever a file's content does, but for deliberate deceit: size, mtime, ctime, inode."""
    stat = Path(path).stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def digests(paths: Iterable[str], notes: dict) -> dict[str, str]:
    """sha256 of files; one is only read if its signature is not that with which it was last read."""
    known = notes.setdefault("sha256", {})
    signatures = {path: signature(path) for path in paths}
    new = [path for path, signed in signatures.items() if known.get(path, [None])[0] != signed]
    with ThreadPoolExecutor(8) as pool:
        known |= {path: [signatures[path], digest] for path, digest in zip(new, pool.map(sha256_of, new), strict=True)}
    return {path: known[path][1] for path in signatures}


def read_ledger() -> dict[str, list[Line]]:
    """The ledger's lines by output."""
    return lines_of(LEDGER.read_text(encoding="utf-8") if LEDGER.exists() else "")


def lines_of(text: str) -> dict[str, list[Line]]:
    """Lines by output; several after a merge (`merge=union`), and all of them are true.

    Raises:
        ShiftScopeError: the ledger is not what `record` writes; names the line.
    """
    lines: dict[str, list[Line]] = defaultdict(list)
    for number, row in enumerate(text.splitlines(), 1):
        try:
            line = json.loads(row)
            lines[line["output"]].append(line)
        except (ValueError, KeyError, TypeError) as error:
            raise ShiftScopeError(
                f"{LEDGER} line {number} cannot be read ({error}): it is a merge that was not finished, or was edited; "
                f"take it back from git (`git checkout -- {LEDGER}`)"
            ) from error
    return lines


def write_ledger(lines: dict[str, list[Line]]) -> None:
    """Write the ledger, sorted by output, if that changes it."""
    text = "".join(canonical_json(line) + "\n" for path in sorted(lines) for line in lines[path])
    if text and (not LEDGER.exists() or LEDGER.read_text(encoding="utf-8") != text):
        write_text(LEDGER, text)


@contextmanager
def locked_notes() -> Iterator[dict]:
    """This machine's notes, for one process at a time; written back if they changed."""
    NOTES.parent.mkdir(parents=True, exist_ok=True)
    with NOTES.with_suffix(".lock").open("w") as lock:
        with suppress(OSError):  # a network file system without locks: notes only save work
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            before = NOTES.read_text(encoding="utf-8")
            notes = json.loads(before)
        except (OSError, ValueError):
            before, notes = "", {}  # none yet, or damaged: files are read again
        yield notes
        notes["sha256"] = {path: known for path, known in notes.get("sha256", {}).items() if os.path.lexists(path)}
        after = canonical_json(notes)
        if after != before:
            write_text(NOTES, after)


def _seen(lines: list[Line]) -> str:
    return hashlib.sha256(canonical_json(lines).encode()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _fields(line: Line) -> dict[str, Any]:
    """What a line says, as fields of Snakemake's record."""
    checksums = {path: checksum for path, checksum in line["inputs"].items() if checksum}
    return {key: line[key] for key in RECORDED} | {"input": sorted(line["inputs"]), "input_checksums": checksums}


def _line(path: str, digest: str, record: Any) -> Line:
    """What Snakemake's record says, as a line."""
    inputs = {name: record.input_checksums.get(name) for name in record.input}
    return {"output": path, "sha256": digest, "inputs": inputs} | {key: getattr(record, key) for key in RECORDED}


def record() -> None:
    """Bring every output that Snakemake's records describe into the ledger."""
    made_with = f"python {platform.python_version()} {platform.system().lower()} {platform.machine()} " + " ".join(
        f"{package} {_version(package)}" for package in MADE_WITH
    )
    with locked_notes() as notes:
        lines = read_ledger()
        records = Records()
        here = [path for path in records.paths() if is_here(path)]
        mine = {path: rec for path in here if describes(rec := records.get(path), path)}
        found = digests(mine, notes)
        for path, rec in mine.items():
            line = _line(path, found[path], rec)
            same = [known for known in lines[path] if all(known.get(key) == value for key, value in line.items())]
            seconds = round(max(0.0, rec.endtime - (rec.starttime or rec.endtime)), 1)
            lines[path] = same[:1] or [line | {"seconds": seconds, "made_with": made_with}]
        write_ledger(lines)
        notes["lines"] = {path: _seen(about) for path, about in lines.items()}


def restore() -> None:
    """Bring Snakemake's records to what is true of the files that are there, by the table above."""
    with locked_notes() as notes:
        lines, records = read_ledger(), Records()
        seen = notes.get("lines", {})
        notes["lines"] = {path: _seen(about) for path, about in lines.items()}
        outputs = {*lines, *records.paths(), *_made()}
        there = {path for path in outputs if is_here(path)}
        unfinished = records.unfinished(outputs)
        before = {path: entry[1] for path, entry in notes.get("sha256", {}).items()}
        written = {path: entry[0][1] for path, entry in notes.get("sha256", {}).items()}
        found = digests([path for path in there if path in lines], notes)
        for path in there:
            rec = records.get(path)
            news = seen.get(path) != notes["lines"].get(path)
            known = [line for line in lines.get(path, ()) if line["sha256"] == found[path]]
            # the clock was turned back after these bytes were changed
            forged = path in found and before.get(path, found[path]) != found[path]
            forged = forged and written[path] == signature(path)[1]
            own = describes(rec, path) and not forged
            if known and (news or not own):
                _apply(records, path, _truest(known, notes))
                records.finish(path)
            elif not own and path not in unfinished and (not rec or rec.params != [UNKNOWN]):
                records.put(path, params=[UNKNOWN], endtime=mtime(path))
        for path in lines.keys() - there - unfinished:
            if len(lines[path]) == 1:
                records.put(path, **_fields(lines[path][0]), starttime=0, endtime=0)
        _show_changes(records, there, notes)


def _made() -> Iterator[str]:
    """Files of `results/` that may be outputs."""
    for folder, folders, files in os.walk(RESULTS):
        if Path(folder) == RESULTS:
            folders[:] = [name for name in folders if name not in NOT_OUTPUTS]
        yield from (f"{folder}/{file}" for file in files if file.endswith((".json", ".safetensors", ".parquet")))


def _truest(known: list[Line], notes: dict) -> Line:
    """Of lines about the same bytes (two clones made them from different inputs) the one whose inputs are here."""
    if len(known) == 1:
        return known[0]
    inputs = {path for line in known for path in line["inputs"] if Path(path).is_file()}
    found = digests(inputs, notes)
    return max(known, key=lambda line: sum(line["inputs"].get(path) == f"sha256:{found[path]}" for path in inputs))


def _apply(records: Records, path: str, line: Line) -> None:
    end = mtime(path)
    records.put(path, **_fields(line), starttime=end - line["seconds"], endtime=end)


def _copy(record: Any) -> dict[str, Any]:
    """The fields of a record that `put` does not set itself."""
    return {key: value for key, value in record.items() if key not in ("record_format_version", "incomplete")}


def _show_changes(records: Records, outputs: Iterable[str], notes: dict) -> None:
    """Make a changed input newer than what was made from it: of older ones Snakemake never looks at the content.

    Such are files that were moved, or copied with their time stamps.
    """
    made = {path: rec for path in outputs if (rec := records.get(path)) and rec.input_checksums}
    inputs = {name for rec in made.values() for name in rec.input_checksums if Path(name).is_file()}
    found = digests(inputs, notes)
    now = time.time()
    checksums = ((path, *pair) for path, rec in made.items() for pair in rec.input_checksums.items())
    for path, name, checksum in checksums:
        if name in found and checksum != f"sha256:{found[name]}" and mtime(name) <= mtime(path):
            own = records.get(name) if describes(records.get(name), name) else None
            os.utime(name, (now, now), follow_symlinks=False)
            if own:
                records.put(name, **_copy(own) | {"endtime": mtime(name)})
