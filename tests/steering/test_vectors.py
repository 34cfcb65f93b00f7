"""Exported steering vectors: their names, signs, lengths and bytes, against a truth that is known."""

import dataclasses
import itertools

import numpy as np
import pytest
from helpers.tiny_models import drawn
from helpers.tiny_models import trained as trained_on

from shiftscope.files import read_json, read_tensors, sha256_of
from shiftscope.metrics.correlation import mcc_of_directions
from shiftscope.models import Replica
from shiftscope.pair_embeddings import training_pairs
from shiftscope.steering.vectors import export_vectors, named_vectors
from shiftscope.variants.base import linear_model
from shiftscope.variants.pca import Pca
from shiftscope.variants.ssae import Ssae
from shiftscope.variants.ssae_paper import SsaePaper
from shiftscope.variants.ssae_paper_repaired import SsaePaperRepaired

LAW = {"n_varying": 3, "max_changed": 2, "n_train": 2000, "n_test": 500, "n_single": 0, "data_seeds": 1}
FACTS = {
    "lm": "tiny_lm",
    "dataset": "tiny",
    "codes": 3,
    "variant": "ssae",
    "kind": "ssae",
    "settings": [{"a": 1}, {"a": 2}],
}
NAMES = ["concept_0", "concept_1", "concept_2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    found = drawn(tmp_path_factory.mktemp("export"), **LAW)
    facts = found.facts | {"layer": "final_norm", "token": "last", "template": "{text}", "sha256": "0" * 64}
    return dataclasses.replace(found, facts=facts)


def mixing(data):
    """A, with δz = A δc, from the data: there is no noise."""
    rows = data.rows("train")
    return np.linalg.lstsq(data.truths["shift"][0, rows], data.shifts(0, "train"), rcond=None)[0]


def trained(variant, data, seeds=(0,), **changes):
    replicas = [Replica(0, 0, seed) for seed in seeds]
    found = trained_on([variant(**changes)], replicas, {0: training_pairs(data, 0)}, 3)
    return [one._replace(setting=1) for one in found]


def cosine(left, right):
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


@pytest.fixture(scope="module")
def models(data):
    """Three seeds of an identified model that may leave next to nothing unexplained."""
    return trained(Ssae, data, seeds=(0, 1, 2), shrinkage=0, slack=0.0003)


def exported(folder, data, models):
    files = [folder / name for name in ("vectors.safetensors", "other_seeds.safetensors", "vectors.json")]
    other_setting = [one._replace(setting=0, seed=one.seed) for one in models]
    export_vectors(data, FACTS, other_setting + models, 1, *files)
    return files


def test_names_and_signs_follow_the_truth(data, models):
    """A vector moves embeddings as an increase of the concept of its name does, whatever the code's own sign."""
    for one in models:
        found = {name: vector for name, vector, _ in named_vectors(data, Ssae, one.arrays)}
        assert sorted(found) == NAMES
        for index, name in enumerate(NAMES):
            assert cosine(found[name], mixing(data)[index]) > 0.999


def test_what_may_stay_unexplained_tilts_directions_a_little(data):
    """The share `slack` of the energy is saved on long codes, and unit directions make up for it: about 5 degrees."""
    (one,) = trained(Ssae, data, shrinkage=0, slack=0.02)
    found = named_vectors(data, Ssae, one.arrays)
    assert min(correlation for _, _, correlation in found) > 0.9999  # codes are exact all the same
    assert 0.985 < min(cosine(vector, mixing(data)[NAMES.index(name)]) for name, vector, _ in found) < 0.9995


def test_turning_a_code_round_leaves_its_vector(data, models):
    arrays = models[0].arrays
    turned = arrays | {name: -arrays[name] for name in ("encoder", "encoder_bias", "decoder")}
    for (name, vector, correlation), (again, same, as_before) in zip(
        named_vectors(data, Ssae, arrays), named_vectors(data, Ssae, turned), strict=True
    ):
        assert name == again and correlation == pytest.approx(as_before)
        assert vector == pytest.approx(same, abs=1e-6)


def test_the_length_is_that_of_a_typical_shift(data, models):
    """A concept that changes does so by U(0, 1): weighted by energy, by E c³ / E c² = 3/4 of its direction in A."""
    for name, vector, correlation in named_vectors(data, Ssae, models[0].arrays):
        full = np.linalg.norm(mixing(data)[NAMES.index(name)])
        assert np.linalg.norm(vector) == pytest.approx(0.75 * full, rel=0.05)
        assert correlation > 0.999


@pytest.mark.parametrize("share", [0.5, 0.004])
def test_the_length_does_not_depend_on_how_rare_the_concept_is(data, share):
    rows = data.rows("train")
    changed = np.arange(len(rows)) < share * len(rows)
    direction = np.eye(16)[0]
    first = data.embedding_0.copy()
    second = first + 0.01 * np.eye(16)[1]  # something else changes a little in every pair
    second[0, rows[changed]] += 5 * direction
    rare = dataclasses.replace(data, embedding_1=second.astype(np.float32))
    arrays = linear_model(np.eye(16)[:2], np.eye(16)[:2]) | {"alive": np.ones(2, bool)}
    lengths = [np.linalg.norm(vector) for _, vector, _ in named_vectors(rare, Pca, arrays)]
    assert lengths == pytest.approx([5, 0.01], rel=1e-3)


@pytest.mark.parametrize("variant", [SsaePaperRepaired, SsaePaper], ids=["scaled", "layer_norm"])
def test_lengths_are_in_units_of_the_embeddings_however_a_variant_scales_its_input(data, variant):
    larger = dataclasses.replace(data, embedding_0=50 * data.embedding_0, embedding_1=50 * data.embedding_1)
    lengths = []
    for pairs in (data, larger):
        (one,) = trained(variant, pairs, steps=300, sparsity_level=0.45)
        typical = np.sqrt(np.square(pairs.shifts(0, "train")).sum(1).mean())
        lengths.append([np.linalg.norm(vector) / typical for _, vector, _ in named_vectors(pairs, variant, one.arrays)])
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05)
    assert all(0.1 < length < 3 for length in lengths[0])


