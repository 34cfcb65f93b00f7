"""Exported steering vectors: their names, signs, lengths and bytes, against a truth that is known."""

import dataclasses
import itertools

import numpy as np
import pytest
from helpers.tiny_models import drawn
from helpers.tiny_models import trained as trained_on

from shiftscope import kinds
from shiftscope.files import read_json, read_tensors, sha256_of
from shiftscope.metrics.correlation import mcc_of_directions
from shiftscope.models import Replica
from shiftscope.pair_embeddings import PairEmbeddings, training_pairs
from shiftscope.steering.vectors import export_vectors, named_vectors, shared_vector
from shiftscope.training.base import train
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


def exported(folder, data, models, facts=FACTS, why=""):
    files = [folder / name for name in ("vectors.safetensors", "other_seeds.safetensors", "vectors.json")]
    other_setting = [one._replace(setting=0, seed=one.seed) for one in models]
    export_vectors(data, facts, other_setting + models, 1, *files, why)
    return files


def test_names_and_signs_follow_the_truth(data, models):
    """A vector moves embeddings as an increase of the concept of its name does, whatever the code's own sign."""
    for one in models:
        found = {one.name: one.vector for one in named_vectors(data, Ssae, one.arrays)}
        assert sorted(found) == NAMES
        for index, name in enumerate(NAMES):
            assert cosine(found[name], mixing(data)[index]) > 0.999


def test_what_may_stay_unexplained_tilts_directions_a_little(data):
    """The share `slack` of the energy is saved on long codes, and unit directions make up for it: about 5 degrees."""
    (one,) = trained(Ssae, data, shrinkage=0, slack=0.02)
    found = named_vectors(data, Ssae, one.arrays)
    assert min(one.correlation for one in found) > 0.9999  # codes are exact all the same
    assert 0.985 < min(cosine(one.vector, mixing(data)[NAMES.index(one.name)]) for one in found) < 0.9995


def test_turning_a_code_round_leaves_its_vector(data, models):
    arrays = models[0].arrays
    turned = arrays | {name: -arrays[name] for name in ("encoder", "encoder_bias", "decoder")}
    for one, other in zip(named_vectors(data, Ssae, arrays), named_vectors(data, Ssae, turned), strict=True):
        assert (one.name, one.pairs, one.forward) == (other.name, other.pairs, other.forward)
        assert one.correlation == pytest.approx(other.correlation)
        assert one.vector == pytest.approx(other.vector, abs=1e-6)


def test_the_length_is_that_of_a_typical_shift(data, models):
    """Of the shift along a direction, which has a part in those of other concepts: the median of pairs that carry it.

    A concept that changes does so by U(0, 1), so that E c³ / E c² = 3/4 is typical, and half of that is carried.
    """
    rows = data.rows("train")
    for one in named_vectors(data, Ssae, models[0].arrays):
        change = data.truths["shift"][0, rows, NAMES.index(one.name)]
        along = data.shifts(0, "train") @ one.vector / np.linalg.norm(one.vector)
        carries = change > 0.75 / 2
        assert one.pairs == pytest.approx(carries.sum(), rel=0.05)
        assert np.linalg.norm(one.vector) == pytest.approx(np.median(along[carries]), rel=0.05)
        assert one.correlation > 0.999 and one.forward == 1


@pytest.mark.parametrize("share", [0.5, 0.004])
def test_the_length_does_not_depend_on_how_rare_the_concept_is(data, share):
    rows = data.rows("train")
    changed = np.arange(len(rows)) < share * len(rows)
    direction = np.eye(16)[0]
    first = data.embedding_0.copy()
    second = first + 0.2 * np.eye(16)[1]  # something else changes a little in every pair
    second[0, rows[changed]] += 5 * direction
    rare = dataclasses.replace(data, embedding_1=second.astype(np.float32))
    arrays = linear_model(np.eye(16)[:2], np.eye(16)[:2]) | {"alive": np.ones(2, bool)}
    found = named_vectors(rare, Pca, arrays)
    assert [np.linalg.norm(one.vector) for one in found] == pytest.approx([5, 0.2], rel=1e-3)
    assert [one.pairs for one in found] == [changed.sum(), len(rows)]


@pytest.mark.parametrize("variant", [SsaePaperRepaired, SsaePaper], ids=["scaled", "layer_norm"])
def test_lengths_are_in_units_of_the_embeddings_however_a_variant_scales_its_input(data, variant):
    larger = dataclasses.replace(data, embedding_0=50 * data.embedding_0, embedding_1=50 * data.embedding_1)
    lengths = []
    for pairs in (data, larger):
        (one,) = trained(variant, pairs, steps=300, sparsity_level=0.45)
        typical = np.sqrt(np.square(pairs.shifts(0, "train")).sum(1).mean())
        lengths.append([np.linalg.norm(one.vector) / typical for one in named_vectors(pairs, variant, one.arrays)])
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05)
    assert all(0.1 < length < 3 for length in lengths[0])


def test_dead_codes_are_not_exported(data, models):
    arrays = dict(models[0].arrays)
    arrays["alive"] = np.array([True, False, True])
    assert len(named_vectors(data, Ssae, arrays)) == 2


