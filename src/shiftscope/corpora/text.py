"""Any folder or file of text: `.txt` one document a file, `.jsonl` one a line, `.parquet` one a row (docs/corpora.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shiftscope.corpora._files import batches_of_files
from shiftscope.corpora._text import Batch, TextCorpus
from shiftscope.kinds import UserPath


class TextFiles(TextCorpus):
    """`path`: a file, or a folder whose files are read in the order of their names; `column`: the one that has the text.

    A collection of texts often holds some twice, and a model would be judged on what it has seen: they are left out.
    """

    path: UserPath
    column: str = "text"

    @property
    def user_path(self) -> Path:
        """The file or folder."""
        return self.path

    def batches(self, after: Any) -> Iterator[Batch]:
        """The documents of its files."""
        return batches_of_files(self.path, self.column, after)
