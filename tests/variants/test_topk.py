"""`topk`: k exactly, sparse gradients equal dense ones, dead latents alone learn from the auxiliary loss."""

import numpy as np
import pytest
import torch
from helpers.streams import assert_equal_to_plain, learned

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics.correlation import mcc
from shiftscope.training.draws import normal
from shiftscope.variants import _sparse
from shiftscope.variants.topk import TopK


def weights_of(variant, n_codes=40, d=10, dtype=torch.float64, **changes):
    """Weights at random, biases too, as leaves."""
    setting = variant(**changes)
    torch.manual_seed(1)
    weights = setting.initial(n_codes, d, normal(0))
    for name, tensor in weights.items():
        if name not in setting.buffers:
            weights[name] = (tensor + 0.3 * torch.randn(tensor.shape)).to(dtype).requires_grad_()
    return setting, weights


def gradients(weights):
    found = {name: tensor.grad.clone() for name, tensor in weights.items() if tensor.grad is not None}
    for tensor in weights.values():
        tensor.grad = None
    return found


def dense_codes(found, k):
    values, columns = found.topk(k, dim=1)
    return torch.zeros_like(found).scatter(1, columns, values.relu())


def test_it_finds_a_known_dictionary_of_more_features_than_dimensions(tmp_path):
    model, activations, features = learned(TopK, tmp_path, k=2)
    codes = TopK.encode(model.arrays, activations)
    assert mcc(codes, features) > 0.95
    assert ((codes > 0).sum(1) == 2).mean() > 0.99
    assert model.facts["reconstruction"] < 0.05


@pytest.mark.parametrize("k", [1, 7, 40])
def test_k_codes_differ_from_zero_as_long_as_so_many_are_above_it(k):
    rng = np.random.default_rng(k)
    arrays = {"encoder": rng.normal(size=(40, 10)), "encoder_bias": rng.normal(size=40), "k": np.float32(k)}
    inputs = rng.normal(size=(300, 10))
    found = inputs @ arrays["encoder"].T + arrays["encoder_bias"]
    codes = TopK.encode(arrays, inputs)
    assert ((codes != 0).sum(1) == np.minimum(k, (found > 0).sum(1))).all()
    kept = np.sort(found, 1)[:, -k:].clip(0)
    assert np.sort(codes, 1)[:, -k:] == pytest.approx(kept)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_loss_and_every_gradient_are_those_of_dense_codes(dtype, most):
    setting, weights = weights_of(TopK, dtype=dtype, k=6)
    inputs = torch.randn(64, 10, dtype=dtype)
    sparse = setting.loss(weights, inputs, 0)
    sparse.backward()
    found = gradients(weights)
    pre = (inputs - weights["decoder_bias"]) @ weights["encoder"].T + weights["encoder_bias"]
    outputs = dense_codes(pre, 6) @ weights["decoder"] + weights["decoder_bias"]
    dense = (inputs - outputs).square().mean()
    dense.backward()
    assert float(sparse.detach()) == pytest.approx(float(dense.detach()), rel=most)
    expected = gradients(weights)
    assert found.keys() == expected.keys() == {"encoder", "encoder_bias", "decoder", "decoder_bias"}
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0
        assert (found[name] - gradient).abs().max() <= most, name


def test_no_tensor_has_a_number_for_every_row_code_and_dimension():
    """The largest tensor that a step makes is that of all pre-activations: k of them times d would be larger."""
    batch, d, n_codes, k = 128, 64, 256, 32
    setting, weights = weights_of(TopK, n_codes, d, torch.float32, k=k)
    with torch.profiler.profile(record_shapes=False, profile_memory=True) as seen:
        setting.loss(weights, torch.randn(batch, d), 0).backward()
    largest = max(event.cpu_memory_usage for event in seen.events())
    assert 4 * batch * n_codes <= largest < 4 * batch * k * d


