import numpy as np
import pytest
import torch
from helpers.reading import TEXTS, embed
from helpers.tiny_lms import make_model, make_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from shiftscope.activations.tokens import batches_of_equal_length, tokenize
from shiftscope.errors import ShiftScopeError


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=40), st.integers(1, 30))
def test_batches_hold_every_text_once_and_keep_the_limit(tokens, limit):
    batches = batches_of_equal_length(tokens, limit)
    assert sorted(index for batch in batches for index in batch) == list(range(len(tokens)))
    for batch in batches:
        assert len({len(tokens[index]) for index in batch}) == 1
        assert len(batch) == 1 or sum(len(tokens[index]) for index in batch) <= limit


def test_an_end_token_that_the_tokenizer_appends_is_left_out(caplog):
    caplog.set_level("INFO")
    model, plain, ends = make_model("llama"), make_tokenizer(bos=True), make_tokenizer(bos=True, eos=True)
    assert ends("king")["input_ids"] == [*plain("king")["input_ids"], 2]
    found = embed(model, ends, TEXTS, "final_norm", batch_tokens=64)
    assert np.array_equal(found, embed(model, plain, TEXTS, "final_norm", batch_tokens=64))
    assert "the tokenizer ends every text with </s>: left out" in caplog.text
    longest = " ".join(["the"] * 23)  # with the beginning token as many as the model reads
    assert np.isfinite(embed(model, ends, [longest], "final_norm", batch_tokens=64)).all()
    with pytest.raises(ShiftScopeError, match=r"^row 0: the text '' has no tokens"):
        embed(model, ends, [""], "final_norm", batch_tokens=8)


def test_a_text_may_end_with_the_end_token_itself():
    tokens = tokenize(make_tokenizer(bos=True, eos=True), ["king </s>", "</s>"], None, ["", ""])
    king = make_tokenizer()("king")["input_ids"]
    assert tokens == [[1, *king, 2], [1, 2]]


def test_texts_of_one_token_without_a_beginning_token_are_warned_of(caplog):
    model = make_model("llama")
    embed(model, make_tokenizer(bos=True), ["king", "roi"], "final_norm", batch_tokens=8)
    assert "one token" not in caplog.text
    embed(model, make_tokenizer(), ["king", "roi", "the queen"], "final_norm", batch_tokens=8)
    assert "2 texts are one token with nothing before it" in caplog.text


def test_a_text_with_only_a_beginning_token_is_refused():
    with pytest.raises(ShiftScopeError, match=r"^row 1: the text '' has no tokens"):
        embed(make_model("llama"), make_tokenizer(bos=True), ["king", ""], "final_norm", batch_tokens=8)


def test_a_text_beyond_the_context_is_refused():
    texts = ["king", "king", " ".join(["the"] * 25)]
    with pytest.raises(ShiftScopeError, match=r"^place 2: .* has 25 tokens, but the LM reads at most 24"):
        embed(make_model("llama"), make_tokenizer(), texts, "final_norm", batch_tokens=8, name="place {}".format)


def test_a_batch_beyond_the_memory_names_the_key(monkeypatch):
    model = make_model("llama")

    def fail(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model.model, "forward", fail)
    with pytest.raises(ShiftScopeError, match="lower batch_tokens"):
        embed(model, make_tokenizer(), ["king"], "resid_post.0", batch_tokens=8)


def test_two_beginning_tokens_are_named(caplog):
    texts, where = ["<s> the king", "the king"], ["row 0", "row 1"]
    tokenize(make_tokenizer(bos=True), texts, None, where)
    assert "1 texts begin with two beginning tokens <s>, one from the tokenizer and one from the text" in caplog.text
    caplog.clear()
    tokenize(make_tokenizer(), texts, None, where)
    assert "two beginning tokens" not in caplog.text
