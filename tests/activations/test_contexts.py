"""Tokens in their context: found in windows, cut at the document, and decoded so that the token can be marked."""

import numpy as np
import pyarrow as pa
import pytest
from helpers.tiny_lms import WORDS, make_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from shiftscope.activations import contexts as module
from shiftscope.activations.contexts import as_text, contexts, token_texts
from shiftscope.activations.store import write_arrow
from shiftscope.errors import ShiftScopeError
from shiftscope.files import write_json


def write_windows(folder, token, document, position):
    columns = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(one, np.int32).reshape(-1)), len(one[0]))
        for name, one in (("token", token), ("document", document), ("position", position))
    }
    write_arrow(folder / "windows.arrow", columns)
    write_json(folder / "windows.json", {"windows": {"train": 1, "test": len(token) - 1}})
    return folder / "windows.arrow", folder / "windows.json"


def ids(*words):
    return [3 + WORDS.index(word) for word in words]


def test_only_the_documents_own_tokens_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    files = write_windows(
        tmp_path,
        [[1, *ids("the", "red", "vase"), 1, *ids("king", "queen")], [1, *ids("roi", "one", "word", "in", "a", "book")]],
        [[-1, 5, 5, 5, -1, 2, 2], [-1, 2, 2, 2, 2, 2, 2]],
        [[-1, 0, 1, 2, -1, 0, 1], [-1, 2, 3, 4, 5, 6, 7]],
    )
    places = np.array([[2, 3], [5, 1], [2, 0], [5, 1]])
    found = contexts(*files, places, make_tokenizer())
    assert found == [
        ("roi", " one", " word in a book"), ("the", " red", " vase"), ("", "king", " queen"), ("the", " red", " vase"),
    ]  # fmt: skip
    assert contexts(*files, np.zeros((0, 2), int), make_tokenizer()) == []
    with pytest.raises(ShiftScopeError, match="lacks token 9 of document 5"):
        contexts(*files, np.array([[5, 9]]), make_tokenizer())


def test_a_context_is_no_longer_than_it_should_be(tmp_path):
    n = 40
    files = write_windows(tmp_path, [[1, *[4] * n]] * 2, [[-1, *[0] * n], [-1, *[1] * n]], [[-1, *range(n)]] * 2)
    (found,) = contexts(*files, np.array([[1, 20]]), make_tokenizer())
    assert found.before.split() == ["a"] * module.BEFORE and found.after.split() == ["a"] * module.AFTER


def byte_tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_a_token_of_less_than_a_character_is_marked_as_such():
    tokenizer = byte_tokenizer()
    found = np.array(tokenizer("né!")["input_ids"])
    assert as_text(tokenizer, found, 0) == ("", "n", "é!")
    assert as_text(tokenizer, found, 1).token == "�" == as_text(tokenizer, found, 2).token
    assert as_text(tokenizer, found, 3) == ("né", "!", "")


def test_single_tokens_keep_the_space_before_them():
    assert token_texts(make_tokenizer(), np.array(ids("king", "red"))) == [" king", " red"]
    tokenizer = byte_tokenizer()
    assert token_texts(tokenizer, np.array(tokenizer(" x\n")["input_ids"])) == [" ", "x", "\n"]
