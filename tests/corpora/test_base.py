import pyarrow.parquet as pq

from shiftscope.corpora.base import write_corpus
from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.files import read_json, sha256_of


def test_a_corpus_has_the_same_bytes_each_time_and_says_what_is_in_it(tmp_path):
    law = ShortDocuments(documents=200, seed=3)
    for name in ("once", "again"):
        write_corpus(law, "small", "grammar", tmp_path / f"{name}.parquet", tmp_path / f"{name}.json")
    for ending in ("parquet", "json"):
        assert (tmp_path / f"once.{ending}").read_bytes() == (tmp_path / f"again.{ending}").read_bytes()
    table, facts = pq.read_table(tmp_path / "once.parquet"), read_json(tmp_path / "once.json")
    assert facts["sha256"] == sha256_of(tmp_path / "once.parquet")
    assert (facts["corpus"], facts["kind"], facts["documents"], facts["null"]) == ("small", "grammar", 200, ["bullet"])
    assert facts["words"] == sum(len(text.split()) for text in table["text"].to_pylist())
    assert table.column_names == ["text", *law.build().concepts]
    for name, values in facts["concepts"].items():
        assert set(table[name].to_pylist()) <= set(values)
    write_corpus(law.model_copy(update={"seed": 4}), "small", "grammar", tmp_path / "o.parquet", tmp_path / "o.json")
    assert facts["sha256"] != sha256_of(tmp_path / "o.parquet")
