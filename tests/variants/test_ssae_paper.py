"""The published recipe: its loss against torch's own layers, its constraint, and what its repair changes."""

import numpy as np
import pytest
import torch
from helpers.shifts import D, K, batch_of, easy, pairs_of, random_weights
from helpers.tiny_models import trained

from shiftscope.models import Replica
from shiftscope.variants.ssae_paper import SsaePaper, layer_norm
from shiftscope.variants.ssae_paper_repaired import SsaePaperRepaired


@pytest.mark.parametrize("normalised", [True, False])
def test_paper_loss_equals_torch_layers_replica_by_replica(normalised):
    """LayerNorm, BatchNorm in training mode, biases and the L1 level, against torch.nn for each replica alone."""
    rng = np.random.default_rng(7)
    setting = SsaePaper(batch_norm=normalised, warmup=0.0, tightened=0.5)
    shifts = 3 * rng.normal(size=(40, D)).astype(np.float32) + 1
    inputs = torch.from_numpy(np.stack([layer_norm(shifts)[start : start + 10] for start in (0, 10, 20)]))
    assert inputs.mean(2).abs().max() < 1e-6 and inputs.std(2).sub(1).abs().max() < 1e-3
    weights = random_weights(
        rng, encoder=(K, D), decoder=(K, D), decoder_bias=(1, D), encoder_bias=(1, K), gain=(1, K), offset=(1, K),
        running_mean=(1, K),
    ) | {"running_variance": torch.ones(3, 1, K)}  # fmt: skip
    for name in ("encoder", "decoder"):
        weights[name].requires_grad_()
    layers = []
    for replica in range(3):
        layer = torch.nn.BatchNorm1d(K)
        layer.weight.data, layer.bias.data = weights["gain"][replica, 0].clone(), weights["offset"][replica, 0].clone()
        layer.running_mean.copy_(weights["running_mean"][replica, 0])
        layers.append(layer)
    level = torch.tensor([0.1, 0.2, 0.4])
    found = setting.loss(weights, inputs, {"sparsity_level": level}, 0.25)
    found = found._replace(objective=found.objective.detach(), violation=found.violation.detach())
    for replica, layer in enumerate(layers):
        one = {name: tensor[replica] for name, tensor in weights.items()}
        codes = (inputs[replica] - one["decoder_bias"]) @ one["encoder"].T + one["encoder_bias"]
        codes = (layer(codes) if normalised else codes).detach()
        output = codes @ one["decoder"] + one["decoder_bias"]
        error = (inputs[replica] - output).square().sum() / inputs[replica].square().sum()
        assert float(found.objective[replica]) == pytest.approx(float(error.detach()), rel=1e-4)
        in_force = 1 + 0.5 * (float(level[replica]) - 1)  # half way from 1 to β
        assert float(found.violation[replica]) == pytest.approx(float(codes.abs().mean()) - in_force, rel=1e-4)
        if normalised:
            assert one["running_mean"][0] == pytest.approx(layer.running_mean, abs=1e-5)
            assert one["running_variance"][0] == pytest.approx(layer.running_var, rel=1e-4)


def test_the_paper_constraint_is_off_tightens_and_stays():
    setting = SsaePaper(warmup=0.1, tightened=0.5)
    sparsity, level = torch.tensor([0.7]), torch.tensor([0.2])
    in_force = [float(sparsity - setting._violation(sparsity, level, p)) for p in (0.1, 0.3, 0.5, 0.9)]
    assert in_force == pytest.approx([1, 0.6, 0.2, 0.2])
    off = sparsity.clone().requires_grad_()
    before = setting._violation(off, level, 0.05)
    before.sum().backward()
    assert before.item() < 0 and off.grad.item() == 0  # no force on the code


def test_without_layer_norm_shifts_are_divided_by_one_number():
    pairs = pairs_of(np.random.default_rng(9))
    prepared = SsaePaperRepaired().prepare(pairs, K)
    assert np.square(prepared.inputs).sum(1).mean() == pytest.approx(K, rel=1e-5)
    assert prepared.inputs * prepared.keep.scale == pytest.approx(pairs.shifts, abs=1e-5)


@pytest.mark.parametrize("changes", [{"project_gradient": True}, {"project_gradient": True, "unit_norm_every": 50}])
def test_every_optimiser_step_sees_a_gradient_perpendicular_to_the_directions(changes):
    batch = batch_of(SsaePaperRepaired, pairs_of(np.random.default_rng(10)), steps=20, **changes)
    decoder, optimiser = batch.weights["decoder"], batch.optimiser.primal_optimizers[0]
    seen = []

    def watch(take):
        def taken(*arguments, **named):
            along = (decoder.grad * decoder.detach()).sum(2) / decoder.detach().norm(dim=2)
            seen.append(float((along / decoder.grad.norm(dim=2)).abs().max()))
            return take(*arguments, **named)

        return taken

    optimiser.extrapolation, optimiser.step = watch(optimiser.extrapolation), watch(optimiser.step)
    batch.run(None, 0)
    assert len(seen) == 2 * 20
    assert max(seen) < 1e-5


def test_the_published_recipe_does_not_project():
    batch = batch_of(SsaePaper, pairs_of(np.random.default_rng(11)), steps=1)
    batch.problem.compute_cmp_state(batch.inputs[batch.source, :32]).loss.backward()
    decoder = batch.weights["decoder"]
    along = (decoder.grad * decoder.detach()).sum(2).abs() / decoder.grad.norm(dim=2)
    assert along.max() > 0.05


@pytest.mark.parametrize(
    ("variant", "level", "active"),
    [(SsaePaper, 0.3, True), (SsaePaperRepaired, 0.3, True), (SsaePaperRepaired, 1.0, False)],
    ids=["paper", "repaired", "loose"],
)
def test_a_tight_sparsity_level_is_met_with_equality_and_a_loose_one_costs_nothing(variant, level, active):
    """Complementary slackness: violation ≤ 0 ≤ multiplier, and one of them is 0."""
    setting = variant(sparsity_level=level, steps=1200, lr=0.01)
    replicas = [Replica(0, 0, seed) for seed in range(2)]
    for *_, facts in trained([setting], replicas, {0: easy(np.random.default_rng(14))}, K):
        if active:
            assert (
                abs(facts["violation"]) < 0.05
            )  # BatchNorm's running statistics make codes .03 shorter than a batch's
            assert facts["multiplier"] > 0.5
        else:
            assert facts["violation"] < -0.05
            assert facts["multiplier"] == 0
