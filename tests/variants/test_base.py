"""What every variant keeps: unit directions, and arrays that give the codes and the error of the trained weights."""

import importlib

import numpy as np
import pytest
import torch
from helpers.shifts import TRAINED, D, K, batch_of, easy, mixed, one_at_a_time, pairs_of
from helpers.tiny_models import trained

from shiftscope import kinds
from shiftscope.metrics.correlation import mcc
from shiftscope.metrics.sparsity import reconstruction_error
from shiftscope.models import Replica
from shiftscope.variants.affine import Affine
from shiftscope.variants.affine_paper import AffinePaper
from shiftscope.variants.base import decode, linear_model
from shiftscope.variants.dictionary_learning import DictionaryLearning
from shiftscope.variants.ica import Ica
from shiftscope.variants.pca import Pca
from shiftscope.variants.ssae import Ssae
from shiftscope.variants.ssae_paper import SsaePaper
from shiftscope.variants.ssae_paper_repaired import SsaePaperRepaired

QUICK = {Ica: {}, DictionaryLearning: {"steps": 60}}


def fitted(variant, pairs, seed=0, codes=K):
    return variant(**QUICK[variant]).fit(pairs, codes, seed)


def name_of(variant):
    return variant.__name__ if isinstance(variant, type) else str(variant)


def test_a_linear_model_keeps_its_output_when_directions_get_unit_norm():
    rng = np.random.default_rng(4)
    encoder, decoder, bias = rng.normal(size=(K, D)), 7 * rng.normal(size=(K, D)), rng.normal(size=K)
    decoder[2] = 0
    arrays = linear_model(encoder, decoder, bias)
    shifts = rng.normal(size=(20, D))
    assert np.linalg.norm(arrays["decoder"], axis=1) == pytest.approx([1, 1, 0, 1])
    output = decode(arrays, Pca.encode(arrays, shifts))
    assert output == pytest.approx((shifts @ encoder.T + bias) @ decoder, abs=1e-3)


@pytest.mark.parametrize("name", kinds.names("variants"))
def test_variant_files_import_nothing_heavy(name):
    assert not {"np", "numpy", "torch", "pd", "sklearn"} & set(
        vars(importlib.import_module(f"shiftscope.variants.{name}"))
    )


# --- what is exported is what was trained -----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", TRAINED, ids=name_of)
def test_exported_arrays_give_the_codes_and_the_error_of_the_trained_weights(variant):
    pairs = pairs_of(np.random.default_rng(8), noise=0.05)
    sides = 0 * pairs.shifts, pairs.shifts
    batch = batch_of(variant, pairs, steps=40)
    batch.run(None, 0)
    with torch.no_grad():
        inside = batch.variant.loss(batch.weights, batch.inputs[batch.source], batch.constants, 1.0)
    for replica, (arrays, facts) in enumerate(batch.results()):
        assert np.linalg.norm(arrays["decoder"], axis=1) == pytest.approx(np.ones(K), abs=1e-5)
        assert facts["reconstruction"] == float(inside.reconstruction[replica])
        if variant in (Ssae, Affine):  # error in whitened space inside, in embedding space outside: compare outputs
            keep = batch.variant.prepare(pairs, K).keep
            weights = {name: tensor[replica].detach().numpy() for name, tensor in batch.weights.items()}
            inner = keep.inputs @ weights["encoder"].T @ weights["decoder"] @ keep.backward
            outer = decode(arrays, variant.encode(arrays, pairs.shifts))
            assert outer == pytest.approx(inner, abs=1e-4)
        else:
            output = variant.restored(arrays, decode(arrays, variant.encode(arrays, pairs.shifts)), pairs.shifts)
            relative = np.square(pairs.shifts - output).sum(1) / np.square(pairs.shifts).sum(1)
            error = relative.mean() if arrays["layer_norm"] else reconstruction_error(variant, arrays, *sides)
            assert error == pytest.approx(float(inside.reconstruction[replica]), rel=1e-3)
            level = float(np.abs(variant.encode(arrays, pairs.shifts)).mean())
            assert level == pytest.approx(float(inside.sparsity[replica]), rel=1e-3)


