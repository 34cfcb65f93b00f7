import numpy as np
import pytest
import torch
from helpers.shifts import random_pairs
from helpers.tiny_models import trained

from shiftscope.models import Replica
from shiftscope.variants.base import codes_of, decode
from shiftscope.variants.l1_tied import L1Tied
from shiftscope.variants.ssae import Ssae


def test_codes_of_an_autoencoder_of_embeddings_are_changes_of_its_codes():
    generator = np.random.default_rng(0)
    mean, scale = generator.normal(size=3), 2.0
    weights = {"matrix": generator.normal(size=(5, 3)), "bias": generator.normal(size=(1, 5))}
    arrays = L1Tied().export(weights, (mean, scale))
    before, after = generator.normal(size=(2, 7, 3)).astype(np.float32)

    def code(rows):
        return np.maximum((rows - mean) / scale @ weights["matrix"].T + weights["bias"], 0)

    expected = (code(after) - code(before)) @ weights["matrix"] * scale
    assert decode(arrays, codes_of(L1Tied, arrays, before, after)) == pytest.approx(expected, abs=1e-4)
    assert np.linalg.norm(arrays["decoder"], axis=1) == pytest.approx(1)


def test_its_loss_is_that_of_the_formula():
    torch.manual_seed(0)
    weights = {"matrix": torch.randn(2, 5, 3), "bias": torch.randn(2, 1, 5)}
    inputs, l1 = torch.randn(2, 7, 3), torch.tensor([0.0, 0.5])
    found = L1Tied().loss(weights, inputs, {"l1": l1}, 0.0)
    for replica in range(2):
        matrix, rows = weights["matrix"][replica], inputs[replica]
        codes = torch.relu(rows @ matrix.T + weights["bias"][replica])
        error = (rows - codes @ matrix).square().sum() / rows.square().sum()
        assert found.reconstruction[replica] == pytest.approx(float(error), rel=1e-5)
        assert found.objective[replica] == pytest.approx(float(error + l1[replica] * codes.mean()), rel=1e-5)


@pytest.mark.parametrize("variant", [L1Tied, Ssae])
def test_no_steps_leave_it_as_it_was_drawn(variant):
    pairs = random_pairs(4, 12)
    models = {
        steps: trained([variant(steps=steps, lr=1e-9)], [Replica(0, 0, seed) for seed in (0, 1)], pairs, 3)
        for steps in (0, 1)
    }
    for untrained, barely in zip(models[0], models[1], strict=True):
        assert untrained.arrays["decoder"] == pytest.approx(barely.arrays["decoder"], abs=1e-6)
    assert not np.allclose(models[0][0].arrays["decoder"], models[0][1].arrays["decoder"], atol=0.1)