def test_latents_count_the_vectors_since_they_fired():
    setting, weights = weights_of(TopK, k=1)
    inputs = torch.randn(8, 10, dtype=torch.float64)
    setting.loss(weights, inputs, 0)
    codes = dense_codes((inputs - weights["decoder_bias"]) @ weights["encoder"].T + weights["encoder_bias"], 1)
    fired = (codes > 0).any(0)
    assert 0 < fired.sum() < 9
    assert (weights["since_fired"] == torch.where(fired, 0, 8)).all()
    setting.loss(weights, inputs, 1)
    assert (weights["since_fired"] == torch.where(fired, 0, 16)).all()


@pytest.mark.parametrize("k_aux", [3, None])
def test_dead_latents_alone_learn_from_the_auxiliary_loss(k_aux):
    setting, weights = weights_of(TopK, k=4, k_aux=k_aux, dead_after=100)
    dead = torch.arange(5, 17)
    weights["since_fired"][dead] = 100
    inputs, left = torch.randn(2, 64, 10, dtype=torch.float64)
    loss = setting._auxiliary_loss(weights, inputs, left)
    loss.backward()
    found = gradients(weights)
    assert found.keys() == {"encoder", "encoder_bias", "decoder"}
    alive = [latent for latent in range(40) if latent not in dead]
    for gradient in found.values():
        assert (gradient[alive] == 0).all()
        assert (gradient[dead] != 0).any()
    pre = ((inputs - weights["decoder_bias"]) @ weights["encoder"].T + weights["encoder_bias"])[:, dead]
    codes = dense_codes(pre, k_aux or 5)  # half the width by default
    expected = (left - codes @ weights["decoder"][dead]).square().mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()))


def test_nobody_dead_no_auxiliary_loss():
    setting, weights = weights_of(TopK, dead_after=100)
    weights["since_fired"][:] = 99
    assert setting._auxiliary_loss(weights, torch.randn(4, 10), torch.randn(4, 10)) == 0


def test_it_equals_a_plain_one_for_50_steps(tmp_path):
    setting = TopK(k=2, steps=50, batch_size=60, lr=0.01, warmup=10, dead_after=120, k_aux=3, auxiliary=0.5)
    revived = []

    def loss(weights, inputs, step):
        pre = (inputs - weights["decoder_bias"]) @ weights["encoder"].T + weights["encoder_bias"]
        codes = dense_codes(pre, 2)
        left = inputs - codes @ weights["decoder"] - weights["decoder_bias"]
        fired = (codes > 0).any(0)
        weights["since_fired"].copy_(torch.where(fired, 0, weights["since_fired"] + len(inputs)))
        dead = weights["since_fired"] >= 120
        revived.append(int(dead.sum()))
        if not dead.any():
            return left.square().mean()
        again = (inputs - weights["decoder_bias"].detach()) @ weights["encoder"].T + weights["encoder_bias"]
        masked = torch.where(dead, again, -torch.inf)
        values, columns = masked.topk(min(3, int(dead.sum())), dim=1)
        aux = torch.zeros_like(again).scatter(1, columns, values.relu())
        return left.square().mean() + 0.5 * (left.detach() - aux @ weights["decoder"]).square().mean()

    assert_equal_to_plain(setting, loss, tmp_path, n_codes=60)
    assert max(revived) > 0


def test_more_codes_in_use_than_there_are_is_an_error():
    with pytest.raises(
        ShiftScopeError, match=r"^k 32 is more than the 20 codes there are: lower k or take more codes$"
    ):
        TopK(k=32).initial(20, 5, normal(0))


def test_rows_without_entries_and_latents_without_entries_are_zero():
    entries = _sparse.Entries(torch.tensor([0, 0, 3]), torch.tensor([1, 4, 4]), torch.tensor([0, 2, 2, 2]))
    values, decoder = torch.tensor([1.0, 2, 3]), torch.eye(5)
    dense = entries.dense(values, 5)
    assert (_sparse.decoded(entries, values, decoder) == dense).all()
    assert dense.tolist() == [[0, 1, 0, 0, 2], [0] * 5, [0] * 5, [0, 0, 0, 0, 3]]
