"""Documents packed into windows: nothing lost, nothing twice, and every token's place known."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.stores import save_known_lm, save_words
from helpers.tiny_lms import WORDS, make_tokenizer

from shiftscope.activations.windows import (
    NOWHERE,
    WindowsSlice,
    in_random_order,
    pack,
    read_windows,
    separator_of,
    write_windows,
)
from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of

SEPARATOR = 2


def documents(number, seed=0, longest=30):
    """Rows and tokens of documents; some are empty, some longer than a window."""
    generator = np.random.default_rng(seed)
    return [(row, generator.integers(3, 24, generator.integers(0, longest)).tolist()) for row in range(number)]


def packed(number=200, train=20, test=5, window=16, seed=0):
    asked = WindowsSlice(lm="tiny", dataset="text", train=train, test=test, window=window, seed=seed)
    return {name: np.stack(one.rows) for name, one in pack(documents(number), asked, SEPARATOR).items()}


def test_every_window_is_full_and_begins_with_the_separator():
    for name, rows in packed().items():
        token, document, position = rows.swapaxes(0, 1)
        assert token.shape == ({"train": 20, "test": 5}[name], 16)
        assert (token[:, 0] == SEPARATOR).all()
        assert np.array_equal(token == SEPARATOR, document == NOWHERE)
        assert np.array_equal(document == NOWHERE, position == NOWHERE)
        assert not ((token[:, 1:] == SEPARATOR) & (token[:, :-1] == SEPARATOR)).any()


def test_windows_hold_the_documents_in_their_order_and_none_twice():
    known, seen = dict(documents(200)), {}
    for name, rows in packed().items():
        found = {}
        for token, document, position in rows.swapaxes(1, 2).reshape(-1, 3):
            if document != NOWHERE:
                assert position == len(found.setdefault(document, []))
                found[document].append(token)
        cut = [row for row, tokens in found.items() if tokens != known[row]]
        assert len(cut) <= 1, "only the last document may be cut"
        assert all(known[row][: len(tokens)] == tokens for row, tokens in found.items())
        seen[name] = set(found)
    assert not seen["train"] & seen["test"]


def test_a_separator_stands_between_two_documents_and_not_within_one():
    token, document, _ = packed()["train"].swapaxes(0, 1)
    inside = (document[:, 1:] != NOWHERE) & (document[:, :-1] != NOWHERE)
    assert np.array_equal(document[:, 1:][inside], document[:, :-1][inside])
    assert (token[:, 1:][~inside & (document[:, 1:] != NOWHERE)] != SEPARATOR).all()


def test_which_documents_are_held_out_is_the_seeds():
    one, same, other = packed(), packed(), packed(seed=1)
    assert np.array_equal(one["test"], same["test"]) and not np.array_equal(one["test"], other["test"])


def test_too_few_documents_are_refused_with_what_there_is():
    with pytest.raises(
        ShiftScopeError,
        match=r"the \d+ documents of the corpus fill \d+ windows of 16 tokens for training and \d+ held out, and 2000 and 50 are "
        r"wanted: lower `tokens` and `held_out` to about \d+ and \d+, or",
    ):
        packed(train=2000, test=50)


def test_what_is_advised_of_a_short_corpus_fits():
    with pytest.raises(ShiftScopeError) as error:
        packed(train=2000, test=50)
    train, test = map(int, re.search(r"to about (\d+) and (\d+)", str(error.value)).groups())
    assert packed(train=train // 16, test=test // 16)


@pytest.mark.parametrize("number", [0, 1])
def test_of_one_document_nothing_can_be_held_out(number):
    asked = WindowsSlice(lm="tiny", dataset="text", train=2, test=1, window=16)
    with pytest.raises(
        ShiftScopeError, match=rf"^the corpus has {number} documents? with text, and held-out tokens are of other"
    ):
        pack([*[(0, [5] * 1000)][:number], (1, [])], asked, SEPARATOR)


def test_documents_come_in_a_random_order_that_the_seed_fixes(tmp_path):
    file = tmp_path / "documents.parquet"
    pq.write_table(pa.table({"text": [f"text {row}" for row in range(100)]}), file, row_group_size=16)
    first, again, other = (list(in_random_order(file, seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert sorted(first) == [(row, f"text {row}") for row in range(100)]
    assert len({row // 16 for row, _ in first[:30]}) == 7, "from all over the file"


def test_the_separator_is_what_the_tokenizer_puts_before_a_text_else_the_end_of_text():
    assert separator_of(make_tokenizer(bos=True), None) == 1
    assert separator_of(make_tokenizer(), None) == 2
    assert separator_of(make_tokenizer(eos=True), None) == 2
    assert separator_of(make_tokenizer(bos=True), "king") == 3 + WORDS.index("king")
    with pytest.raises(ShiftScopeError, match="separator 'king queen' is 2 tokens"):
        separator_of(make_tokenizer(), "king queen")
    nothing = make_tokenizer()
    nothing.eos_token = None
    with pytest.raises(ShiftScopeError, match=r"no end-of-text token: .*`separator`"):
        separator_of(nothing, None)


def test_windows_are_written_in_a_random_order_with_their_digest(tmp_path):
    words = write(tmp_path)
    facts = json.loads((tmp_path / "windows.json").read_text())
    assert facts["windows"] == {"train": 40, "test": 10} and facts["separator"] == "</s>"
    assert facts["sha256"] == sha256_of(tmp_path / "windows.arrow") and facts["corpus_sha256"] == sha256_of(
        tmp_path / "documents.parquet"
    )
    windows = read_windows(tmp_path / "windows.arrow", 0, 50)
    assert windows.token.shape == (50, 16)
    row, place = np.argwhere(windows.document != NOWHERE)[7]
    text = words[windows.document[row, place]][windows.position[row, place]]
    assert windows.token[row, place] == 3 + WORDS.index(text)
    (tmp_path / "again").mkdir()
    write(tmp_path / "again")
    assert (tmp_path / "again/windows.arrow").read_bytes() == (tmp_path / "windows.arrow").read_bytes()


def write(folder, window=16, rows=300, **about):
    """Windows of random words by the tiny language model, in a folder; returns the words."""
    words = save_words(folder, rows)
    save_known_lm(folder / "lm", **about)
    pack_again(folder, window)
    return words


def pack_again(folder, window=16):
    asked = WindowsSlice(lm="tiny", dataset="text", train=40, test=10, window=window)
    names = ("documents.parquet", "corpus.json", "lm", "windows.arrow", "windows.json")
    write_windows(asked, *(folder / name for name in names))


def test_a_window_beyond_the_context_is_refused_before_anything_is_packed(tmp_path):
    with pytest.raises(
        ShiftScopeError, match=r"a window of 25 tokens is longer than the LM reads \(24\): lower `window`"
    ):
        write(tmp_path, window=25)
    assert not (tmp_path / "windows.arrow").exists()


def test_a_tokenizer_with_tokens_that_the_language_model_has_not_is_refused(tmp_path):
    with pytest.raises(
        ShiftScopeError, match=r"has token 2\d \('.+'\), and the LM has embeddings for 20 tokens: its tokenizer"
    ):
        write(tmp_path, vocabulary=20)
    assert not (tmp_path / "windows.arrow").exists()


def test_a_corpus_of_one_document_is_refused(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"^the corpus has 1 document with text"):
        write(tmp_path, rows=1)


def test_documents_of_another_corpus_are_refused(tmp_path):
    write(tmp_path)
    with (tmp_path / "documents.parquet").open("ab") as opened:
        opened.write(b"more")
    with pytest.raises(ShiftScopeError, match=r"documents\.parquet has sha256 .* it is damaged, or of another corpus"):
        pack_again(tmp_path)


def test_windows_beyond_the_last_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(ShiftScopeError, match=r"windows\.arrow has 50 windows, and window 50 is wanted"):
        read_windows(tmp_path / "windows.arrow", 40, 51)
