"""The law of the next token under steering is that of the model with a hook, whichever way it is computed."""

import numpy as np
import pytest
import torch
from helpers.reading import embed
from helpers.tiny_lms import make_model, make_tokenizer

from shiftscope.steering.apply import steered
from shiftscope.steering.next_law import LONGEST, NextLaw

TEXTS = ["the king is", "a queen", "the red vase is"]


def law_under(model, tokenizer, layer, vector):
    """Log-probabilities of the next token of each text, read one by one with a hook."""
    found = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.inference_mode(), steered(model, layer, vector):
            found.append(model(input_ids=ids).logits[0, -1].log_softmax(-1).numpy())
    return np.stack(found)


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "qwen3"])
@pytest.mark.parametrize("layer", ["final_norm", "resid_post.1"])
def test_the_law_is_that_of_the_model_with_a_hook(kind, layer):
    model, tokenizer = make_model(kind), make_tokenizer()
    law = NextLaw(model, tokenizer, layer, 64)
    activations = embed(model, tokenizer, TEXTS, layer, batch_tokens=64)
    vector = np.random.default_rng(0).normal(size=32).astype(np.float32)
    plain = law_under(model, tokenizer, layer, torch.zeros(32))
    assert law.log_law(TEXTS, activations) == pytest.approx(plain, abs=1e-4)
    for dose in (0.5, 2.0):
        expected = law_under(model, tokenizer, layer, torch.from_numpy(dose * vector))
        assert law.log_law(TEXTS, activations, vector, dose) == pytest.approx(expected, abs=1e-4)
        assert np.abs(expected - plain).max() > 0.01


def test_hooks_are_gone_after_an_error():
    model = make_model("llama")
    ids = torch.tensor([[3, 4]])
    before = model(ids).logits
    with pytest.raises(RuntimeError, match="stop"), steered(model, "final_norm", torch.ones(32)):
        assert (model(ids).logits != before).any()
        raise RuntimeError("stop")
    assert (model(ids).logits == before).all()


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_texts_are_fixed_by_the_seed_and_steered(kind):
    model, tokenizer = make_model(kind), make_tokenizer()
    law = NextLaw(model, tokenizer, "final_norm", 64)
    first = law.write(TEXTS, None, 0)
    assert first == law.write(TEXTS, None, 0) != law.write(TEXTS, None, 1)
    assert all(len(text.split()) <= LONGEST for text in first)
    # a vector that raises one token above all others
    unembedding = model.get_output_embeddings().weight.detach().numpy()
    token = tokenizer.convert_tokens_to_ids("queen")
    others = np.delete(unembedding, token, 0)
    vector = np.linalg.lstsq(np.vstack([unembedding[token], others]), np.r_[1.0, np.zeros(len(others))], rcond=None)[0]
    if kind == "gpt_neox":
        steered_texts = law.write(TEXTS, (1000 * vector).astype(np.float32), 0)
        assert sum(text.split().count("queen") for text in steered_texts) > sum(
            text.split().count("queen") for text in first
        )


def test_the_global_generator_is_left_alone():
    law = NextLaw(make_model("llama"), make_tokenizer(), "final_norm", 64)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    law.write(TEXTS[:1], None, 3)
    assert torch.rand(1) == expected