def test_dead_codes_are_not_exported(data, models):
    arrays = dict(models[0].arrays)
    arrays["alive"] = np.array([True, False, True])
    assert len(named_vectors(data, Ssae, arrays)) == 2


def test_a_code_that_follows_no_concept_has_a_number_for_a_name(data):
    noise = np.linalg.qr(np.concatenate([mixing(data).T, np.eye(16)], axis=1))[0][:, 3:5].T
    directions = np.concatenate([mixing(data)[:1], noise])
    arrays = linear_model(np.linalg.pinv(directions).T, directions) | {"alive": np.ones(3, bool)}
    first, *rest = named_vectors(data, Pca, arrays)
    # its two neighbours lie outside the span of all shifts, so they follow nothing
    assert first[0] in (*NAMES, "code_0")
    assert [(name, correlation) for name, _, correlation in rest] == [("code_1", None), ("code_2", None)]


def test_without_truth_all_names_are_numbers(data, models):
    unknown = dataclasses.replace(data, truths={}, facts=data.facts | {"truths": {}, "primary_truth": None})
    found = named_vectors(unknown, Ssae, models[0].arrays)
    assert [(name, correlation) for name, _, correlation in found] == [(f"code_{i}", None) for i in range(3)]
    for (_, vector, _), direction in zip(found, models[0].arrays["decoder"], strict=True):
        assert cosine(vector, direction) == pytest.approx(1, abs=1e-6)


def agreement(one, other):
    return mcc_of_directions(one.arrays["decoder"], other.arrays["decoder"])


def test_the_medoid_of_the_chosen_setting_is_written_and_other_seeds_beside_it(tmp_path, data, models):
    vectors, others, beside = exported(tmp_path, data, models)
    arrays, about = read_tensors(vectors)
    assert read_json(beside) == about | {"sha256": sha256_of(vectors), "others_sha256": sha256_of(others)}
    assert sorted(arrays) == sorted(about["names"]) == NAMES
    central = max(models, key=lambda one: sum(agreement(one, other) for other in models if other is not one))
    assert about["seed"] == central.seed and about["setting"] == {"a": 2}
    pairs = [agreement(one, other) for one, other in itertools.combinations(models, 2)]
    assert about["udr"] == pytest.approx(np.median(pairs))
    assert (about["lm"], about["layer"], about["token"]) == ("tiny_lm", "final_norm", "last")
    assert about["embeddings_sha256"] == "0" * 64
    for name, vector, correlation in named_vectors(data, Ssae, central.arrays):
        assert (arrays[name] == vector).all() and vector.dtype == np.float32 and vector.shape == (16,)
        assert about["scales"][name] == pytest.approx(float(np.linalg.norm(vector)))
        assert about["correlations"][name] == pytest.approx(correlation)
    rest, about_rest = read_tensors(others)
    others = sorted({0, 1, 2} - {central.seed})
    assert sorted(rest) == sorted(f"seed_{seed}.{name}" for seed in others for name in NAMES)
    assert about_rest["seeds"] == others
    for seed in others:  # an identified model: other seeds give the same vectors
        for name in NAMES:
            assert rest[f"seed_{seed}.{name}"] == pytest.approx(arrays[name], abs=1e-2)


def test_vectors_have_the_same_bytes_each_time(tmp_path, data, models):
    once = [file.read_bytes() for file in exported(tmp_path / "a", data, models)]
    assert once == [file.read_bytes() for file in exported(tmp_path / "b", data, models[::-1])]
