"""The published recipe: its loss against torch's own layers, its constraint, and what its repair changes."""

import numpy as np
import pytest
import torch
from helpers.shifts import D, K, batch_of, easy, pairs_of, random_weights
from helpers.tiny_models import trained
from sklearn.decomposition import PCA

from shiftscope.errors import ShiftScopeError
from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.ssae_paper import SsaePaper, layer_norm, mean_absolute_code
from shiftscope.variants.ssae_paper_repaired import SsaePaperRepaired

LAYERS = {"batch": torch.nn.BatchNorm1d, "layer": torch.nn.LayerNorm, "none": torch.nn.Identity}


def by_torch(code_norm, one, shifts, scale):
    """Codes and the mean relative error of shifts `[n, D]`, by the authors' steps: normalise, encode, decode, map back."""
    layer = LAYERS[code_norm](K)
    if code_norm != "none":
        layer.weight.data, layer.bias.data = one["gain"][0].clone(), torch.zeros(K)
    mean, spread = shifts.mean(1, keepdim=True), shifts.std(1, keepdim=True)
    seen = (shifts - mean) / spread / scale
    with torch.no_grad():
        codes = layer((seen - one["decoder_bias"]) @ one["encoder"].T) + one["encoder_bias"]
    output = (codes @ one["decoder"] + one["decoder_bias"]) * scale * spread + mean
    return codes, float(((output - shifts).square().mean(1) / shifts.square().mean(1)).mean()), layer


@pytest.mark.parametrize("code_norm", LAYERS)
def test_paper_loss_equals_torch_layers_replica_by_replica(code_norm):
    """LayerNorm of shifts, the norm of codes in training mode, biases and mapping back, against torch.nn."""
    rng = np.random.default_rng(7)
    setting = SsaePaper(code_norm=code_norm)
    shifts = 3 * rng.normal(size=(30, D)).astype(np.float32) + 1
    prepared = setting.prepare(TrainingPairs(shifts, None, None, K), K)
    assert prepared.keep.scale == pytest.approx(np.sqrt((D - 1) / K))
    weights = random_weights(
        rng, encoder=(K, D), decoder=(K, D), decoder_bias=(1, D), encoder_bias=(1, K), gain=(1, K)
    ) | {"running_mean": torch.zeros(3, 1, K), "running_variance": torch.ones(3, 1, K)}  # fmt: skip
    weights["encoder"].requires_grad_()
    level = torch.tensor([0.1, 0.2, 0.4])
    inputs = torch.from_numpy(prepared.inputs).view(3, 10, D)
    found = setting.loss(weights, inputs, {"sparsity_level": level}, 0.25)
    for replica in range(3):
        one = {name: tensor[replica].detach() for name, tensor in weights.items()}
        batch = torch.from_numpy(shifts[10 * replica : 10 * replica + 10])
        codes, error, layer = by_torch(code_norm, one, batch, prepared.keep.scale)
        assert float(found.objective[replica].detach()) == pytest.approx(error, rel=1e-4)
        violation = float(codes.abs().mean()) - float(level[replica])
        assert float(found.violation[replica].detach()) == pytest.approx(violation, rel=1e-4)
        if code_norm == "batch":
            assert one["running_mean"][0] == pytest.approx(layer.running_mean, abs=1e-5)
            assert one["running_variance"][0] == pytest.approx(layer.running_var, rel=1e-4)


def test_a_single_code_cannot_be_layer_normed():
    with pytest.raises(ShiftScopeError, match="code_norm layer makes a single code 0: take batch, or more codes"):
        SsaePaper(code_norm="layer").prepare(pairs_of(np.random.default_rng(9)), 1)


def test_a_pair_in_which_nothing_changes_has_no_error():
    batch = batch_of(SsaePaper, pairs_of(np.random.default_rng(9)), replicas=1)
    inputs = batch.inputs[:, :16]
    with torch.no_grad():
        alone = batch.variant.loss(batch.weights, inputs, batch.constants, 0)
        padded = batch.variant.loss(batch.weights, torch.cat([inputs, 0 * inputs], 1), batch.constants, 0)
    assert float(padded.objective) == pytest.approx(float(alone.objective) / 2, rel=1e-5)


