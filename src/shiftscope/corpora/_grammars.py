"""Corpora of text whose concepts are known: sampled from a grammar."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from pydantic import Field

from shiftscope import kinds
from shiftscope.corpora.base import REJECTED_COLUMNS, Corpus, CorpusFiles, CorpusSlice
from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, sha256_of, write_json, write_text

if TYPE_CHECKING:
    from shiftscope.generative.grammar import Grammar


class GrammarCorpus(Corpus):
    """How many documents are drawn, from which grammar. None is left out, and none deduplicated: that is the law."""

    null: ClassVar[tuple[str, ...]] = ()
    """concepts of which nothing follows"""

    documents: int = Field(200_000, ge=1)
    seed: int = Field(0, ge=0)

    @abstractmethod
    def build(self) -> Grammar:
        """The grammar: concepts and the document."""

    def write(self, asked: CorpusSlice, files: CorpusFiles, state: Path) -> None:
        """Sample the documents: column `text`, and a column per concept; `state` stays empty, for it takes seconds."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        grammar = self.build()
        generator = random.Random(self.seed)
        drawn = [grammar.sample(generator) for _ in range(self.documents)]
        columns = {"text": pa.array([" ".join(text) for text, _ in drawn])}
        for name in grammar.concepts:
            columns[name] = pa.array([values[name] for _, values in drawn]).dictionary_encode()
        with atomic(files.documents) as temporary:
            pq.write_table(pa.table(columns), temporary, compression="zstd")
        write_text(files.rejected, ",".join(REJECTED_COLUMNS) + "\n")
        facts: GrammarManifest = {
            "corpus": asked.corpus,
            "kind": asked.kind,
            "params": self.model_dump(mode="json"),
            "documents": len(drawn),
            "words": sum(len(text) for text, _ in drawn),
            "vocabulary": len(grammar.vocabulary()),
            "concepts": {name: list(concept.values) for name, concept in grammar.concepts.items()},
            "null": list(self.null),
            "sha256": sha256_of(files.documents),
        }
        write_json(files.manifest, facts)


class GrammarManifest(TypedDict):
    """`manifest.json` of a corpus from a grammar (docs/file-formats.md)."""

    corpus: str
    kind: str
    params: dict[str, Any]
    documents: int
    words: int
    vocabulary: int
    concepts: dict[str, list[str]]
    null: list[str]
    sha256: str


def grammar_of(manifest: Mapping[str, Any]) -> Grammar:
    """The grammar of the corpus with this manifest.

    Raises:
        ShiftScopeError: its concepts are not known; names the corpus.
    """
    kind = kinds.load("corpora", manifest["kind"])
    if not issubclass(kind, GrammarCorpus):
        raise ShiftScopeError(
            f"corpus {manifest['corpus']} is of kind {manifest['kind']}, whose concepts nobody knows: a language model is "
            "trained on a grammar"
        )
    return kind(**manifest["params"]).build()
