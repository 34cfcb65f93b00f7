"""Texts that are embedded, what the plain way reads of them, and tables of pairs."""

import numpy as np
import pyarrow as pa
import torch

from shiftscope.activations.last_token import embed_layers

TOLERANCE = 1e-5
"""of a row's norm: what `embed_layers` promises"""
TEMPLATED = [
    f"the color is {color} . the shape is {shape} . in one word :"
    for color in ("red", "blue", "green")
    for shape in ("vase", "book", "lamp", "a vase", "a book")
]
TEXTS = ["king", "the queen is red", *TEMPLATED, "roi", "a", "the king is a queen", "king", "reine : red"]


def embed(model, tokenizer, texts, layer, **how):
    """What `embed_layers` reads at one layer, `[n, d]`."""
    return embed_layers(model, tokenizer, texts, [layer], **how)[layer]


def alone(model, tokenizer, text, layer):
    """The activation read the plain way: one text, all hidden states."""
    with torch.inference_mode():
        states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
    state = states[-1] if layer == "final_norm" else states[int(layer.split(".")[1]) + 1]
    return state[0, -1].numpy()


def distance(found, expected):
    """Largest distance between rows, in units of the expected row's norm."""
    return (np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)).max()


def table(texts_0, texts_1):
    n = len(texts_0)
    return pa.table(
        {
            "text_0": texts_0,
            "text_1": texts_1,
            "split": [("train", "test", "single")[row % 3] for row in range(n)],
            "group": pa.array([row // 2 for row in range(n)], pa.int64()),
            "concept": pa.array([row % 2 - 1 for row in range(n)], pa.int64()),
            "sign": pa.array([-(row % 2) for row in range(n)], pa.int8()),
            "back": pa.array([row % 2 == 1 for row in range(n)], pa.bool_()),
            "truth.onehot": pa.array([[row, 0.5] for row in range(n)], pa.list_(pa.float32())),
        }
    )
