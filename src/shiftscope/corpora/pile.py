"""The Pile (Gao et al. 2020): streamed from the Hugging Face Hub, or of a folder in the same form.

Paper B reads "a duplicated copy of The Pile" (App. H.3) with Pythia-70M, so not the deduplicated one of the Pythia suite.
What is known of the repositories, none of which B names:

    monology/pile-uncopyrighted     duplicated: the original files, `train/00.jsonl.zst` to `29`, without the subsets that were
                                    withdrawn for copyright (Books3, BookCorpus2, OpenSubtitles, YTSubtitles, OWT2). The commit
                                    that others pin is 3be90335b66f24456a5d6659d9c8d208c0357119
    EleutherAI/the_pile_deduplicated    deduplicated: not what B read
    EleutherAI/pile                 a loading script, whose files are no longer served; `datasets` runs no scripts

Who has the original files (`*.jsonl.zst`, columns `text` and `meta`) names their folder as `path`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from shiftscope.corpora._files import batches_of_files
from shiftscope.corpora._hub import opened, rows_of
from shiftscope.corpora._text import Batch, Item, TextCorpus
from shiftscope.kinds import UserPath


class Pile(TextCorpus):
    """`repo_id`, `revision` (a commit) and `split` of the hub, or `path`: a file or folder on this machine.

    Nothing is deduplicated: that the copy has duplicates is part of what paper B reads.
    """

    repo_id: str | None = Field(None, pattern=r"^\w[\w.-]*/[\w.-]+$")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="a commit of the repository, 40 digits")
    split: str = "train"
    path: UserPath | None = None
    deduplicate: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Pile:
        if bool(self.path) == bool(self.repo_id) or bool(self.repo_id) != bool(self.revision):
            raise ValueError("give either repo_id with revision (a commit of 40 digits), or path")
        return self

    @property
    def user_path(self) -> Path | None:
        """The file or folder, if it is read from one."""
        return self.path

    def batches(self, after: Any) -> Iterator[Batch]:
        """The documents of the files, or of the stream.

        Raises:
            ShiftScopeError: the repository cannot be read.
        """
        if self.path:
            yield from batches_of_files(self.path, "text", after)
            return
        source = f"{self.repo_id}/{self.split}"
        seen, before = after or (0, None)
        for rows, state in rows_of(opened(self.repo_id, self.revision, self.split), source, before):
            items = [_item(source, number, row) for number, row in enumerate(rows, start=seen + 1)]
            seen += len(rows)
            yield items, (seen, state)


def _item(source: str, number: int, row: dict[str, Any]) -> Item:
    return Item(source, number, row["text"]) if "text" in row else Item(source, number, "", "no text")
