"""Cross-entropy with other activations in a layer's place."""

import numpy as np
import pytest
import torch
from helpers.tiny_lms import CONFIGS, make_model

from shiftscope.activations.patched import Patched
from shiftscope.activations.windows import NOWHERE, Windows


def cross_entropy(model, layer, some, replace, batch_tokens):
    return Patched(model, layer, some, batch_tokens).cross_entropy(replace)


LAYERS = ["final_norm", "resid_post.0", "resid_post.2"]


def windows(count=6, length=12):
    generator = np.random.default_rng(0)
    token = generator.integers(3, 24, (count, length)).astype(np.int32)
    document = np.repeat(np.arange(count, dtype=np.int32)[:, None], length, 1)
    for row, place in ((0, 0), (1, 0), (2, 0), (2, 6), (3, 0), (4, 0), (5, 0), (5, 11)):
        token[row, place], document[row, place] = 2, NOWHERE
    return Windows(token, document, np.zeros_like(token))


def plain(model, some, ids=None):
    """The loss of every token whose predecessor is kept and that is kept itself, one by one."""
    with torch.inference_mode():
        said = model(input_ids=torch.tensor(some.token.astype(np.int64))).logits.double().log_softmax(-1)
    losses = [
        -float(said[row, place, some.token[row, place + 1]])
        for row, place in np.ndindex(len(some.token), some.token.shape[1] - 1)
        if NOWHERE not in some.document[row, place : place + 2]
    ]
    return np.mean(losses)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("layer", LAYERS)
def test_its_own_activations_change_nothing_and_others_do(kind, layer):
    model, some = make_model(kind), windows()
    clean = cross_entropy(model, layer, some, None, 1000)
    assert clean == pytest.approx(plain(model, some), rel=1e-5)
    assert cross_entropy(model, layer, some, np.copy, 24) == pytest.approx(clean, rel=1e-5)
    assert abs(cross_entropy(model, layer, some, np.zeros_like, 1000) - clean) > 1e-2


def test_zeros_before_the_unembedding_make_every_token_alike():
    model = make_model("gpt_neox")
    found = cross_entropy(model, "final_norm", windows(), np.zeros_like, 1000)
    assert found == pytest.approx(np.log(model.config.vocab_size), rel=1e-5)


def test_separators_keep_their_activations():
    seen = []

    def replace(states):
        seen.append(len(states))
        return states

    some = windows()
    cross_entropy(make_model("llama"), "resid_post.1", some, replace, 1000)
    assert sum(seen) == (some.document != NOWHERE).sum()


def test_the_hook_is_gone_afterwards():
    model, some = make_model("llama"), windows()
    before = cross_entropy(model, "final_norm", some, None, 1000)
    with pytest.raises(ZeroDivisionError):
        cross_entropy(model, "final_norm", some, lambda states: 1 / 0, 1000)
    assert cross_entropy(model, "final_norm", some, None, 1000) == before


def test_before_the_unembedding_blocks_run_once_for_all_replacements():
    model, some, runs = make_model("llama"), windows(), []
    patched = Patched(model, "final_norm", some, 24)
    handle = model.model.layers[0].register_forward_hook(lambda *given: runs.append(1))
    found = [patched.cross_entropy(replace) for replace in (None, np.copy, np.zeros_like)]
    handle.remove()
    assert not runs
    assert found[0] == pytest.approx(found[1]) == pytest.approx(plain(model, some), rel=1e-5)


def test_where_logits_are_bounded_the_whole_model_runs():
    model, some = make_model("llama"), windows()
    bounded = model.register_forward_hook(
        lambda module, inputs, output: output.__class__(**dict(output) | {"logits": 0.1 * output.logits})
    )
    assert Patched(model, "final_norm", some, 24).states is None
    assert cross_entropy(model, "final_norm", some, np.copy, 24) == pytest.approx(plain(model, some), rel=1e-5)
    bounded.remove()