def with_shifts(data, shifts):
    """The same pairs with other shifts `[n, d]`, and no truth."""
    return dataclasses.replace(
        data,
        embedding_1=data.embedding_0 + shifts[None].astype(np.float32),
        truths={},
        facts=data.facts | {"truths": {}, "primary_truth": None},
    )


def test_a_code_that_hardly_any_shift_has_or_whose_direction_shifts_go_against_has_no_vector(data):
    shifts = np.zeros((len(data.split), 16))
    shifts[:, 0], shifts[:, 1], shifts[:, 2] = 1, 0.019, 1
    directions = np.eye(16)[:3]
    encoder = directions * [[1], [1], [-1]]  # the third code says that shifts go the other way
    arrays = linear_model(encoder, directions) | {"alive": np.ones(3, bool)}
    (one,) = named_vectors(with_shifts(data, shifts), Pca, arrays)
    assert one.name == "code_0" and one.vector == pytest.approx(np.eye(16)[0])


@pytest.mark.parametrize("sign", [1, -1])
def test_without_truth_a_vector_goes_from_first_texts_to_second_and_says_of_how_many(data, sign):
    """Whatever the sign of its code: 70 % of the pairs go one way by 2, the rest back."""
    rng = np.random.default_rng(0)
    shifts = np.outer(np.where(rng.random(len(data.split)) < 0.7, 2.0, -2.0), np.eye(16)[3])
    arrays = linear_model(sign * np.eye(16)[3:4], sign * np.eye(16)[3:4]) | {"alive": np.ones(1, bool)}
    (one,) = named_vectors(with_shifts(data, shifts), Pca, arrays)
    assert one.vector == pytest.approx(2 * np.eye(16)[3], abs=1e-5)
    rows = data.rows("train")
    assert (one.name, one.pairs, one.correlation) == ("code_0", len(rows), None)
    assert one.forward == pytest.approx((shifts[rows, 3] > 0).mean())


def test_a_known_concept_decides_the_sign_although_most_pairs_go_back(data):
    rows, change = data.rows("train"), data.truths["shift"].copy()
    change[:, rows[: int(0.8 * len(rows))]] *= -1
    back = dataclasses.replace(data, embedding_1=data.embedding_0 + (change @ mixing(data)).astype(np.float32))
    directions = mixing(data)
    arrays = linear_model(np.linalg.pinv(directions).T, directions) | {"alive": np.ones(3, bool)}
    for one in named_vectors(back, Pca, arrays):
        assert cosine(one.vector, mixing(data)[NAMES.index(one.name)]) > 0.999
        assert one.forward == pytest.approx(0.2, abs=0.02)


def test_a_code_that_follows_no_concept_has_a_number_for_a_name(data):
    outside = np.linalg.qr(np.concatenate([mixing(data).T, np.eye(16)], axis=1))[0][:, 3:5].T
    noise = np.random.default_rng(0).normal(size=(1, len(data.split), 2)) @ outside
    noisy = dataclasses.replace(data, embedding_1=data.embedding_1 + noise.astype(np.float32))
    directions = np.concatenate([mixing(data)[:1], outside])
    arrays = linear_model(np.linalg.pinv(directions).T, directions) | {"alive": np.ones(3, bool)}
    first, *rest = named_vectors(noisy, Pca, arrays)
    assert first.name in (*NAMES, "code_0")
    assert [(one.name, one.correlation) for one in rest] == [("code_1", None), ("code_2", None)]


def test_without_truth_all_names_are_numbers(data, models):
    unknown = dataclasses.replace(data, truths={}, facts=data.facts | {"truths": {}, "primary_truth": None})
    found = named_vectors(unknown, Ssae, models[0].arrays)
    assert [(one.name, one.correlation) for one in found] == [(f"code_{i}", None) for i in range(3)]
    for one, direction in zip(found, models[0].arrays["decoder"], strict=True):
        assert abs(cosine(one.vector, direction)) == pytest.approx(1, abs=1e-6)
        assert max(cosine(one.vector, row) for row in mixing(data)) > 0.999 and one.forward == 1  # all pairs rise


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
    assert "recommended" not in about
    for name, vector, *facts in named_vectors(data, Ssae, central.arrays):
        assert (arrays[name] == vector).all() and vector.dtype == np.float32 and vector.shape == (16,)
        assert about["scales"][name] == pytest.approx(float(np.linalg.norm(vector)))
        assert [about[key][name] for key in ("correlations", "pairs", "forward", "held_out")] == facts
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


# --- what all pairs share


def test_what_all_pairs_share_is_the_mean_as_long_as_their_median_projection(data):
    """U(0, 1) of every concept: every pair rises, so all share that. A few pairs that are too long are left out."""
    rows = data.rows("train")
    one = shared_vector(data)
    mean = data.shifts(0, "train").mean(0)
    assert cosine(one.vector, mean) == pytest.approx(1, abs=1e-6)
    along = data.shifts(0, "train") @ mean / np.linalg.norm(mean)
    assert np.linalg.norm(one.vector) == pytest.approx(np.median(along), rel=1e-5)
    assert one[:1] + one[2:5] == ("shared", None, len(rows), (along > 0).mean())
    assert one.held_out["pairs"] == len(data.rows("test")) and len(one.held_out["rows"]) == 64
    odd = np.zeros((1, len(data.split)), bool)
    odd[0, rows[:100]] = True
    assert shared_vector(dataclasses.replace(data, odd=odd)).pairs == len(rows) - 100


