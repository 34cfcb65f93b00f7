"""Corpora as a job writes them, and what then stands in their files."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from shiftscope.corpora.base import Corpus, CorpusFiles, CorpusSlice
from shiftscope.files import read_json


class Written(NamedTuple):
    """The files of a corpus, read."""

    texts: list[str]
    sources: list[str]
    rejected: list[dict[str, str]]
    facts: dict[str, Any]
    bytes: tuple[bytes, ...]

    @property
    def reasons(self) -> dict[str, str]:
        """Why a document was left out, by `source:document`."""
        return {":".join(filter(None, [row["source"], row["document"]])): row["reason"] for row in self.rejected}


def files_in(folder: Path) -> CorpusFiles:
    return CorpusFiles(*(folder / name for name in ("documents.parquet", "rejected.csv", "manifest.json")))


def write(corpus: Corpus, folder: Path, kind: str = "text", state: Path | None = None) -> Written:
    """Write a corpus called `small`."""
    params = {key: value for key, value in corpus.model_dump(mode="json").items() if key != "path"}
    asked = CorpusSlice(corpus="small", kind=kind, params=params, versions=corpus.versions())
    corpus.write(asked, files_in(folder), state or folder / "state")
    return read(folder)


def read(folder: Path) -> Written:
    files = files_in(folder)
    table = pq.read_table(files.documents)
    sources = table["source"].to_pylist() if "source" in table.column_names else []
    with files.rejected.open(encoding="utf-8", newline="") as opened:
        rejected = list(csv.DictReader(opened))
    content = tuple(file.read_bytes() for file in files)
    return Written(table["text"].to_pylist(), sources, rejected, read_json(files.manifest), content)
