"""Loading a fetched language model: verified, untrained twins drawn from their seed, spread over devices."""

import json

import numpy as np
import pytest
import torch
from helpers.fetched import fetch, rows_of, same_weights, twin
from helpers.reading import embed
from helpers.tiny_lms import make_model, save_lm

from shiftscope.activations.layers import first_device
from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json


def test_weights_that_change_behind_the_link_are_noticed(tmp_path):
    source = save_lm(tmp_path / "source")
    folder = fetch(tmp_path, {"kind": "folder", "path": str(source)})
    make_model("llama", 3).save_pretrained(source)
    with pytest.raises(ShiftScopeError, match=r"model.safetensors has changed since it was fetched"):
        load(folder)
    (source / "model.safetensors").unlink()
    with pytest.raises(ShiftScopeError, match=r"\(a link to .*\) is missing"):
        load(folder)


def test_weights_of_another_config_are_refused(tmp_path):
    source = save_lm(tmp_path / "source")
    config = read_json(source / "config.json") | {"num_hidden_layers": 4}
    (source / "config.json").write_text(json.dumps(config))
    folder = fetch(tmp_path, {"kind": "folder", "path": str(source)})
    with pytest.raises(ShiftScopeError, match=r"lack model\.layers\.3\."):
        load(folder)


def test_an_lm_that_was_not_fetched_is_named(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"fetch the LM first"):
        load(save_lm(tmp_path / "source"))


# --- an untrained twin


def test_a_twin_is_drawn_from_its_seed_alone(tmp_path):
    folder, other = twin(tmp_path, 3, "twin"), twin(tmp_path, 4, "other")
    assert not (folder / "model.safetensors").exists()
    manifest = read_json(folder / "manifest.json")
    assert (manifest["untrained_of"], manifest["seed"], manifest["d_model"]) == ("tiny", 3, 32)
    torch.manual_seed(11)
    first, tokenizer = load(folder)
    drawn = torch.rand(3)
    torch.manual_seed(12)
    assert same_weights(load(folder)[0], first)
    torch.manual_seed(11)
    assert torch.equal(torch.rand(3), drawn), "loading a twin moved the global random state"
    texts = ["king", "the queen"]
    rows = [embed(model, tokenizer, texts, "final_norm", batch_tokens=8)
            for model in (first, load(other)[0], load(tmp_path / "lms/tiny")[0])]  # fmt: skip
    assert abs(rows[0] - rows[1]).max() > 0.1 and abs(rows[0] - rows[2]).max() > 0.1


def test_a_twin_has_the_initialisation_of_its_architecture(tmp_path):
    model, _ = load(twin(tmp_path, 0, "twin"))
    weights = torch.cat([weight.flatten() for name, weight in model.named_parameters() if "proj" in name])
    assert abs(weights.std() / model.config.initializer_range - 1) < 0.05
    assert torch.equal(model.model.norm.weight, torch.ones(32))


def test_a_twin_in_another_dtype_has_the_same_weights(tmp_path):
    folder = twin(tmp_path, 0, "twin")
    half, whole = load(folder, "bfloat16")[0], load(folder)[0]
    assert same_weights(half, whole.to(torch.bfloat16))


def test_half_precision_does_not_round_positions(tmp_path):
    for folder in (twin(tmp_path, 0, "twin"), tmp_path / "lms/tiny"):
        half, whole = load(folder, "bfloat16")[0], load(folder)[0]
        assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
        assert torch.equal(half.model.rotary_emb.inv_freq, whole.model.rotary_emb.inv_freq)


# --- a device map


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_a_model_is_read_wherever_its_parts_are(tmp_path, kind):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source", kind))})
    plain = load(folder)[0]
    expected, blocks = rows_of(*load(folder)), dict(plain.named_children())
    name = plain.base_model_prefix
    parts = {f"{name}.{part}": "disk" for part, _ in blocks[name].named_children()} | {"lm_head": "disk"}
    embedding = next(key for key in parts if "embed" in key)
    for device_map in ("auto", "cpu", {"": "cpu"}, {"": "disk"}, parts | {embedding: "cpu"}):
        model, tokenizer = load(folder, device_map=device_map)
        assert abs(rows_of(model, tokenizer) - expected).max() < 1e-5
    assert torch.device(first_device(model)) == torch.device("cpu")
    model.get_input_embeddings()._hf_hook.execution_device = 0
    assert first_device(model) == 0  # the first GPU's number is 0, which is no absence
    places = {weight.device.type for weight in model.parameters()}
    assert places == {"cpu", "meta"}  # what is on the disk was never loaded whole
    assert not list(tmp_path.rglob("*.dat"))  # nor written a second time
    model, tokenizer = load(folder, "bfloat16", {"": "disk"})
    assert np.array_equal(rows_of(model, tokenizer), rows_of(*load(folder, "bfloat16")))


def test_a_twin_takes_a_device_map(tmp_path):
    folder = twin(tmp_path, 3, "twin")
    expected = rows_of(*load(folder))
    for device_map in ("auto", "sequential", "cpu", {"model": "cpu", "lm_head": "cpu"}):
        assert np.array_equal(rows_of(*load(folder, device_map=device_map)), expected)
    with pytest.raises(ShiftScopeError, match=r"twin .* is drawn in memory, .*: map it to cpu"):
        load(folder, device_map={"": "disk"})


@pytest.mark.parametrize(
    ("device_map", "message"),
    [
        (
            {"model.layer": "cpu", "": "cpu"},
            r"has no module 'model\.layer': it has lm_head, model, model\.embed_tokens",
        ),
        ({"model.layers": "cpu"}, r"device_map says nothing of model\.embed_tokens\.weight"),
    ],
)
def test_a_device_map_that_does_not_fit_is_refused(tmp_path, device_map, message):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    with pytest.raises(ShiftScopeError, match=message):
        load(folder, device_map=device_map)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(tmp_path):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    for device_map in ({"": 0}, "cuda"):
        with pytest.raises(ShiftScopeError, match=r"names GPU 0, counted from 0, but PyTorch sees 0 here"):
            load(folder, device_map=device_map)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "does not fit into the GPU's memory: .*`device_map: auto`"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "does not fit into the memory: .*`disk`",
        ),
        (RuntimeError("shape mismatch"), "delete the folder and fetch it again"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_what_to_do(tmp_path, monkeypatch, error, message):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})

    def fail(*_):
        raise error

    monkeypatch.setattr("shiftscope.activations.model.trained", fail)
    with pytest.raises(ShiftScopeError, match=message):
        load(folder)
