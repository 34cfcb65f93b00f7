"""Corpora of text whose concepts are known: sampled from a grammar, written as Parquet with a manifest."""

from __future__ import annotations

import random
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from pydantic import Field

from shiftscope.files import atomic, sha256_of, write_json
from shiftscope.kinds import Kind, Strict

if TYPE_CHECKING:
    from shiftscope.generative.grammar import Grammar


class Corpus(Kind):
    """A corpus: how many documents are drawn, from which grammar."""

    word_lists: ClassVar[tuple[str, ...]] = ()
    """files of `data/words` that the grammar reads"""
    null: ClassVar[tuple[str, ...]] = ()
    """concepts of which nothing follows"""

    documents: int = Field(200_000, ge=1)
    seed: int = Field(0, ge=0)

    @abstractmethod
    def build(self) -> Grammar:
        """The grammar: concepts and the document."""


class CorpusSlice(Strict):
    """The slice of the config of a corpus."""

    corpus: str
    kind: str
    params: dict[str, Any]


class CorpusManifest(TypedDict):
    """`manifest.json` of a corpus (docs/file-formats.md)."""

    corpus: str
    kind: str
    params: dict[str, Any]
    documents: int
    words: int
    vocabulary: int
    concepts: dict[str, list[str]]
    null: list[str]
    sha256: str


def write_corpus(definition: Corpus, corpus: str, kind: str, documents: Path, manifest: Path) -> None:
    """Sample the documents: column `text`, and a column per concept; the same bytes for the same params."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    grammar = definition.build()
    generator = random.Random(definition.seed)
    drawn = [grammar.sample(generator) for _ in range(definition.documents)]
    columns = {"text": pa.array([" ".join(text) for text, _ in drawn])}
    for name in grammar.concepts:
        columns[name] = pa.array([values[name] for _, values in drawn]).dictionary_encode()
    with atomic(documents) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    facts: CorpusManifest = {
        "corpus": corpus,
        "kind": kind,
        "params": definition.model_dump(mode="json"),
        "documents": len(drawn),
        "words": sum(len(text) for text, _ in drawn),
        "vocabulary": len(grammar.vocabulary()),
        "concepts": {name: list(concept.values) for name, concept in grammar.concepts.items()},
        "null": list(definition.null),
        "sha256": sha256_of(documents),
    }
    write_json(manifest, facts)
