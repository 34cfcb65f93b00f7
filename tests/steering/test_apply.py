"""A vector that is added while a model runs: to any architecture, in any type, and gone afterwards."""

import json

import numpy as np
import pytest
import torch
from helpers.reading import embed
from helpers.tiny_lms import CONFIGS, make_model, make_tokenizer

import shiftscope
from shiftscope.activations.layers import block_of
from shiftscope.activations.patched import place_of
from shiftscope.errors import ShiftScopeError
from shiftscope.files import write_tensors
from shiftscope.steering.apply import added

LAYERS = ["final_norm", "resid_post.1"]
VECTORS = {"french": torch.linspace(-1, 1, 32), "formal": torch.ones(32)}
IDS = torch.tensor([[3, 4, 5], [6, 7, 8]])


def logits(model, ids=IDS):
    with torch.no_grad():
        return model(ids).logits


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


class Returning(torch.nn.Module):
    """A block that gives its activations as some architecture does."""

    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, states):
        return self.wrap(states)


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: (x, "cache"), lambda x: [x, None]], ids=["tensor", "tuple", "list"]
)
def test_blocks_return_tensors_tuples_or_lists(wrap):
    block, states = Returning(wrap), torch.zeros(2, 3, 4)
    with added(block, torch.ones(4)):
        found = block(states)
    assert type(found) is type(wrap(states))
    first = found if torch.is_tensor(found) else found[0]
    assert (first == 1).all() and (torch.is_tensor(found) or found[1] == wrap(states)[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "gpt_neox"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_model_of_any_type_is_steered_and_then_as_it_was(kind, dtype, layer):
    """Nearly all checkpoints of the hub are bfloat16, and vectors are float32."""
    model = make_model(kind).to(dtype).eval()
    plain = logits(model)
    with shiftscope.steer(model, VECTORS, "french", 2.0, layer) as same:
        steered = logits(model)
    assert same is model and steered.dtype == plain.dtype and (steered != plain).any()
    assert torch.equal(logits(model), plain)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning"
)  # its successor is a package of its own
@pytest.mark.parametrize("layer", LAYERS)
def test_quantised_weights(layer):
    """Of weights in int8 the activations stay in float32."""
    model = torch.ao.quantization.quantize_dynamic(make_model("llama"), {torch.nn.Linear}, dtype=torch.qint8)
    assert model.model.layers[0].mlp.up_proj.weight().dtype == torch.qint8
    plain = logits(model)
    with shiftscope.steer(model, VECTORS, "french", 2.0, layer):
        assert (logits(model) != plain).any()
    assert torch.equal(logits(model), plain)


def test_a_model_that_is_spread_by_a_device_map(tmp_path):
    from accelerate import dispatch_model

    model = dispatch_model(make_model("llama"), {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}, offload_dir=tmp_path)  # fmt: skip
    for layer in LAYERS:
        plain = logits(model)
        with shiftscope.steer(model, VECTORS, "french", 2.0, layer):
            assert (logits(model) != plain).any()
        assert torch.equal(logits(model), plain)


@pytest.mark.parametrize("layer", LAYERS)
def test_generation_with_a_cache_writes_what_it_would_without_one(layer):
    """The vector is added once to every token, read or written."""
    model = make_model("llama")
    with shiftscope.steer(model, VECTORS, "french", 1.5, layer):
        cached, not_cached = (
            model.generate(IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=6, do_sample=False,
                           use_cache=use, pad_token_id=2)
            for use in (True, False)
        )  # fmt: skip
    assert torch.equal(cached, not_cached)


def test_after_the_final_norm_logits_move_by_what_the_unembedding_makes_of_the_vector():
    model = make_model("llama")
    plain = logits(model)
    with shiftscope.steer(model, VECTORS, "french", -2.0, "final_norm"):
        moved = logits(model) - plain
    assert moved == pytest.approx(-2 * (model.lm_head.weight @ VECTORS["french"]).detach().expand_as(moved), abs=1e-4)


def test_blocks_are_nested_and_the_hook_is_gone_after_an_error():
    model = make_model("llama")
    plain = logits(model)
    both = {"sum": VECTORS["french"] + VECTORS["formal"]}
    with shiftscope.steer(model, both, "sum", layer="resid_post.0"):
        expected = logits(model)
    with shiftscope.steer(model, VECTORS, "french", layer="resid_post.0"), \
         shiftscope.steer(model, VECTORS, "formal", layer="resid_post.0"):  # fmt: skip
        assert torch.allclose(logits(model), expected, atol=1e-4)
    with pytest.raises(RuntimeError, match="mine"), shiftscope.steer(model, VECTORS, "french", layer="resid_post.0"):
        raise RuntimeError("mine")
    assert torch.equal(logits(model), plain) and not place_of(model, "resid_post.0")._forward_hooks


def test_a_file_says_where_its_vectors_were_read(tmp_path):
    model, file = make_model("llama"), tmp_path / "steering_vectors.safetensors"
    write_tensors(file, {name: vector.numpy() for name, vector in VECTORS.items()}, {"layer": "resid_post.1"})
    with shiftscope.steer(model, VECTORS, "french", layer="resid_post.1"):
        expected = logits(model)
    for given in (file, str(file), tmp_path):
        with shiftscope.steer(model, given, "french"):
            assert torch.equal(logits(model), expected)
    with shiftscope.steer(model, file, "french", layer="resid_post.0"):
        assert not torch.equal(logits(model), expected)


@pytest.mark.parametrize(
    ("given", "name", "layer", "said"),
    [
        (VECTORS, "frensh", "final_norm", "vector 'frensh' is unknown: allowed are formal, french; did you mean 'french'?"),
        (VECTORS, "french", None, "do not say where they were read: pass layer='final_norm' or 'resid_post.L'"),
        (VECTORS, "french", "resid_post.3", "layer 'resid_post.3' is unknown: this LM has final_norm and resid_post.0 to"),
        ({"french": torch.ones(64)}, "french", "final_norm", r"has shape \[64\], but the activations of this LlamaFor"),
        ("nowhere", "french", None, "nowhere does not exist: give a file of steering vectors, or its folder"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(given, name, layer, said):
    model = make_model("llama")
    with pytest.raises(ShiftScopeError, match=said), shiftscope.steer(model, given, name, layer=layer):
        pass
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"layer": 15}, r"layer=15 is no name of a layer: write layer='resid_post\.15'"),
        ({"layer": "final_norm", "scale": "2"}, "scale='2' is not a number"),
    ],
)
def test_arguments_of_another_type_are_named(given, said):
    with pytest.raises(ShiftScopeError, match=said), shiftscope.steer(make_model("llama"), VECTORS, "french", **given):
        pass


def test_the_file_that_only_describes_vectors_is_named(tmp_path):
    (tmp_path / "steering_vectors.json").write_text("{}")
    with (
        pytest.raises(
            ShiftScopeError, match=r"only describes vectors: give steering_vectors\.safetensors, or the folder"
        ),
        shiftscope.steer(make_model("llama"), tmp_path / "steering_vectors.json", "french"),
    ):
        pass


def test_the_package_says_what_it_has():
    assert shiftscope.steer and shiftscope.ShiftScopeError is ShiftScopeError
    with pytest.raises(AttributeError, match="has no attribute 'stear'"):
        _ = shiftscope.stear
    assert json.dumps(sorted(shiftscope.PUBLIC))
