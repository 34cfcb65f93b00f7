import re

import numpy as np
import pytest
import torch
from helpers.clone import ROOT
from helpers.reading import embed
from helpers.tiny_lms import CONFIGS, make_model, make_tokenizer

from shiftscope.activations.layers import block_of
from shiftscope.steering.apply import added


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_vector_is_added_to_what_a_block_gives_and_taken_away_again(kind):
    model, tokenizer, texts = make_model(kind), make_tokenizer(), ["the king is red", "a queen"]
    vector = torch.arange(32.0)

    def read(layer="resid_post.1"):
        return embed(model, tokenizer, texts, layer, batch_tokens=64)

    before, further = read(), read("resid_post.2")
    with added(block_of(model.get_decoder(), "resid_post.1", 3), vector):
        assert read() == pytest.approx(before + np.arange(32), abs=1e-4)
        assert np.abs(read("resid_post.2") - further).max() > 0.1
    assert np.array_equal(read("resid_post.2"), further)
    with added(None, vector):
        assert np.array_equal(read("resid_post.2"), further)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "gpt_neox"])
def test_the_readmes_line_steers_a_model_of_any_type(kind, dtype):
    """Nearly all checkpoints of the hub are bfloat16, and vectors are float32."""
    [line] = re.findall(r"^steer = .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    namespace = {"vectors": {"french": torch.ones(32)}}
    exec(line, namespace)
    model = make_model(kind).to(getattr(torch, dtype)).eval()
    decoder = model.get_decoder()
    norm = getattr(decoder, "norm", None) or decoder.final_layer_norm
    ids = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        before = model(ids).logits
        for module in (norm, decoder.layers[1]):
            handle = module.register_forward_hook(namespace["steer"])
            steered = model(ids).logits
            handle.remove()
            assert steered.dtype == before.dtype and (steered != before).any()
        assert (model(ids).logits == before).all()
