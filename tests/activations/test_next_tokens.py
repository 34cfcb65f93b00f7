"""What a vector does to next tokens: computed where it is linear, measured elsewhere, and the same where both apply."""

import numpy as np
import pytest
import torch
from helpers.tiny_lms import CONFIGS, make_model

from shiftscope.activations.next_tokens import measured, next_tokens
from shiftscope.activations.windows import NOWHERE, Windows
from shiftscope.errors import ShiftScopeError

D, VOCABULARY = 32, 40


def windows(count=4, length=10):
    token = np.random.default_rng(0).integers(3, 24, (count, length)).astype(np.int32)
    document = np.zeros_like(token)
    token[:, 0], document[:, 0] = 2, NOWHERE
    return Windows(token, document, document)


def vectors(count=3):
    directions = np.random.default_rng(1).normal(size=(count, D)).astype(np.float32)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True), np.array([2.0, 0.5, 7.0])[:count]


@pytest.mark.parametrize("kind", CONFIGS)
def test_before_the_unembedding_it_is_the_unembedding_times_the_vector(kind):
    model, (directions, sizes) = make_model(kind), vectors()
    found = next_tokens(model, "final_norm", directions, sizes, windows(), 20)
    unembedding = model.get_output_embeddings().weight.detach().numpy()
    assert (found.unit, found.tokens) == ("logits", 0)
    np.testing.assert_allclose(found.change, sizes[:, None] * directions @ unembedding.T, atol=1e-4)


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_measured_there_is_the_same_up_to_the_softmax(kind):
    model, (directions, sizes) = make_model(kind), vectors()
    computed = next_tokens(model, "final_norm", directions, sizes, windows(), 20).change
    by_hand = measured(model, "final_norm", (sizes[:, None] * directions).astype(np.float32), windows(), 20)
    between = by_hand - computed
    np.testing.assert_allclose(between, np.repeat(between[:, :1], VOCABULARY, 1), atol=1e-4)


def test_behind_a_block_it_is_the_mean_change_of_log_probability_on_all_tokens_but_separators():
    model, some, (directions, sizes) = make_model("llama"), windows(), vectors(2)
    found = next_tokens(model, "resid_post.1", directions, sizes, some, 20)
    assert (found.unit, found.tokens) == ("nats", 4 * 9)
    kept = torch.from_numpy(some.document != NOWHERE)

    def mean_log_probability(vector):
        def add(module, inputs, output):
            states = output[0] if isinstance(output, tuple) else output
            states = states + kept[..., None] * torch.from_numpy(vector)
            return (states, *output[1:]) if isinstance(output, tuple) else states

        handle = model.model.layers[1].register_forward_hook(add)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor(some.token.astype(np.int64))).logits
        handle.remove()
        return logits.double().log_softmax(-1)[kept].mean(0).numpy()

    clean = mean_log_probability(np.zeros(D, np.float32))
    for direction, size, change in zip(directions, sizes, found.change, strict=True):
        expected = mean_log_probability((size * direction).astype(np.float32)) - clean
        np.testing.assert_allclose(change, expected, atol=1e-4)
    assert np.abs(found.change).max() > 0.05


def test_of_a_model_that_caps_its_logits_it_is_measured():
    model, (directions, sizes) = make_model("llama"), vectors()
    plain = model.forward

    def capped(*args, **kwargs):
        output = plain(*args, **kwargs)
        output.logits = 5 * torch.tanh(output.logits / 5)
        return output

    model.forward = capped
    found = next_tokens(model, "final_norm", directions, sizes, windows(), 20)
    assert (found.unit, found.tokens) == ("nats", 4 * 9)


def test_no_vectors_are_no_changes_and_no_text_is_refused():
    model, some = make_model("llama"), windows()
    for layer in ("final_norm", "resid_post.0"):
        found = next_tokens(model, layer, np.zeros((0, D), np.float32), np.zeros(0), some, 20)
        assert found.change.shape == (0, VOCABULARY)
    nothing = some._replace(document=np.full_like(some.document, NOWHERE))
    with pytest.raises(ShiftScopeError, match="no text to read next tokens on: set `held_out`"):
        next_tokens(model, "final_norm", *vectors(), nothing, 20)