def test_pairs_that_go_either_way_share_nothing(data):
    shifts = data.embedding_1[0] - data.embedding_0[0]
    turned = np.random.default_rng(0).choice([-1, 1], len(shifts))[:, None] * shifts
    assert shared_vector(with_shifts(data, turned)) is None


@pytest.mark.parametrize(
    ("why", "codes", "orientation", "first"),
    [
        ("told", 3, "given", ["shared"]),
        ("", 3, "given", []),  # it is not the one that is recommended
        ("told", 1, "given", []),  # `shared` is then a candidate itself
        ("told", 3, "random", []),
    ],
)
def test_it_comes_first_in_the_file_of_what_is_recommended(tmp_path, data, models, why, codes, orientation, first):
    oriented = dataclasses.replace(data, facts=data.facts | {"orientation": orientation})
    vectors, _, beside = exported(tmp_path, oriented, models, FACTS | {"codes": codes}, why)
    names = [one.name for one in named_vectors(data, Ssae, models[0].arrays)]
    about = read_json(beside)
    assert about["names"][: len(first)] == first and sorted(about["names"][len(first) :]) == sorted(names)
    assert set(read_tensors(vectors)[0]) == set(about["names"])
    assert about.get("recommended") == (why or None)
    if first:
        assert read_tensors(vectors)[0]["shared"] == pytest.approx(shared_vector(data).vector)


def test_it_is_not_exported_where_pairs_share_nothing_and_a_file_may_be_empty(tmp_path, data, models):
    rng = np.random.default_rng(0)
    turned = rng.choice([-1, 1], len(data.split))[:, None] * (data.embedding_1[0] - data.embedding_0[0])
    vectors, _, beside = exported(tmp_path / "a", with_shifts(data, turned), models, why="told")
    assert "shared" not in read_json(beside)["names"] and len(read_json(beside)["names"]) == 3
    dead = [one._replace(arrays=one.arrays | {"alive": np.zeros(3, bool)}) for one in models]
    vectors, _, beside = exported(tmp_path / "b", with_shifts(data, turned), dead, why="told")
    assert read_tensors(vectors)[0] == {} and read_json(beside)["names"] == []


# --- lengths, of every variant


def planted(k):
    """Texts in which each of k concepts is there or not, by directions of k lengths; each shift turns one on."""
    n, rng = 600, np.random.default_rng(k)
    directions = np.linalg.qr(rng.normal(size=(12, k)))[0].T * (1 + np.arange(k))[:, None]
    chosen = rng.integers(k, size=n)
    size = rng.uniform(0.8, 1.2, n)[:, None]
    before = 0.05 * rng.normal(size=(n, 12))
    after = before + size * directions[chosen] + 0.05 * rng.normal(size=(n, 12))
    split = np.repeat(np.array([0, 1, 2], np.uint8), n // 3)
    truth = (size * np.eye(k)[chosen]).astype(np.float32)
    names = [f"concept_{index}" for index in range(k)]
    facts = {"concepts": names, "truths": {"shift": names}, "primary_truth": "shift", "orientation": "given"}
    sides = (side[None].astype(np.float32) for side in (before, after))
    sign = np.ones((1, n), np.int8)
    return PairEmbeddings(*sides, split, np.arange(n), chosen[None], sign, {"shift": truth[None]}, facts)


OF_PAIRS = [name for name in kinds.names("variants") if kinds.load("variants", name).reads in ("shifts", "embeddings")]
IDENTIFY = ("dictionary_learning", "mean_difference", "pca", "probe_direction", "shift_mixture", "ssae")
"""what finds several concepts that change one at a time; of the others vectors are mixtures"""


@pytest.mark.parametrize(("name", "k"), [*((name, 1) for name in OF_PAIRS), *((name, 3) for name in IDENTIFY)])
def test_adding_a_vector_once_makes_one_typical_shift(name, k):
    """Of held-out pairs in which its concept changes: their median projection on the vector's own direction."""
    data, variant = planted(k), kinds.load("variants", name)
    setting = variant(**({"steps": 300} if "steps" in variant.model_fields else {}))
    (model,) = train([setting], [Replica(0, 0, 0)], data, k)
    vectors = named_vectors(data, variant, model.arrays)
    assert len(vectors) == k
    for one in vectors:
        unit = one.vector / np.linalg.norm(one.vector)
        projections = data.shifts(0, "single") @ unit
        concept = data.concept[0, data.rows("single")]
        typical = max(np.median(projections[concept == index]) for index in range(k))
        assert 0.7 < np.linalg.norm(one.vector) / typical < 1.4
        assert one.forward > 0.9
