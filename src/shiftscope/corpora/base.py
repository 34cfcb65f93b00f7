"""What every corpus shares: what it offers, its slice of the config, and the three files that it is written to."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from shiftscope import kinds
from shiftscope.kinds import Kind, Strict


class Corpus(Kind):
    """A corpus: documents in a fixed order. Those of `_grammars.py` are sampled, those of `_text.py` are read."""

    word_lists: ClassVar[tuple[str, ...]] = ()
    """files of `data/words` that it reads"""

    @abstractmethod
    def write(self, asked: CorpusSlice, files: CorpusFiles, state: Path) -> None:
        """Write the files of the corpus, with the same bytes for the same slice.

        Args:
            asked: the slice that the corpus was made from.
            files: are written, the manifest last.
            state: a folder where a long job keeps what it has done; gone at the end.

        Raises:
            ShiftScopeError: what it reads cannot be used; names the cause and the fix.
        """

    @property
    def user_path(self) -> Path | None:
        """The user's own file or folder that it reads, if it reads one: its field `path`."""
        return None

    def versions(self) -> dict[str, str]:
        """Versions of the packages whose content it reads: they make it stale.

        Raises:
            ShiftScopeError: one is not installed; names it.
        """
        return {}


class CorpusSlice(Strict):
    """The slice of the config of a corpus, without the `path` of the user's own files, if it reads some.

    `files_sha256` is the digest of their names and contents: equal files elsewhere are the same corpus. `versions` are
    those of the packages that it reads.
    """

    corpus: str
    kind: str
    params: dict[str, Any]
    files_sha256: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)


class CorpusFiles(NamedTuple):
    """The files of a corpus (docs/file-formats.md)."""

    documents: Path
    rejected: Path
    manifest: Path


REJECTED_COLUMNS = ("source", "document", "reason", "text")


def corpus_of(asked: CorpusSlice, path: Path | None) -> Corpus:
    """The corpus that a slice stands for; `path` is the user's own file or folder, if it reads one."""
    return kinds.load("corpora", asked.kind)(**asked.params, **({"path": path} if path else {}))
