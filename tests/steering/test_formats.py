"""Vectors in other packages' formats do there what they do here."""

import importlib

import numpy as np
import pytest
import torch
from helpers.programs import lacking
from helpers.tiny_lms import make_model

import shiftscope
from shiftscope.errors import ShiftScopeError
from shiftscope.files import write_tensors

IDS = torch.tensor([[3, 4, 5]])  # one text, for repeng takes positions of one to be those of all
VECTOR = np.linspace(-1, 1, 32, dtype=np.float32)


def package(name):
    """A package that is installed for this test alone, for its needs name older versions than ours."""
    try:
        return importlib.import_module(name)
    except ImportError:
        lacking(f"{name} is not installed: pip install --no-deps {name.replace('_', '-')}")


@pytest.fixture
def vectors(tmp_path):
    file = tmp_path / "steering_vectors.safetensors"
    write_tensors(file, {"formal": VECTOR}, {"layer": "resid_post.1"})
    return file


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def ours(vectors, scale):
    model = make_model("llama")
    with shiftscope.steer(model, vectors, "formal", scale):
        return logits(model)


def test_repeng_reads_it_and_makes_the_same_shift(vectors, tmp_path, monkeypatch):
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # repeng names what NumPy 2 no longer has
    repeng = package("repeng")
    shiftscope.to_gguf(vectors, "formal", tmp_path / "formal.gguf", "llama")
    control = repeng.ControlVector.import_gguf(tmp_path / "formal.gguf")
    assert control.model_type == "llama" and np.array_equal(control.directions[1], VECTOR)
    wrapped = repeng.ControlModel(make_model("llama"), [1])
    wrapped.set_control(control, 1.5)
    with torch.no_grad():
        found = wrapped(IDS).logits
    assert torch.allclose(found, ours(vectors, 1.5), atol=1e-5)


def test_steering_vectors_reads_it_and_makes_the_same_shift(vectors):
    package("steering_vectors")
    model = make_model("llama")
    with shiftscope.to_steering_vector(vectors.parent, "formal").apply(model, multiplier=1.5):
        found = logits(model)
    assert torch.allclose(found, ours(vectors, 1.5), atol=1e-5)


@pytest.mark.parametrize("write", [lambda *given: shiftscope.to_gguf(*given, "x.gguf", "llama"), lambda *given: shiftscope.to_steering_vector(*given)])  # fmt: skip
def test_what_no_block_gives_is_refused(tmp_path, write, vectors):
    file = tmp_path / "final.safetensors"
    write_tensors(file, {"formal": VECTOR}, {"layer": "final_norm"})
    with pytest.raises(
        ShiftScopeError,
        match=r"formal was read at final_norm, and these packages add vectors behind a block: .* `layer: resid_post\.L`",
    ):
        write(file, "formal")
    with pytest.raises(ShiftScopeError, match="vector 'formel' is unknown: allowed are formal; did you mean 'formal'"):
        write(vectors, "formel")
