import numpy as np
import pytest
import torch

from shiftscope.variants.base import codes_of, decode
from shiftscope.variants.l1_tied import L1Tied


def test_codes_of_an_autoencoder_of_embeddings_are_changes_of_its_codes():
    generator = np.random.default_rng(0)
    mean, scale = generator.normal(size=3), 2.0
    weights = {"matrix": generator.normal(size=(5, 3)), "bias": generator.normal(size=(5, 1))}
    arrays = L1Tied().export(weights, (mean, scale))
    before, after = generator.normal(size=(2, 7, 3)).astype(np.float32)

    def code(rows):
        return np.maximum((rows - mean) / scale @ weights["matrix"].T + weights["bias"][:, 0], 0)

    expected = (code(after) - code(before)) @ weights["matrix"] * scale
    assert decode(arrays, codes_of(L1Tied, arrays, before, after)) == pytest.approx(expected, abs=1e-4)
    assert np.linalg.norm(arrays["decoder"], axis=1) == pytest.approx(1)


def test_its_loss_is_that_of_the_formula():
    torch.manual_seed(0)
    weights = {"matrix": torch.randn(2, 5, 3), "bias": torch.randn(2, 5, 1)}
    inputs, l1 = torch.randn(2, 7, 3), torch.tensor([0.0, 0.5])
    found = L1Tied().loss(weights, inputs, {"l1": l1}, 0.0)
    for replica in range(2):
        matrix, rows = weights["matrix"][replica], inputs[replica]
        codes = torch.relu(rows @ matrix.T + weights["bias"][replica].T)
        error = (rows - codes @ matrix).square().sum() / rows.square().sum()
        assert found.reconstruction[replica] == pytest.approx(float(error), rel=1e-5)
        assert found.objective[replica] == pytest.approx(float(error + l1[replica] * codes.mean()), rel=1e-5)