def test_beta_is_a_share_of_what_pca_needs_and_a_file_has_it_in_the_sources_units():
    pairs = pairs_of(np.random.default_rng(17))
    seen = layer_norm(pairs.shifts)
    needed = np.abs(PCA(K).fit_transform(seen)).mean()
    assert mean_absolute_code(seen, K) == pytest.approx(needed, rel=1e-4)
    prepared = SsaePaper(sparsity_level=0.3).prepare(pairs, K)
    assert prepared.keep.sparsity_level == pytest.approx(0.3 * needed, rel=1e-4)
    assert prepared.constants["sparsity_level"] == pytest.approx(0.3 * needed / np.sqrt((D - 1) / K), rel=1e-4)
    wide = mean_absolute_code(seen, 2 * K)
    assert 2 * K * wide >= K * needed  # what a sample needs in all: no number of codes makes β slack
    assert mean_absolute_code(seen, 100) * 100 == pytest.approx(mean_absolute_code(seen, D) * D)


@pytest.mark.parametrize("variant", [SsaePaper, SsaePaperRepaired])
def test_what_is_read_is_mapped_back(variant):
    pairs = pairs_of(np.random.default_rng(18), noise=0.1)
    batch = batch_of(variant, pairs, replicas=1)
    [(arrays, _)] = batch.results()
    seen = variant.target(arrays, pairs.shifts)
    assert np.square(seen).sum(1).mean() == pytest.approx(K, rel=1e-3)
    assert variant.restored(arrays, seen, pairs.shifts) == pytest.approx(pairs.shifts, abs=1e-4)


def test_in_july_the_constraint_is_off_tightens_and_stays():
    setting = SsaePaper(version="july", sparsity_level=0.25)
    sparsity, level = torch.tensor([0.7]), torch.tensor([0.2])
    in_force = [float(sparsity - setting._violation(sparsity, level, p)) for p in (0.1, 0.3, 0.5, 0.9)]
    assert in_force == pytest.approx([0.8, 0.5, 0.2, 0.2])  # .8 is what PCA needs
    off = sparsity.clone().requires_grad_()
    before = setting._violation(off, level, 0.05)
    before.sum().backward()
    assert before.item() < 0 and off.grad.item() == 0  # no force on the code
    january = SsaePaper(sparsity_level=0.25)
    assert [float(sparsity - january._violation(sparsity, level, p)) for p in (0, 0.3)] == pytest.approx([0.2, 0.2])


def test_without_layer_norm_shifts_are_divided_by_one_number():
    pairs = pairs_of(np.random.default_rng(9))
    prepared = SsaePaperRepaired().prepare(pairs, K)
    assert np.square(prepared.inputs).sum(1).mean() == pytest.approx(K, rel=1e-5)
    assert prepared.inputs * prepared.keep.scale == pytest.approx(pairs.shifts, abs=1e-5)


@pytest.mark.parametrize("changes", [{"project_gradient": True}, {"project_gradient": True, "version": "july"}])
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
    [(SsaePaper, 0.4, True), (SsaePaperRepaired, 0.4, True), (SsaePaperRepaired, 1.0, False)],
    ids=["paper", "repaired", "loose"],
)
def test_a_tight_sparsity_level_is_met_with_equality_and_a_loose_one_costs_nothing(variant, level, active):
    """Complementary slackness: violation ≤ 0 ≤ multiplier, and one of them is 0; no gain escapes."""
    setting = variant(sparsity_level=level, steps=1200, lr=0.01)
    replicas = [Replica(0, 0, seed) for seed in range(2)]
    pairs = easy(np.random.default_rng(14))
    for *_, arrays, facts in trained([setting], replicas, {0: pairs}, K):
        if active:
            assert abs(facts["violation"]) < 0.05  # running statistics make codes .03 shorter than a batch's
            assert facts["multiplier"] > 0.3
            needed = np.abs(variant.encode(arrays, pairs.shifts)).mean() * arrays["scale"]
            assert needed == pytest.approx(arrays["sparsity_level"], rel=0.15)
        else:
            assert facts["violation"] < -0.01
            assert facts["multiplier"] < 0.01
