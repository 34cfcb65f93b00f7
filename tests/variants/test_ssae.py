"""The default's loss against plain loops, its tolerance, and that the allowed error is used up."""

import numpy as np
import pytest
import torch
from helpers.shifts import D, K, easy, pairs_of, random_weights
from helpers.tiny_models import trained

from shiftscope.models import Replica
from shiftscope.variants.affine import Affine
from shiftscope.variants.ssae import Ssae


@pytest.mark.parametrize("progress", [0.0, 0.37, 0.8, 1.0])
def test_ssae_loss_equals_a_loop_over_replicas(progress):
    rng = np.random.default_rng(5)
    weights = random_weights(rng, encoder=(K, D), decoder=(K, D))
    inputs = torch.from_numpy(rng.normal(size=(3, 7, D))).float()
    tolerance = torch.tensor([0.1, 0.2, 0.3])
    found = Ssae().loss(weights, inputs, {"tolerance": tolerance}, progress)
    width = 10.0 ** (1 - 2 * min(1, progress / 0.8))  # geometric from 10 to .1
    for replica in range(3):
        encoder, decoder, x = (t[replica].double().numpy() for t in (weights["encoder"], weights["decoder"], inputs))
        lost = total = penalty = 0.0
        for sample in x:
            code = encoder @ sample
            lost += np.square(sample - code @ decoder).sum()
            total += np.square(sample).sum()
            penalty += np.log(1 + np.abs(code) / (width * np.linalg.norm(sample))).mean() / 7
        assert float(found.reconstruction[replica]) == pytest.approx(lost / total, rel=1e-5)
        assert float(found.objective[replica]) == pytest.approx(penalty / np.log(1 + 1 / width), rel=1e-5)
        assert float(found.violation[replica]) == pytest.approx(lost / total - float(tolerance[replica]), rel=1e-4)
    alone = Affine().loss(weights, inputs, {"tolerance": tolerance}, progress)
    assert (alone.objective == found.reconstruction).all() and alone.violation is None


@pytest.mark.parametrize("codes", [2, 12])
def test_initialisations_share_inputs(codes):
    """Four initialisations of each of two replicas: the same as if every one had its replica's inputs."""
    rng = np.random.default_rng(6)
    weights = random_weights(rng, replicas=8, encoder=(codes, 16), decoder=(codes, 16))
    inputs = torch.from_numpy(rng.normal(size=(2, 7, 16))).float()
    constants = {"tolerance": torch.linspace(0.1, 0.8, 8)}
    shared = Ssae().loss(weights, inputs, constants, 0.3)
    apart = Ssae().loss(weights, inputs.repeat_interleave(4, 0), constants, 0.3)
    for left, right in zip(shared, apart, strict=True):
        assert left.numpy() == pytest.approx(right.numpy(), rel=1e-5)


def test_the_penalty_goes_from_l1_to_l0():
    """At width ε the penalty of one code c is log(1 + c/ε) / log(1 + 1/ε): c for wide ε, 1 for narrow."""

    def penalty(width, share):
        codes = torch.tensor([[[share, (1 - share**2) ** 0.5]]])
        weights = {"encoder": torch.eye(2)[None], "decoder": torch.eye(2)[None]}
        setting = Ssae(width_start=width, width_end=width)
        return 2 * float(setting.loss(weights, codes, {"tolerance": torch.zeros(1)}, 0.0).sparsity)

    assert penalty(1e4, 0.6) == pytest.approx(0.6 + 0.8, rel=1e-3)
    assert penalty(1e-8, 0.6) == pytest.approx(2, rel=0.05)
    assert penalty(1e-8, 0.0) == pytest.approx(1, rel=0.05)


def test_ssae_tolerance_is_the_floor_and_a_share_of_the_rest():
    pairs = pairs_of(np.random.default_rng(6), noise=0.5)
    prepared = Ssae(shrinkage=0.1, slack=0.05).prepare(pairs, 2)
    values = np.linalg.eigvalsh(prepared.inputs.T.astype(np.float64) @ prepared.inputs)[::-1]
    floor = values[2:].sum() / values.sum()
    assert 0.1 < floor < 1
    assert prepared.constants["tolerance"] == pytest.approx(floor + 0.05 * (1 - floor))
    exact = Ssae(shrinkage=0, slack=0.05).prepare(pairs, 2)
    assert exact.constants["tolerance"] == pytest.approx(0.05, abs=1e-6)


def test_the_allowed_error_is_used_up_and_has_a_price():
    pairs = easy(np.random.default_rng(15))
    replicas = [Replica(0, 0, seed) for seed in range(3)]
    for *_, arrays, facts in trained([Ssae(shrinkage=0)], replicas, {0: pairs}, K):
        assert abs(facts["violation"]) < 0.005
        assert facts["reconstruction"] == pytest.approx(0.02, abs=0.005)
        assert facts["multiplier"] > 0.1
        assert arrays["encoder"].shape == arrays["decoder"].shape == (K, D)
