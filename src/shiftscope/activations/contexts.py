"""Tokens of a corpus in their context, as text: found in the windows in which a language model read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shiftscope.activations.windows import Windows, WindowsFacts, read_windows
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BEFORE, AFTER = 12, 6
"""tokens that are shown on either side, of the same document and window"""
AT_ONCE = 4096
"""windows that are searched at a time"""


class Context(NamedTuple):
    """A token, and what stands around it, as text."""

    before: str
    token: str
    after: str


def contexts(windows: Path, manifest: Path, places: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> list[Context]:
    """The contexts of tokens, in the order of `places`; one pass over the windows, a few at a time.

    Nothing is shown of other documents, which the language model also read, nor of separators.

    Args:
        windows: the windows of a corpus for a language model.
        manifest: their manifest.
        places: document and position of each token, int `[tokens, 2]`.
        tokenizer: of the language model.

    Raises:
        ShiftScopeError: a token is in no window.
    """
    facts: WindowsFacts = read_json(manifest)
    wanted = _keys(places[:, 0], places[:, 1])
    order = np.argsort(wanted)
    found: dict[int, tuple[np.ndarray, int]] = {}
    total = sum(facts["windows"].values())
    for first in range(0, total, AT_ONCE):
        some = read_windows(windows, first, min(first + AT_ONCE, total))
        keys = _keys(some.document, some.position)
        for row, column in np.argwhere(np.isin(keys, wanted)):
            found[int(keys[row, column])] = _around(some, row, column)
    missing = [place.tolist() for place, key in zip(places, wanted.tolist(), strict=True) if key not in found]
    if missing:
        raise ShiftScopeError(
            f"{windows} lacks token {missing[0][1]} of document {missing[0][0]}, which the store of activations has: one "
            "of the two is of an earlier run; delete both, and `make run` makes them again"
        )
    texts = {key: as_text(tokenizer, *found[key]) for key in wanted[order].tolist()}
    return [texts[key] for key in wanted.tolist()]


def as_text(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray, place: int) -> Context:
    """The text of tokens, cut before and behind the one at `place`.

    Where a character is several tokens, what is less than a character is U+FFFD.
    """
    before, upto, whole = (_text(tokenizer, ids[:end]) for end in (place, place + 1, len(ids)))
    if upto.startswith(before) and whole.startswith(upto):
        return Context(before, upto[len(before) :], whole[len(upto) :])
    return Context(before, _text(tokenizer, ids[place : place + 1]), _text(tokenizer, ids[place + 1 :]))


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray) -> list[str]:
    """The text of single tokens as each stands behind others: many a tokenizer drops a space where a text begins."""
    first = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
    return [as_text(tokenizer, np.array([*first, number]), len(first)).token for number in ids.tolist()]


def _text(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray) -> str:
    return tokenizer.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _keys(document: np.ndarray, position: np.ndarray) -> np.ndarray:
    """One whole number per place."""
    return (document.astype(np.int64) << 32) | (position.astype(np.int64) & 0xFFFFFFFF)


def _around(some: Windows, row: int, column: int) -> tuple[np.ndarray, int]:
    """The tokens around one of a window that are of its document, and its place among them."""
    first, last = max(column - BEFORE, 0), column + AFTER + 1
    mine = np.flatnonzero(some.document[row, first:last] == some.document[row, column])
    return some.token[row, first:last][mine], int(np.searchsorted(mine, column - first))