# --- every step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "every", "changes"),
    [(Ssae, 1, {}), (Affine, 1, {}), (SsaePaperRepaired, 1, {}), (SsaePaper, 1, {}), (AffinePaper, 1, {}),
     (SsaePaper, 50, {"version": "july"})],
    ids=name_of,
)  # fmt: skip
def test_directions_have_unit_norm_after_every_step_that_says_so(variant, every, changes):
    deviations = []

    class Watched(variant):
        def after_step(self, weights, step):
            super().after_step(weights, step)
            deviations.append(float((weights["decoder"].detach().norm(dim=2) - 1).abs().max()))

    batch = batch_of(Watched, pairs_of(np.random.default_rng(12)), steps=110, **changes)
    batch.run(None, 0)
    unit = [step for step, deviation in enumerate(deviations, 1) if deviation < 1e-5]
    expected = [step for step in range(1, 111) if step % every == 0 or step == 110]
    assert unit == expected


@pytest.mark.parametrize("variant", TRAINED, ids=name_of)
def test_variants_start_with_the_encoder_as_transposed_decoder_of_unit_norm(variant):
    batch = batch_of(variant, pairs_of(np.random.default_rng(13)))
    assert (batch.weights["encoder"] == batch.weights["decoder"]).all()
    assert batch.weights["decoder"].norm(dim=2).sub(1).abs().max() < 1e-6
    assert (batch.weights["decoder"][0] != batch.weights["decoder"][1]).all()


# --- constraints at the end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "bound"), [(Affine, 1e-4), (AffinePaper, 0.05)], ids=name_of)
def test_without_constraint_the_floor_is_reached(variant, bound):
    pairs = easy(np.random.default_rng(16))
    replicas = [Replica(0, 0, seed) for seed in range(2)]
    for model in trained([variant(steps=1000)], replicas, {0: pairs}, K):
        assert model.facts["violation"] is None and model.facts["multiplier"] is None
        assert model.facts["reconstruction"] < bound
        assert reconstruction_error(variant, model.arrays, 0 * pairs.shifts, pairs.shifts) < bound


# --- baselines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", QUICK, ids=name_of)
def test_gaussian_concepts_can_be_found_by_nobody(variant):
    """Every rotation of whitened Gaussian shifts has the same law, so the answer is the seed's."""
    rng = np.random.default_rng(1)
    concepts = rng.normal(size=(1500, K))
    pairs, _ = mixed(concepts, rng)
    models = [fitted(variant, pairs, seed) for seed in range(3)]
    assert np.mean([mcc(variant.encode(arrays, pairs.shifts), concepts) for arrays in models]) < 0.9
    span = np.linalg.lstsq(Ica.encode(fitted(Ica, pairs), pairs.shifts), concepts, rcond=None)[1]
    assert span == pytest.approx(np.zeros(K), abs=1e-4)  # although nothing of them is lost


@pytest.mark.parametrize("variant", QUICK, ids=name_of)
def test_equal_seeds_give_equal_baselines(variant):
    rng = np.random.default_rng(3)
    pairs, _ = mixed(rng.normal(size=(500, K)), rng)
    first, other = fitted(variant, pairs, 0), fitted(variant, pairs, 1)
    assert all((fitted(variant, pairs, 0)[name] == array).all() for name, array in first.items())
    assert (first["decoder"] != other["decoder"]).any()


@pytest.mark.parametrize("variant", QUICK, ids=name_of)
@pytest.mark.parametrize(("n", "codes"), [(200, D + 3), (5, K), (200, 1)])
def test_more_codes_than_dimensions_fewer_pairs_than_codes_and_one_code(variant, n, codes):
    rng = np.random.default_rng(4)
    pairs, _ = mixed(one_at_a_time(rng, n), rng)
    arrays = fitted(variant, pairs, codes=codes)
    assert arrays["encoder"].shape == arrays["decoder"].shape == (codes, D)
    norms = np.linalg.norm(arrays["decoder"], axis=1)
    assert (np.isclose(norms, 1, atol=1e-5) | (norms == 0)).all()
    assert all(np.isfinite(array).all() for array in arrays.values())
