"""The built-in pair datasets, each built once, and the words that they are made of."""

import csv
import functools
from pathlib import Path
from typing import Any

from shiftscope import kinds
from shiftscope.pairs.base import Pair, Pairs, write_pairs
from shiftscope.word_lists import word_files

WORDS = ["lang_1_1", "gender_1_1", "binary_2_2", "corr_2_1"]
BUILT_IN = [*WORDS, "cat_135_3"]


@functools.cache
def build(kind: str, **params: Any) -> Pairs:
    return kinds.load("pairs", kind)(**params).build()


def words_of(kind: str) -> list[list[str]]:
    with word_files([kind])[0].open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))[1:]


def texts_of(rows: list[Pair]) -> set[str]:
    return {text for pair in rows for text in (pair.text_0, pair.text_1)}


def write(built: Pairs, folder: Path) -> list[Path]:
    paths = [folder / name for name in ("pairs.parquet", "rejected.csv", "manifest.json")]
    write_pairs(built, "one", "some_kind", *paths)
    return paths
