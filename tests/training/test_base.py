import importlib
import shutil

import numpy as np
import pytest
from helpers.shifts import random_pairs
from helpers.tiny_models import embeddings_of, trained

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json
from shiftscope.models import Replica, alive
from shiftscope.pair_embeddings import first_pairs
from shiftscope.training.base import replicas_of, train_block
from shiftscope.training.blocks import TrainSlice
from shiftscope.variants.affine import Affine
from shiftscope.variants.base import WAYS
from shiftscope.variants.pca import Pca
from shiftscope.variants.ssae import Ssae


def test_replicas_stand_in_the_order_of_settings_data_seeds_and_seeds():
    data = embeddings_of(random_pairs(3, 8))
    found = replicas_of([Pca(n_pairs=30), Pca()], data, [4, 2])
    assert found == [Replica(*key) for key in
                     [(0, 0, 4), (0, 0, 2), (0, 1, 4), (0, 1, 2), (1, 0, 4), (1, 0, 2), (1, 1, 4), (1, 1, 2)]]  # fmt: skip


@pytest.mark.parametrize("name", kinds.names("variants"))
def test_every_variant_names_a_module_that_trains_it(name):
    assert kinds.load("variants", name).training in WAYS
    module = importlib.import_module(kinds.module_of("training", kinds.load("variants", name).training))
    assert callable(module.train_replicas)


def test_a_model_says_which_codes_are_alive():
    pairs = random_pairs(3, 8)
    for model in trained([Pca()], [Replica(0, 0, 0), Replica(0, 1, 0)], pairs, 10):
        codes = Pca.encode(model.arrays, pairs[model.data_seed].shifts)
        assert (model.arrays["alive"] == alive(codes, model.arrays["decoder"])).all()
        assert np.flatnonzero(model.arrays["alive"]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("variant", [Pca, Ssae])
def test_n_pairs_trains_as_if_there_were_no_more(variant):
    pairs = random_pairs(3, 8)
    changes = {"steps": 20} if variant is Ssae else {}
    settings = [variant(n_pairs=number, **changes) for number in (30, 100)]
    replicas = [Replica(setting, data_seed, 0) for setting in range(2) for data_seed in range(2)]
    results = trained(settings, replicas, pairs, 3)
    for replica, result in zip(replicas, results, strict=True):
        fewer = first_pairs(pairs[replica.data_seed], (30, 100)[replica.setting], replica.data_seed)
        alone = trained([variant(**changes)], [Replica(0, 0, 0)], {0: fewer}, 3)[0]
        assert (alone.arrays["decoder"] == result.arrays["decoder"]).all()


def test_a_variant_that_is_trained_is_kept_while_another_of_its_job_fails(tmp_path, caplog):
    data = embeddings_of(random_pairs(3, 8))
    good, bad = ({"kind": "affine", "settings": [{"steps": 20, "lr": lr}]} for lr in (0.01, 1e30))
    files = {name: (tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json") for name in ("one", "other", "alone")}

    def job(**variants):
        slices = [{"variant": name} | one for name, one in variants.items()]
        params = TrainSlice(lm="m", dataset="d", codes=3, variants=slices, seeds=[0, 1])
        train_block(params, data, [files[name] for name in variants], tmp_path / "state")

    with pytest.raises(ShiftScopeError, match="diverged"):
        job(one=good, other=bad)
    shutil.rmtree(tmp_path / "state" / "other")  # another setting, which here has not another folder
    with caplog.at_level("INFO"):
        job(one=good, other=good)
    assert caplog.text.count("resumed 4 replicas at step 20 of 20") == 1
    assert not (tmp_path / "state").exists()
    job(alone=good)
    assert len({weights.read_bytes() for weights, _ in files.values()}) == 1
    assert [read_json(sidecar)["variant"] for _, sidecar in files.values()] == ["one", "other", "alone"]


def test_a_training_that_diverges_is_named():
    pairs = random_pairs(3, 8)
    with pytest.raises(ShiftScopeError, match=r"setting 0, data seed 1, seed 7 diverged .*: lower the variant's `lr`"):
        trained([Affine(steps=20, lr=1e30)], [Replica(0, 1, 7)], pairs, 3)
