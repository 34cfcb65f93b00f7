"""The last token's activation of every text, whatever the batch, at one or several layers."""

import random

import numpy as np
import pytest
import torch
from helpers.reading import TEMPLATED, TEXTS, TOLERANCE, alone, distance, embed
from helpers.tiny_lms import CONFIGS, make_model, make_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from shiftscope.activations.last_token import cheapest_split, embed_layers
from shiftscope.activations.layers import can_share_prefixes
from shiftscope.errors import ShiftScopeError
from shiftscope.files import write_tensors

LAYERS = ["final_norm", "resid_post.1", "resid_post.0"]


@pytest.mark.parametrize("layer", ["final_norm", "resid_post.0", "resid_post.1"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_rows_are_those_of_each_text_alone_whatever_the_batch(kind, layer):
    model, tokenizer = make_model(kind), make_tokenizer()
    expected = np.stack([alone(model, tokenizer, text, layer) for text in TEXTS])
    for batch_tokens in (1, 30, 100, 10_000):
        found = embed(model, tokenizer, TEXTS, layer, batch_tokens=batch_tokens)
        assert found.dtype == np.float32
        assert distance(found, expected) < TOLERANCE


def test_a_model_with_a_recurrent_state_reads_every_text_whole():
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    assert not can_share_prefixes(model.get_decoder())
    tokenizer = make_tokenizer()
    found = embed(model, tokenizer, TEMPLATED, "final_norm", batch_tokens=1000)
    expected = np.stack([alone(model, tokenizer, text, "final_norm") for text in TEMPLATED])
    assert distance(found, expected) < TOLERANCE


def test_rows_follow_the_order_of_the_texts():
    model, tokenizer = make_model("llama"), make_tokenizer()
    order = random.Random(0).sample(range(len(TEXTS)), len(TEXTS))
    straight = embed(model, tokenizer, TEXTS, "final_norm", batch_tokens=64)
    shuffled = embed(model, tokenizer, [TEXTS[index] for index in order], "final_norm", batch_tokens=64)
    assert np.array_equal(shuffled, straight[order])


def test_equal_texts_are_embedded_once(tmp_path):
    model, tokenizer = make_model("llama"), make_tokenizer()
    rows = embed(model, tokenizer, ["king", "queen", "king", "king"], "final_norm", batch_tokens=1, state=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(rows[0], rows[2]) and np.array_equal(rows[0], rows[3])
    assert not np.array_equal(rows[0], rows[1])


def test_finished_batches_are_read_back(tmp_path):
    model, tokenizer = make_model("llama"), make_tokenizer()
    texts = ["king", "queen is red"]
    rows = embed(model, tokenizer, texts, "final_norm", batch_tokens=8, state=tmp_path)
    write_tensors(tmp_path / "batch_000000.safetensors", {"final_norm": rows[:1] + 1})
    again = embed(model, tokenizer, texts, "final_norm", batch_tokens=8, state=tmp_path)
    assert np.array_equal(again, np.concatenate([rows[:1] + 1, rows[1:]]))


@given(st.integers(2, 6).flatmap(lambda length: st.lists(
    st.lists(st.integers(0, 1), min_size=length, max_size=length), min_size=1, max_size=12)))  # fmt: skip
def test_the_split_reads_no_more_tokens_than_any_other(tokens):
    def read(split):
        return len({tuple(ids[:split]) for ids in tokens}) * split + len(tokens) * (len(tokens[0]) - split)

    best = min(read(split) for split in range(len(tokens[0])))
    chosen = cheapest_split(tokens)
    assert read(chosen) == best if chosen else best > 0.75 * read(0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_half_precision_is_read_as_transformers_computes_it(kind, dtype):
    model, tokenizer = make_model(kind).to(getattr(torch, dtype)), make_tokenizer()
    text = ["the king is red"]
    for layer in ("final_norm", "resid_post.1"):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        expected = states[-1 if layer == "final_norm" else 2][0, -1].float().numpy()
        assert np.array_equal(embed(model, tokenizer, text, layer, batch_tokens=64)[0], expected)


def test_no_texts_are_refused():
    with pytest.raises(ShiftScopeError, match="no texts"):
        embed(make_model("llama"), make_tokenizer(), [], "final_norm", batch_tokens=8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_activation_that_is_not_finite_is_refused(value):
    model, tokenizer = make_model("llama"), make_tokenizer()
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("queen")["input_ids"][0], 0] = value
    assert np.isfinite(embed(model, tokenizer, ["king"], "final_norm", batch_tokens=8)).all()
    with pytest.raises(ShiftScopeError, match=r"^row 2: its activation is not finite"):
        embed(model, tokenizer, ["king", "roi", "queen", "a"], "final_norm", batch_tokens=8)


# --- several layers from one pass


@pytest.mark.parametrize("batch_tokens", [30, 10_000])
@pytest.mark.parametrize("kind", CONFIGS)
def test_layers_of_one_pass_are_those_of_each_alone_to_the_bit(kind, batch_tokens):
    model, tokenizer = make_model(kind), make_tokenizer()
    for layers in (LAYERS, LAYERS[1:]):
        found = embed_layers(model, tokenizer, TEXTS, layers, batch_tokens=batch_tokens)
        assert set(found) == set(layers)
        for layer in layers:
            assert np.array_equal(found[layer], embed(model, tokenizer, TEXTS, layer, batch_tokens=batch_tokens))


def test_the_model_is_read_once_and_not_beyond_the_last_wanted_block(monkeypatch):
    model, texts = make_model("llama"), ["king", "queen"]
    runs = {"whole": 0, "block 1": 0, "block 2": 0}

    def count(name):
        def hook(*_):
            runs[name] += 1

        return hook

    model.model.register_forward_pre_hook(count("whole"))
    for block in (1, 2):
        model.model.layers[block].register_forward_pre_hook(count(f"block {block}"))
    monkeypatch.setattr("shiftscope.activations.last_token.check_model", lambda *_: None)
    embed_layers(model, make_tokenizer(), texts, ["resid_post.1", "resid_post.0"], batch_tokens=64)
    assert runs == {"whole": 1, "block 1": 1, "block 2": 0}
    embed_layers(model, make_tokenizer(), texts, ["resid_post.1", "final_norm"], batch_tokens=64)
    assert runs == {"whole": 2, "block 1": 2, "block 2": 1}


def test_finished_batches_of_all_layers_are_read_back(tmp_path, monkeypatch):
    model, tokenizer = make_model("llama"), make_tokenizer()
    first = embed_layers(model, tokenizer, TEXTS, LAYERS, batch_tokens=30, state=tmp_path)
    monkeypatch.setattr("shiftscope.activations.last_token.last_activations", None)  # nothing is read again
    again = embed_layers(model, tokenizer, TEXTS, LAYERS, batch_tokens=30, state=tmp_path)
    assert all(np.array_equal(first[layer], again[layer]) for layer in LAYERS)
