"""Log-probabilities under steering: those of a plain hook, whatever the batch, and resumed where they stopped."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.tiny_lms import CONFIGS, make_model, make_tokenizer

from shiftscope.errors import ShiftScopeError
from shiftscope.steering import likelihood
from shiftscope.steering.likelihood import Text, log_probabilities


def texts_of(kind_of_text: str) -> list[Text]:
    if kind_of_text == "neutral":
        return [Text(text, 0, text) for text in ("the king is red", "a queen . the book", "roi reine lamp vase one")]
    begin = ["the color is", "the shape of the king is", "in one word :"]
    return [Text(f"{one} {end}", len(one), one) for one in begin for end in ("red", "blue vase", "a book in the lamp")]


def slowly(model, tokenizer, text: Text, layer: str, vector: np.ndarray) -> float:
    """The plain way: one text, the vector added by a hook at every token, softmax of the model's own logits."""
    decoder = model.get_decoder()
    norm = getattr(decoder, "norm", None) or decoder.final_layer_norm
    site = norm if layer == "final_norm" else decoder.layers[int(layer.split(".")[1])]
    add = torch.from_numpy(vector)
    hook = lambda module, inputs, out: (out[0] + add, *out[1:]) if isinstance(out, tuple) else out + add  # noqa: E731
    handle = site.register_forward_hook(hook)
    with torch.inference_mode():
        ids = tokenizer(text.text, return_tensors="pt")["input_ids"]
        likely = model(input_ids=ids).logits[0].double().log_softmax(-1)
    handle.remove()
    first = max(1, len(tokenizer(text.text[: text.start])["input_ids"])) if text.start else 1
    return sum(float(likely[place - 1, ids[0, place]]) for place in range(first, ids.shape[1]))


@pytest.mark.parametrize("layer", ["final_norm", "resid_post.1"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_log_probabilities_are_those_of_a_hook_whatever_the_batch(kind, layer):
    model, tokenizer = make_model(kind), make_tokenizer()
    texts = [*texts_of("answers"), *texts_of("neutral")]
    steerings = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32) * np.array([[0], [1], [4]], np.float32)
    expected = np.array([[slowly(model, tokenizer, text, layer, one) for one in steerings] for text in texts])
    assert np.abs(expected[:, 1] - expected[:, 0]).min() > 1e-2  # steering does something
    for batch_tokens in (1, 12, 1000):
        found, counts = log_probabilities(model, tokenizer, texts, layer, steerings, batch_tokens=batch_tokens)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert counts.tolist() == [1, 2, 5] * 3 + [3, 4, 4]


@pytest.mark.parametrize("layer", ["final_norm", "resid_post.0"])
def test_dose_0_is_the_unsteered_model_to_the_bit(layer):
    model, tokenizer = make_model("llama"), make_tokenizer()
    direction = np.ones((1, 32), np.float32)
    zeros = np.concatenate([np.zeros((1, 32), np.float32), 0 * direction, -0.0 * direction, direction])
    found, _ = log_probabilities(model, tokenizer, texts_of("answers"), layer, zeros, batch_tokens=64)
    assert (found[:, :3] == found[:, :1]).all()
    assert (found[:, 3] != found[:, 0]).all()


def test_a_recurrent_model_reads_padded_texts_whole():
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    tokenizer, texts = make_tokenizer(), texts_of("answers")
    found, _ = log_probabilities(
        model, tokenizer, texts, "final_norm", np.zeros((1, 16), np.float32), batch_tokens=1000
    )
    with torch.inference_mode():
        for text, value in zip(texts, found[:, 0], strict=True):
            ids = tokenizer(text.text, return_tensors="pt")["input_ids"]
            first = len(tokenizer(text.text[: text.start])["input_ids"])
            likely = model(input_ids=ids).logits[0].double().log_softmax(-1)
            expected = sum(float(likely[place - 1, ids[0, place]]) for place in range(first, ids.shape[1]))
            assert value == pytest.approx(expected, rel=1e-4)


def test_reading_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    model, tokenizer = make_model("llama"), make_tokenizer()
    steerings = np.eye(32, dtype=np.float32)[:3]
    asked = {"layer": "resid_post.1", "steerings": steerings, "batch_tokens": 8}
    whole, _ = log_probabilities(model, tokenizer, texts_of("answers"), **asked)
    calls = []
    read = likelihood._read

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(likelihood, "_read", stopped)
    with pytest.raises(KeyboardInterrupt):
        log_probabilities(model, tokenizer, texts_of("answers"), **asked, state=tmp_path)
    done = len(list(tmp_path.iterdir()))
    assert done == 4
    again, _ = log_probabilities(model, tokenizer, texts_of("answers"), **asked, state=tmp_path)
    assert (again == whole).all()
    assert len(calls) == 1 + len(list(tmp_path.iterdir()))  # what was done is not done again


def test_what_cannot_be_scored_is_an_error_that_names_it():
    model, tokenizer = make_model("llama"), make_tokenizer()

    def read(text, steering=0.0):
        return log_probabilities(
            model, tokenizer, [text], "final_norm", np.full((1, 32), steering, np.float32), batch_tokens=64
        )

    with pytest.raises(ShiftScopeError, match="question 7: the text 'red' has no token to score, or none before it"):
        read(Text("red", 0, "question 7"))
    with pytest.raises(ShiftScopeError, match=r"question 7: .* or none before it"):
        read(Text("the king ", 9, "question 7"))
    with pytest.raises(ShiftScopeError, match="has 30 tokens, but the LM reads at most 24"):
        read(Text("the king " * 15, 4, "question 7"))
    with pytest.raises(
        ShiftScopeError, match="question 7: a steering leaves it no finite probability: lower the doses"
    ):
        read(Text("the king is", 4, "question 7"), steering=np.inf)


def test_a_model_that_caps_its_logits_is_refused():
    model = make_model("llama")
    capped = model.lm_head.forward

    class Capped(torch.nn.Module):
        weight = model.lm_head.weight

        def forward(self, states):
            return capped(states)

    forward = model.forward
    model.forward = lambda **given: type("Out", (), {"logits": torch.tanh(forward(**given).logits)})
    with pytest.raises(ShiftScopeError, match="capped or scaled"):
        log_probabilities(
            model, make_tokenizer(), texts_of("answers"), "final_norm", np.zeros((1, 32), np.float32), batch_tokens=64
        )


def test_groups_and_batches_hold_every_text_once():
    generator = np.random.default_rng(0)
    tokens = [generator.integers(0, 3, size=generator.integers(3, 9)).tolist() for _ in range(60)]
    firsts = [int(generator.integers(1, len(ids))) for ids in tokens]
    for budget in (1, 7, 1000):
        found = likelihood.groups(tokens, firsts, budget)
        assert sorted(index for group in found for index in group) == list(range(60))
        for group in found:
            assert len({firsts[index] for index in group}) == 1
            beginnings = {tuple(tokens[index][: firsts[index]]) for index in group}
            assert len(beginnings) == 1 or sum(map(len, beginnings)) <= budget
            ids = [tokens[index] for index in group]
            some = list(likelihood.batches(ids, 0, budget))
            assert sorted(place for batch in some for place in batch) == list(range(len(ids)))
            lengths = [len(ids[place]) for batch in some for place in batch]
            assert all(left <= right for left, right in pairwise(lengths))
