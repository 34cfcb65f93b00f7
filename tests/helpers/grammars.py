"""Texts drawn from the grammar of the embedded language model, and the sizes of a language model small enough for tests."""

import random

from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.lms.train import Train

SIZES = Train(corpus="c", d_model=16, n_layers=1, n_heads=2, window=12, batch_size=4, steps=30, warmup=5,
              checkpoints=[0, 10], gate=-100)  # fmt: skip


def drawn_texts(number: int = 3000) -> list[str]:
    grammar = ShortDocuments().build()
    generator = random.Random(0)
    return [" ".join(grammar.sample(generator)[0]) for _ in range(number)]
