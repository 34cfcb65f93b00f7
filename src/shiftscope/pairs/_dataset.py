"""A dataset of Hugging Face's `datasets` as a table: from the hub by its id and revision, or from a folder."""

from __future__ import annotations

import itertools
from pathlib import Path

from shiftscope.corpora._hub import opened, rows_of
from shiftscope.errors import ShiftScopeError
from shiftscope.pairs._table import FileRow, Table

MOST_ROWS = 100_000
"""of a dataset: more pairs than anybody embeds"""


def is_dataset(folder: Path) -> bool:
    """Whether `datasets` can make something of a folder: what it saved there, or a copy of a repository with its card or data."""
    saved = ("dataset_info.json", "dataset_dict.json", "state.json")
    card = folder / "README.md"
    return folder.is_dir() and (
        any((folder / name).exists() for name in saved)
        or (card.is_file() and card.read_bytes()[:3] == b"---")
        or (folder / "data").is_dir()
    )


def read_folder(folder: Path, split: str) -> Table:
    """The rows of a split of a dataset in a folder; none of its code is run.

    Raises:
        ShiftScopeError: `datasets` cannot read it, or it has no such split.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
            found = datasets.load_from_disk(str(folder))
            found = found[split] if isinstance(found, dict) else found
        else:
            found = datasets.load_dataset(str(folder), split=split, streaming=True)
    except KeyError:
        raise ShiftScopeError(
            f"{folder} has no split {split!r}: its splits are {', '.join(found)}: set `split`"
        ) from None
    except Exception as error:  # whatever its readers of files raise
        reason = str(error).splitlines()[0]
        raise ShiftScopeError(
            f"`datasets` cannot read {folder} ({reason}): name a file in it, or several: path: {folder}/*.jsonl"
        ) from error
    return _table(list(itertools.islice(found, MOST_ROWS + 1)), str(folder))


def read_hub(repo_id: str, revision: str, split: str) -> Table:
    """The rows of a split of a dataset of the hub, at one revision.

    Raises:
        ShiftScopeError: it is missing, gated or offline, or has no such revision or split.
    """
    batches = rows_of(opened(repo_id, revision, split), repo_id, None)
    rows = itertools.chain.from_iterable(rows for rows, _ in batches)
    return _table(list(itertools.islice(rows, MOST_ROWS + 1)), repo_id)


def _table(rows: list[dict], what: str) -> Table:
    if not rows:
        raise ShiftScopeError(f"{what} holds no rows in this split")
    if len(rows) > MOST_ROWS:
        raise ShiftScopeError(f"{what} has more than {MOST_ROWS:,} rows: a few thousand pairs are enough, so write some of them to a file")  # fmt: skip
    return Table(list(rows[0]), [FileRow(number, dict(cells)) for number, cells in enumerate(rows, start=1)])
