"""`structured`: the nuclear norm and its gradient against an SVD, both modes, and a sparse path that dies."""

import numpy as np
import pytest
import torch
from helpers.streams import MemoryStream, assert_equal_to_plain, learned, small

from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.training.streamed import train_replicas
from shiftscope.variants import _nuclear
from shiftscope.variants.base import decode
from shiftscope.variants.p_annealing import PAnnealing
from shiftscope.variants.structured import Structured

SHORT = {"steps": 50, "batch_size": 60, "lr": 0.01, "warmup": 10, "sparsity_warmup": 10, "anneal_start": 0.4,
         "updates": 4, "queue": 5}  # fmt: skip


@pytest.mark.parametrize(("n", "d", "codes", "rank"), [(40, 6, 30, 6), (4, 6, 30, 6), (40, 6, 3, 6), (40, 6, 30, 2)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_nuclear_norm_and_its_gradient_are_those_of_an_svd(n, d, codes, rank, dtype):
    """Also where inputs or weights have a lower rank than d."""
    torch.manual_seed(0)
    inputs = torch.randn(n, d, dtype=dtype)
    weights = (torch.randn(d, rank, dtype=dtype) @ torch.randn(rank, codes, dtype=dtype)).requires_grad_()
    found = _nuclear.nuclear_norm(inputs, weights)
    (3 * found).backward()
    left, values, right = torch.linalg.svd(inputs.double() @ weights.detach().double(), full_matrices=False)
    known = values > 1e-5 * values[0]
    expected = 3 * inputs.double().T @ left[:, known] @ right[known]
    most = 1e-8 if dtype == torch.float64 else 1e-4
    assert float(found.detach()) == pytest.approx(float(values.sum()), rel=max(most, 1e-6))
    assert (weights.grad - expected).abs().max() < 10 * most * expected.abs().max()


def test_a_path_that_is_zero_has_no_norm_and_no_gradient():
    weights = torch.zeros(5, 7, requires_grad=True)
    found = _nuclear.nuclear_norm(torch.randn(9, 5), weights)
    found.backward()
    assert float(found.detach()) == 0 and (weights.grad == 0).all()


def affine(noise=1e-4):
    """Codes that are nearly of rank 4, and what they are made of."""
    torch.manual_seed(0)
    inputs, bias = torch.randn(50, 8), torch.randn(30)
    weights = torch.randn(8, 3) @ torch.randn(3, 30) + noise * torch.randn(8, 30)
    return inputs, weights.requires_grad_(), bias.requires_grad_()


def test_the_largest_singular_values_and_their_gradient_are_those_of_an_svd():
    inputs, weights, bias = affine()
    codes = inputs @ weights + bias
    found = _nuclear.largest_singular_values(codes, 4, 1, inputs, weights, bias)
    found.backward()
    left, values, right = torch.linalg.svd(codes.detach(), full_matrices=False)
    assert found.item() == pytest.approx(float(values[:4].sum()), rel=1e-5)
    of_codes = left[:, :4] @ right[:4]
    assert weights.grad.numpy() == pytest.approx((inputs.T @ of_codes).numpy(), abs=1e-3)
    assert bias.grad.numpy() == pytest.approx(of_codes.sum(0).numpy(), abs=1e-3)


def test_the_estimate_draws_from_its_own_seed_and_leaves_others_alone():
    inputs, weights, bias = affine(noise=1.0)

    def estimate(seed):
        return _nuclear.largest_singular_values(inputs @ weights + bias, 4, seed, inputs, weights, bias)

    torch.manual_seed(5)
    first = estimate(1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.rand(1) == after
    assert estimate(1) == first
    assert estimate(2) != first


@pytest.mark.parametrize("nuclear", ["exact", "top"])
def test_with_gamma_zero_a_scaled_path_leaves_p_annealing_to_the_bit(nuclear, tmp_path):
    plain, structured = (
        train_replicas([setting], [Replica(0, 0, seed) for seed in (0, 4)], small(), 30, tmp_path / str(number))
        for number, setting in enumerate(
            [PAnnealing(**SHORT), Structured(**SHORT, mode="path_scale", gamma=0, nuclear=nuclear)]
        )
    )
    for one, other in zip(plain, structured, strict=True):
        assert all((other.arrays[name] == array).all() for name, array in one.arrays.items())
        assert {name: other.facts[name] for name in one.facts} == one.facts
        assert (other.arrays["structured_encoder"] == 0).all() and other.facts["l0_structured"] == 0


@pytest.mark.parametrize("nuclear", ["exact", "top"])
@pytest.mark.parametrize(("mode", "scale"), [("loss_weight", 1.0), ("path_scale", 0.3)])
def test_it_equals_a_plain_one_for_50_steps(mode, scale, nuclear, tmp_path):
    rank = 13 if nuclear == "top" else 1  # all there are, so that the estimate is exact
    setting = Structured(
        **SHORT | {"anneal_start": 1}, coefficient=0.5, mode=mode, gamma=0.3, nuclear=nuclear, rank=rank
    )

    def loss(weights, inputs, step):
        centred = inputs - weights["decoder_bias"]
        sparse = (centred @ weights["encoder"].T + weights["encoder_bias"]).relu()
        structured = centred @ weights["structured_encoder"].T + weights["structured_encoder_bias"]
        left = inputs - (sparse + scale * structured) @ weights["decoder"] - weights["decoder_bias"]
        held = (inputs - weights["decoder_bias"].detach()) @ weights["structured_encoder"].T
        norm = torch.linalg.matrix_norm(held + weights["structured_encoder_bias"], "nuc") / len(inputs) ** 0.5
        penalty = sparse.sum(1).mean() + 0.3 * norm
        return left.square().sum(1).mean() + 0.5 * min(1, step / 10) * penalty

    assert_equal_to_plain(setting, loss, tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return learned(Structured, tmp_path_factory.mktemp("structured"), coefficient=0.5, gamma=1.0, sparsity_warmup=100)


def test_it_finds_a_known_dictionary_of_more_features_than_dimensions(model):
    model, activations, features = model
    assert mcc(Structured.paths(model.arrays, activations)["sparse"], features) > 0.95
    assert model.facts["collapsed"] == 0 and model.facts["sparse_share"] > 0.8


def test_both_paths_add_up_and_the_facts_have_either(model):
    model, activations, _ = model
    paths = Structured.paths(model.arrays, activations)
    codes = Structured.encode(model.arrays, activations)
    assert list(paths) == ["sparse", "structured"]
    assert (codes == paths["sparse"] + paths["structured"]).all()
    variance = np.square(activations - activations.mean(0)).sum()
    for name, found in (("", codes), ("_sparse", paths["sparse"]), ("_structured", paths["structured"])):
        error = np.square(activations - decode(model.arrays, found)).sum() / variance
        assert model.facts[f"reconstruction{name}"] == pytest.approx(error, abs=0.02)
        assert model.facts[f"l0{name}"] == pytest.approx((found != 0).sum(1).mean(), rel=0.1)


def test_a_sparse_path_that_dies_is_kept_and_told_of(tmp_path, caplog):
    """The activations are of low rank, the penalty on codes is heavy and that on rank is none."""
    rng = np.random.default_rng(0)
    stream = MemoryStream(rng.normal(size=(600, 2)) @ rng.normal(size=(2, 12)))
    setting = Structured(**SHORT | {"steps": 300}, coefficient=50, gamma=0)
    (model,) = train_replicas([setting], [Replica(0, 0, 0)], stream, 30, tmp_path)
    assert model.facts["collapsed"] == 1
    assert model.facts["reconstruction"] < 0.1 and model.facts["l0_sparse"] < 1
    assert "the sparse path has collapsed at step 300 with gamma 0: 0.00 codes" in caplog.text
