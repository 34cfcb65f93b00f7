"""Corpora from a grammar, as they are written."""

import pyarrow.parquet as pq
import pytest
from helpers.corpora import files_in, write

from shiftscope.corpora._grammars import grammar_of
from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, sha256_of


def test_a_corpus_has_the_same_bytes_each_time_and_says_what_is_in_it(tmp_path):
    law = ShortDocuments(documents=200, seed=3)
    once, again = (write(law, tmp_path / name, "grammar") for name in ("once", "again"))
    assert once.bytes == again.bytes
    table, facts = pq.read_table(tmp_path / "once/documents.parquet"), once.facts
    assert facts["sha256"] == sha256_of(tmp_path / "once/documents.parquet")
    assert (facts["corpus"], facts["kind"], facts["documents"], facts["null"]) == ("small", "grammar", 200, ["bullet"])
    assert facts["words"] == sum(len(text.split()) for text in table["text"].to_pylist())
    assert table.column_names == ["text", *law.build().concepts]
    for name, values in facts["concepts"].items():
        assert set(table[name].to_pylist()) <= set(values)
    assert facts["sha256"] != write(law.model_copy(update={"seed": 4}), tmp_path / "o", "grammar").facts["sha256"]
    assert files_in(tmp_path / "once").rejected.read_text() == "source,document,reason,text\n"


def test_the_grammar_of_a_corpus_is_known_from_its_manifest(tmp_path):
    law = ShortDocuments(documents=100, noise=0.2)
    found = grammar_of(write(law, tmp_path, "grammar").facts)
    assert found.next_words(["red", "round", "lamp"]) == law.build().next_words(["red", "round", "lamp"])
    with pytest.raises(ShiftScopeError, match=r"^corpus mine is of kind text, whose concepts nobody knows"):
        grammar_of({"corpus": "mine", "kind": "text", "params": {}})
    assert read_json(tmp_path / "manifest.json")["documents"] == 100
