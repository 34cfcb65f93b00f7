"""Rows of the metrics table: which there are, that they are right, and that odd data give no crash and no NaN."""

import dataclasses
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.tiny_models import draw, script, slice_of

from shiftscope.evaluation.base import RANDOM_DICTIONARIES, Trained, random_directions
from shiftscope.evaluation.parts import SCHEMA, read_parts, write_part
from shiftscope.evaluation.selection import chosen
from shiftscope.evaluation.shift_models import evaluate, model_rows
from shiftscope.evaluation.steering import MIN_PAIRS, steering_rows
from shiftscope.files import read_json, read_tensors
from shiftscope.kinds import load
from shiftscope.metrics.correlation import linear_r2, mcc, mcc_of_directions, readability
from shiftscope.metrics.sparsity import reconstruction_error
from shiftscope.models import read_facts, read_models
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.variants.ssae import Ssae
from shiftscope.variants.ssae_paper import SsaePaper, layer_norm

LAW = {
    "n_varying": 3, "max_changed": 2, "n_train": 300, "n_test": 120, "n_single": 60, "data_seeds": 2,
    "amplitude": "signed", "noise": 0.05,
}  # fmt: skip
VARIANTS = {
    "ssae": ([{"shrinkage": 0.01, "steps": 150}, {"shrinkage": 1, "steps": 150}], [0, 1, 2]),
    "ssae_paper": ([{"steps": 150}], [0, 1]),
    "pca": ([{}], [0]),
    "mean_difference": ([{}], [0]),
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Pairs, models, and the part with its selections, each by its script."""
    folder = tmp_path_factory.mktemp("evaluation")
    embeddings, manifest = draw(folder, **LAW)
    weights, sidecars = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, (settings, seeds) in VARIANTS.items():
            files = folder / f"{name}.safetensors", folder / f"{name}.json"
            script("train").main(embeddings, manifest, *([file] for file in files), slice_of(name, settings, seeds, 3))
            weights.append(files[0]), sidecars.append(files[1])
        made = folder / "part.parquet", folder / "selection.json"
        script("evaluate").main(embeddings, manifest, weights, sidecars, *made)
    return folder


@pytest.fixture(scope="module")
def rows(workplace):
    return read_parts([workplace / "part.parquet"])


@pytest.fixture(scope="module")
def data(workplace):
    return read_embeddings(workplace / "embeddings.safetensors", workplace / "manifest.json")


@pytest.fixture(scope="module")
def trained(workplace):
    found = []
    for name in VARIANTS:
        files = workplace / f"{name}.safetensors", workplace / f"{name}.json"
        found.append(Trained(read_facts(files[1]), load("variants", name), read_models([files[0]], [files[1]])))
    return chosen(found, read_json(workplace / "selection.json")["settings"])


def value(rows, **where):
    """The one value of the rows that match."""
    found = rows
    for column, wanted in where.items():
        found = found[found[column].isna()] if wanted is None else found[found[column] == wanted]
    assert len(found) == 1, found
    return float(found["value"].iloc[0])


def test_the_part_has_the_declared_schema_and_finite_values(workplace, rows):
    assert pq.read_schema(workplace / "part.parquet").equals(SCHEMA, check_metadata=False)
    assert np.isfinite(rows["value"]).all()
    assert set(rows["control"]) == {"", "permuted_labels", "random_dictionary", "no_steering", "ceiling"}
    key = [name for name in SCHEMA.names if name != "value"]
    assert not rows.duplicated(key).any()  # a row says what it is: no two mean the same


def test_every_model_and_every_pair_of_seeds_has_its_rows(rows):
    real = rows[rows["control"] == ""]
    count = real.groupby(["variant", "metric"]).size()
    for name, (settings, seeds) in VARIANTS.items():
        models = len(settings) * 2 * len(seeds)
        pairs = len(settings) * 2 * len(seeds) * (len(seeds) - 1) // 2
        for metric in ("mcc_truth", "reconstruction", "l0", "l1", "live_codes"):
            assert count[name, metric] == models
        for metric in ("mcc_seeds_decoder", "mcc_seeds_codes"):
            assert count.get((name, metric), 0) == pairs
        assert count.get((name, "udr"), 0) == (len(settings) if pairs else 0)
        chosen = 2 * len(seeds)  # one setting of each data seed
        assert count[name, "linear_r2"] == chosen
        for metric in ("cosine_published", "cosine_heldout", "cosine_published_sd", "cosine_heldout_sd"):
            assert count[name, metric] == chosen * 3
    assert ("ssae", "violation") in count and ("pca", "violation") not in count
    assert set(real[real["metric"] == "violation"]["split"]) == {"train"}
    assert set(real[real["metric"].str.startswith("cosine")]["split"]) == {"single"}


def test_controls_stand_beside_every_score(rows):
    for metric in ("cosine_published", "cosine_heldout"):
        mine = rows[rows["metric"] == metric]
        for control, seeds in (("no_steering", 1), ("random_dictionary", RANDOM_DICTIONARIES)):
            assert len(mine[mine["control"] == control]) == seeds * 2 * 3
    scores = rows[rows["metric"] == "mcc_truth"]
    assert len(scores[(scores["control"] == "ceiling") & (scores["variant"] == "")]) == 2
    assert len(scores[scores["control"] == "random_dictionary"]) == RANDOM_DICTIONARIES * 2
    agreement = rows[(rows["metric"] == "mcc_seeds_decoder") & (rows["control"] == "random_dictionary")]
    assert len(agreement) == 2 * RANDOM_DICTIONARIES * (RANDOM_DICTIONARIES - 1) // 2
    assert 0 < agreement["value"].min() <= agreement["value"].max() < 0.7  # by chance alone
    chance = scores[scores["control"] == "permuted_labels"]
    assert (chance.groupby("variant").size() == [2, 2, 6, 6, 4]).all()  # each model of the chosen setting
    assert chance["value"].max() < 0.3 < scores[scores["control"] == "ceiling"]["value"].min()
    assert (rows[~rows["control"].isin(["", "permuted_labels", "ceiling"])]["variant"] == "").all()


def test_a_variant_that_reads_layer_normed_shifts_has_a_ceiling_of_its_own(rows, data):
    ceilings = rows[(rows["control"] == "ceiling") & (rows["metric"] == "mcc_truth")]
    assert set(ceilings["variant"]) == {"", "ssae_paper"}
    for data_seed in range(2):
        truth = (data.truths["shift"][data_seed, data.rows(split)] for split in ("train", "test"))
        shifts = (layer_norm(data.shifts(data_seed, split)) for split in ("train", "test"))
        where = {"variant": "ssae_paper", "data_seed": data_seed, "seed": None}
        expected = readability(next(shifts), next(truth), next(shifts), next(truth))
        assert value(ceilings, **where) == pytest.approx(expected, abs=1e-3)
        assert expected < value(ceilings, variant="", data_seed=data_seed) - 0.02


def test_values_are_those_of_the_metrics(rows, data, trained):
    first = trained[0]
    for model in first.models:
        where = {"variant": "ssae", "data_seed": model.data_seed, "seed": model.seed, "control": ""}
        where["params"] = json.dumps(first.settings[model.setting], sort_keys=True, separators=(",", ":"))
        shifts = data.shifts(model.data_seed, "test")
        truth = data.truths["shift"][model.data_seed]
        codes = Ssae.encode(model.arrays, shifts)
        test, training = data.rows("test"), data.rows("train")
        assert value(rows, metric="mcc_truth", **where) == pytest.approx(mcc(codes, truth[test]), abs=1e-12)
        error = reconstruction_error(Ssae, model.arrays, *data.sides(model.data_seed, "test"))
        assert value(rows, metric="reconstruction", **where) == error
        selected = rows[(rows["variant"] == "ssae") & rows["selected"]]
        if model.setting == first.chosen:
            known = Ssae.encode(model.arrays, data.shifts(model.data_seed, "train"))
            expected = linear_r2(known, truth[training], codes, truth[test])
            assert value(selected, metric="linear_r2", **where) == pytest.approx(expected, abs=1e-12)
        else:
            assert not (selected["params"] == where["params"]).any()


def test_every_number_of_pairs_is_steered_with(data, trained):
    def with_pairs(numbers):
        settings = [one | {"n_pairs": number} for one, number in zip(trained[0].settings, numbers, strict=True)]
        return trained[0]._replace(facts=trained[0].facts | {"settings": settings})

    whole, curve = with_pairs([None, None]), with_pairs([50, 51])

    def steered(one):
        return {row["params"] for row in model_rows(data, one) if row["metric"] == "cosine_heldout"}

    assert (len(steered(whole)), len(steered(curve))) == (1, 2)


def test_udr_is_that_of_the_selection(rows, workplace):
    (selection,) = read_json(workplace / "selection.json")["settings"]
    for params, udr in zip(selection["settings"], selection["udr"], strict=True):
        text = json.dumps(params, sort_keys=True, separators=(",", ":"))
        assert value(rows, variant="ssae", metric="udr", params=text, seed=None, data_seed=None) == pytest.approx(udr)


def test_agreement_of_two_seeds_is_that_of_their_directions_and_codes(rows, data, trained):
    left, right = (model for model in trained[1].models if model.data_seed == 1)
    where = {"variant": "ssae_paper", "data_seed": 1, "seed": 0, "seed_2": 1}
    decoder = mcc_of_directions(left.arrays["decoder"], right.arrays["decoder"])
    assert value(rows, metric="mcc_seeds_decoder", **where) == decoder
    codes = [SsaePaper.encode(model.arrays, data.shifts(1, "test")) for model in (left, right)]
    assert value(rows, metric="mcc_seeds_codes", **where) == mcc(*codes)


def test_the_mean_difference_steers_nearly_perfectly_and_above_every_control(rows):
    mine = rows[(rows["metric"] == "cosine_heldout") & (rows["data_seed"] == 0)]
    for concept in ("concept_0", "concept_1", "concept_2"):
        one = mine[mine["concept"] == concept].groupby(["variant", "control"])["value"].mean()
        assert one["mean_difference", ""] > one["", "no_steering"]
        assert one["mean_difference", ""] >= one["", "random_dictionary"]


def test_pairs_that_are_written_the_other_way_round_steer_alike(data):
    single = data.rows("single")
    turned = single[::2]
    first, second = data.embedding_0.copy(), data.embedding_1.copy()
    first[:, turned], second[:, turned] = data.embedding_1[:, turned], data.embedding_0[:, turned]
    sign = data.sign.copy()
    sign[:, turned] *= -1
    reversed_pairs = dataclasses.replace(data, embedding_0=first, embedding_1=second, sign=sign)
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0][:5]
    assert list(steering_rows(reversed_pairs, 0, directions)) == list(steering_rows(data, 0, directions))


def test_a_concept_with_too_few_single_pairs_is_not_scored(data):
    concept = data.concept.copy()
    few = data.rows("single")[data.concept[0, data.rows("single")] == 1]
    concept[0, few[MIN_PAIRS - 1 :]] = -1
    fewer = dataclasses.replace(data, concept=concept)
    directions = np.eye(16)[:3]
    assert {row["concept"] for row in steering_rows(fewer, 0, directions)} == {"concept_0", "concept_2"}


def test_one_group_of_single_pairs_gives_directions_no_score(data):
    together = dataclasses.replace(data, group=np.zeros_like(data.group))
    assert list(steering_rows(together, 0, np.eye(16)[:3])) == []
    assert list(steering_rows(together, 0, None))


def test_steering_does_not_depend_on_the_signs_of_directions(data):
    directions = random_directions(3, 0, 0, 16)
    turned = [list(steering_rows(data, 0, directions * np.array(signs)[:, None])) for signs in ((1, 1, 1), (-1, 1, -1))]
    assert turned[0] == turned[1]


def checked(tmp_path, data, trained):
    """The rows, once the part that holds them could be written and is finite."""
    found = evaluate(data, trained)
    write_part(tmp_path / "part.parquet", found)
    assert all(math.isfinite(row["value"]) for row in found)
    return found


def test_dead_models_have_finite_values(tmp_path, data, trained):
    """A model whose codes are all dead scores nothing and steers nowhere; its neighbours are not harmed."""
    dead = [
        model._replace(
            arrays={name: np.zeros_like(array) for name, array in model.arrays.items()} | {"scale": np.ones(())}
        )
        for model in trained[0].models
    ]
    found = checked(tmp_path, data, [trained[0]._replace(models=dead), trained[2]])
    mine = [row for row in found if row["variant"] == "ssae"]
    by_metric = {metric: {row["value"] for row in mine if row["metric"] == metric} for metric in ("mcc_truth", "l0")}
    assert by_metric == {"mcc_truth": {0.0}, "l0": {0.0}}
    assert {row["value"] for row in mine if row["metric"] == "reconstruction"} == {1.0}
    assert {row["value"] for row in mine if row["metric"] == "live_codes"} == {0.0}
    assert {row["value"] for row in mine if row["metric"] == "mcc_seeds_decoder"} == {0.0}
    assert not any(row["metric"].startswith("cosine") for row in mine)
    assert any(row["metric"] == "cosine_heldout" for row in found if row["variant"] == "pca")


def test_own_pairs_without_truth_or_labels(tmp_path, data, trained):
    keep = data.split < 2
    facts = data.facts | {"truths": {}, "concepts": [], "primary_truth": None}
    own = dataclasses.replace(
        data, embedding_0=data.embedding_0[:1, keep], embedding_1=data.embedding_1[:1, keep], split=data.split[keep],
        group=data.group[keep], concept=np.full((1, keep.sum()), -1), sign=np.zeros((1, keep.sum()), np.int8),
        truths={}, facts=facts,
    )  # fmt: skip
    here = [one._replace(models=[model for model in one.models if model.data_seed == 0]) for one in trained[:3]]
    found = checked(tmp_path, own, here)
    metrics = {row["metric"] for row in found}
    assert metrics == {
        "reconstruction", "l0", "l1", "live_codes", "violation", "mcc_seeds_decoder", "mcc_seeds_codes", "udr",
        "udr_codes",
    }  # fmt: skip
    assert {row["control"] for row in found} == {"", "random_dictionary"}  # the chance level of agreement


def test_a_truth_that_never_varies_in_held_out_pairs_has_no_mcc_and_is_named_in_the_log(
    tmp_path, data, trained, caplog
):
    truths = {"shift": data.truths["shift"], "same": np.ones_like(data.truths["shift"])}
    with caplog.at_level("WARNING"):
        found = checked(tmp_path, dataclasses.replace(data, truths=truths), trained[:1])
    assert {row["metric"] for row in found if row["metric"].startswith("mcc_truth")} == {"mcc_truth"}
    assert "truth same: none of its concepts varies" in caplog.text
    found = checked(tmp_path, dataclasses.replace(data, truths={"same": truths["same"]}), trained[:1])
    assert not any(row["metric"].startswith(("mcc_truth", "linear_r2")) for row in found)


def test_a_concept_that_never_changes_in_held_out_pairs_is_left_out_of_the_mcc(tmp_path, data, trained):
    truth = data.truths["shift"].copy()
    wider = np.concatenate([truth, np.zeros_like(truth[..., :1])], axis=2)
    found, before = (
        [row["value"] for row in checked(tmp_path, dataclasses.replace(data, truths={"shift": array}), trained[:1])
         if row["metric"] in ("mcc_truth", "linear_r2") and row["control"] in ("", "ceiling")]
        for array in (wider, truth)
    )  # fmt: skip
    assert found == pytest.approx(before, abs=1e-9)


def test_a_second_truth_has_its_own_metric(tmp_path, data, trained):
    truths = {"shift": data.truths["shift"], "first": data.truths["shift"][..., :1]}
    found = checked(tmp_path, dataclasses.replace(data, truths=truths), trained[:1])
    second = [row for row in found if row["metric"] == "mcc_truth_first"]
    assert {row["control"] for row in second} == {"", "permuted_labels", "ceiling", "random_dictionary"}
    assert sum(row["metric"] == "linear_r2" for row in found) == 2 * 3  # of the primary truth only


def test_seeds_are_compared_up_to_a_reference_where_the_truth_has_one(tmp_path, data, trained):
    """The metric itself is tested with its formula; here, that it is written where a truth leaves a value without code."""
    shift = data.truths["shift"]
    one_hot = np.concatenate([shift, -shift.sum(2, keepdims=True)], axis=2)
    names = [
        row["metric"] for row in checked(tmp_path, dataclasses.replace(data, truths={"shift": one_hot}), trained[:1])
    ]
    pairs = names.count("mcc_seeds_codes")
    random_pairs = names.count("mcc_seeds_decoder") - pairs
    assert names.count("mcc_seeds_reference") == pairs + random_pairs > 0
    assert "mcc_seeds_reference" not in [row["metric"] for row in checked(tmp_path, data, trained[:1])]


def test_an_untrained_twin_is_a_control_of_its_language_model(tmp_path, data, trained):
    twin = dataclasses.replace(
        data, facts=data.facts | {"lm": "real_untrained", "untrained_of": "real", "layer": "final_norm"}
    )
    found = checked(tmp_path, twin, trained)
    assert {(row["lm"], row["control"], row["layer"]) for row in found} == {("real", "untrained_lm", "final_norm")}
    assert {"mcc_truth", "cosine_heldout", "mcc_seeds_decoder", "udr"} <= {row["metric"] for row in found}


def test_arrays_in_the_file_are_the_models(workplace, trained):
    arrays, _ = read_tensors(workplace / "ssae.safetensors")
    facts = read_json(workplace / "ssae.json")
    for row, replica in enumerate(facts["replicas"]):
        (model,) = [one for one in trained[0].models if one[:3] == tuple(replica[k] for k in one._fields[:3])]
        assert (arrays["decoder"][row] == model.arrays["decoder"]).all()
    assert [model[:3] for model in trained[0].models] == sorted(model[:3] for model in trained[0].models)
