"""The choice of settings of everything that was trained on one dataset."""

from dataclasses import replace

import numpy as np
import pytest

from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.selection import chosen, selections, write_selections
from shiftscope.files import read_json
from shiftscope.metrics.sparsity import l1, reconstruction_error
from shiftscope.metrics.udr import select
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import linear_model
from shiftscope.variants.pca import Pca

N, D, K = 60, 6, 2


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    sides = [generator.normal(size=(1, N, D)).astype(np.float32) for _ in range(2)]
    split = np.arange(N) % 2
    return PairEmbeddings(*sides, split, np.arange(N), np.full((1, N), -1), np.zeros((1, N), np.int8))


def model(setting: int, seed: int, spread: float) -> Model:
    """Seeds of a setting agree the more, the smaller the spread."""
    noise = np.random.default_rng([setting, seed]).normal(size=(K, D))
    directions = np.eye(D)[:K] + spread * noise
    return Model(setting, 0, seed, linear_model(directions, directions) | {"alive": np.ones(K, bool)}, {})


def trained(settings: list[dict], variant: str = "mine", codes: int = K, spreads: tuple = (1.0, 0.01, 1.0)) -> Trained:
    facts = {"lm": "lm", "dataset": "pairs", "codes": codes, "variant": variant, "kind": "pca", "settings": settings}
    models = [model(setting, seed, spreads[setting]) for setting in range(len(settings)) for seed in range(4)]
    return Trained(facts, Pca, models)


def test_it_is_what_select_says_of_errors_and_sparsities_on_training_pairs(data):
    one = trained([{"lr": 1}, {"lr": 2}, {"lr": 3}])
    (found,) = selections(data, [one])
    sides = data.sides(0, "train")
    errors = [reconstruction_error(Pca, each.arrays, *sides) for each in one.models]
    sparsities = [l1(Pca.encode(each.arrays, sides[1] - sides[0])) for each in one.models]
    expected = select(one.models, errors, sparsities, 3)
    assert {key: found[key] for key in expected._fields} == expected._asdict()
    assert {key: found[key] for key in ("lm", "dataset", "codes", "variant", "settings")} == {
        key: one.facts[key] for key in ("lm", "dataset", "codes", "variant", "settings")
    }


def test_odd_pairs_have_no_say(data):
    odd = np.zeros((1, N), bool)
    odd[0, data.rows("train")[:3]] = True
    long = data.embedding_1.copy()
    long[odd] *= 1000
    one = trained([{"lr": 1}, {"lr": 2}])
    usual, among, without = (
        selections(replace(data, embedding_1=after, odd=left_out), [one])[0]["reconstruction"]
        for after, left_out in ((data.embedding_1, odd), (long, None), (long, odd))
    )
    assert without == usual != among


def test_one_setting_and_numbers_of_pairs_are_no_choice(data):
    curve = trained([{"n_pairs": 10}, {"n_pairs": 20}])
    both = trained([{"n_pairs": 10, "lr": 1}, {"n_pairs": 10, "lr": 2}])
    assert selections(data, [trained([{"lr": 1}]), curve]) == []
    assert len(selections(data, [both])) == 1


def test_each_variant_and_code_size_has_its_own(data, tmp_path):
    settings = [{"lr": 1}, {"lr": 2}]
    several = [
        trained(settings, "first", spreads=(1.0, 0.01)),
        trained(settings, "first", codes=9, spreads=(0.01, 1.0)),
        trained(settings, "second", spreads=(0.01, 1.0)),
        trained([{"lr": 1}], "third"),
    ]
    recommended = [{"codes": K, "recommended": "first", "why": "none was measured", "candidates": []}]
    write_selections(tmp_path / "selection.json", selections(data, several), recommended)
    written = read_json(tmp_path / "selection.json")
    assert written["recommended"] == recommended
    found = written["settings"]
    assert [(one["variant"], one["codes"]) for one in found] == [("first", K), ("first", 9), ("second", K)]
    by_key = {(one["variant"], one["codes"]): one["chosen"] for one in found}
    assert [one.chosen for one in chosen(several, found)] == [*by_key.values(), 0]
    assert len(set(by_key.values())) == 2


class Rival(Pca):
    """Chosen by the truth."""

    chosen_by_truth = True


def test_a_rival_is_chosen_by_the_truth_of_training_pairs(data):
    shifts = data.embedding_1 - data.embedding_0
    known = replace(data, truths={"shift": np.where((data.split == 0)[None, :, None], shifts[:, :, 4:], 0)})
    away = [model(setting, seed, 0.01) for setting in (0, 1) for seed in range(4)]
    directions = np.eye(D)[4:]
    arrays = linear_model(directions, directions) | {"alive": np.ones(K, bool)}
    right = [Model(2, 0, seed, arrays, {}) for seed in range(4)]
    one = trained([{"lr": 1}, {"lr": 2}, {"lr": 3}])._replace(models=away + right)
    found = [selections(where, [one._replace(variant=kind)])[0] for where in (known, data) for kind in (Rival, Pca)]
    assert (found[0]["chosen"], found[0]["chosen_by"]) == (2, "truth")
    assert {choice["chosen_by"] for choice in found[1:]} == {"udr"}  # of whose truth is not known, too
