"""The agreement of seeds, the setting that it chooses and the medoid seed."""

import itertools

import numpy as np
import pytest

from shiftscope.metrics.correlation import mcc_of_directions
from shiftscope.metrics.udr import Agreement, agreements, decent, medoid, select, standard_error
from shiftscope.models import Model


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def models(noise, seeds=4, data_seeds=1, rng=None):
    """Models whose seeds agree less the noisier their setting is; ordered as `read_models` gives them."""
    rng = rng or np.random.default_rng(0)
    found = []
    for setting, level in enumerate(noise):
        for data_seed in range(data_seeds):
            truth = rng.normal(size=(3, 50))
            for seed in range(seeds):
                decoder = unit((truth + level * rng.normal(size=truth.shape))[rng.permutation(3)])
                found.append(Model(setting, data_seed, seed, {"decoder": decoder, "alive": np.ones(3, bool)}, {}))
    return found


def test_udr_is_the_median_of_the_mcc_of_all_pairs_of_seeds():
    members = models([0.3, 1.0], seeds=5, data_seeds=2)
    found = select(members, [0.1] * len(members), [0.5] * len(members), 2)
    for setting in range(2):
        values = [
            mcc_of_directions(left.arrays["decoder"], right.arrays["decoder"])
            for left, right in itertools.combinations(members, 2)
            if left.setting == right.setting == setting and left.data_seed == right.data_seed
        ]
        assert len(values) == 2 * 10  # data seeds are never compared with each other: their mixings differ
        assert found.udr[setting] == pytest.approx(np.median(values))


def test_agreements_name_each_pair_once():
    pairs = [pair[:4] for pair in agreements(models([0.1, 0.1], seeds=3, data_seeds=2))]
    expected = [(s, d, *pair) for s in range(2) for d in range(2) for pair in itertools.combinations(range(3), 2)]
    assert pairs == expected


def test_the_setting_on_which_seeds_agree_is_chosen_though_another_reconstructs_better():
    members = models([1.0, 0.1, 0.5])
    errors = [{0: 0.01, 1: 0.04, 2: 0.02}[model.setting] for model in members]
    found = select(members, errors, [0.5] * len(members), 3)
    assert found.chosen == 1
    assert found.eligible == [True, True, True]
    assert found.udr[1] > found.udr[2] > found.udr[0]


def test_a_setting_that_does_not_reconstruct_is_not_eligible_however_well_seeds_agree():
    members = models([1.0, 0.0])
    errors = [{0: 0.10, 1: 0.29}[model.setting] for model in members]  # .8 × .90 explained = .72
    found = select(members, errors, [0.5] * len(members), 2)
    assert (found.eligible, found.chosen) == ([True, False], 0)
    assert found.udr[1] == pytest.approx(1)
    errors = [{0: 0.10, 1: 0.279}[model.setting] for model in members]
    assert select(members, errors, [0.5] * len(members), 2).chosen == 1


@pytest.mark.parametrize(
    ("errors", "live", "expected"),
    [
        ([0.70, 0.75, 0.77], [2, 2, 2], [True, True, False]),  # where little can be explained, little may be lost
        ([0.001, 0.19, 0.21], [2, 2, 2], [True, True, False]),  # and a tiny error is no reason to refuse a small one
        ([0.30, 0.31, 0.32], [5, 4, 3.9], [True, True, False]),  # codes died
        ([1.02, 1.00, 1.01], [1, 1, 1], [False, False, False]),  # nothing is explained
    ],
)
def test_what_is_decent_is_a_share_of_what_the_best_setting_explains_and_keeps_alive(errors, live, expected):
    assert decent(errors, live) == expected


def test_if_all_settings_are_dead_the_least_bad_is_chosen():
    members = models([0.0, 1.0])
    errors = [{0: 1.04, 1: 1.01}[model.setting] for model in members]
    found = select(members, errors, [0.1] * len(members), 2)
    assert (found.eligible, found.chosen) == ([False, False], 1)


def test_reconstruction_is_the_mean_over_models():
    members = models([0.1], seeds=4)
    assert select(members, [0.1, 0.2, 0.3, 0.6], [0.5] * len(members), 1).reconstruction == [pytest.approx(0.3)]


def test_equal_agreement_and_sparsity_go_to_the_smaller_error_then_to_the_first_setting():
    same = models([0.2]) + [model._replace(setting=1) for model in models([0.2])]
    errors = [0.03 if model.setting == 0 else 0.02 for model in same]
    assert select(same, errors, [0.5] * len(same), 2).chosen == 1
    assert select(same, [0.02] * len(same), [0.5] * len(same), 2).chosen == 0


def test_agreement_within_a_standard_error_goes_to_the_sparser_codes():
    same, rng = models([0.8]), np.random.default_rng(1)
    other = [unit(model.arrays["decoder"] + 0.002 * rng.normal(size=(3, 50))) for model in same]
    members = same + [
        model._replace(setting=1, arrays=model.arrays | {"decoder": decoder})
        for model, decoder in zip(same, other, strict=True)
    ]
    near = select(members, [0.02] * 8, [0.5] * 4 + [0.4] * 4, 2)
    error = standard_error([pair for pair in agreements(members) if pair.setting == int(np.argmax(near.udr))])
    assert 0 < abs(near.udr[0] - near.udr[1]) < error
    assert near.chosen == 1
    assert near.sparsity == pytest.approx([0.5, 0.4])
    far = models([0.2, 0.6])
    assert select(far, [0.02] * 8, [0.5] * 4 + [0.4] * 4, 2).chosen == 0


def test_the_standard_error_is_the_jackknife_over_seeds():
    pairs = [Agreement(0, 0, 0, 1, 0.9), Agreement(0, 0, 0, 2, 0.8), Agreement(0, 0, 1, 2, 0.4)]
    left = np.array([0.4, 0.8, 0.9])  # each seed left out leaves one pair
    assert standard_error(pairs) == pytest.approx(np.sqrt(2 / 3 * ((left - left.mean()) ** 2).sum()))
    assert standard_error(pairs[:1]) == 0


def test_one_seed_has_no_udr_and_the_smallest_error_decides():
    members = models([0.1, 0.1, 0.1], seeds=1)
    found = select(members, [0.03, 0.01, 0.02], [0.5] * len(members), 3)
    assert (found.udr, found.chosen, medoid(members[:1], [])) == ([None, None, None], 1, 0)


def test_the_medoid_is_the_seed_that_agrees_most_with_the_others():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(3, 50))
    members = [
        Model(0, 0, 10 + seed, {"decoder": unit(truth + level * rng.normal(size=truth.shape))}, {})
        for seed, level in enumerate([1.0, 0.8, 0.05, 0.6])
    ]
    assert medoid(members, agreements(members)) == 12


def test_the_first_of_equal_seeds_is_the_medoid():
    decoder = unit(np.random.default_rng(6).normal(size=(3, 50)))
    members = [Model(0, 0, seed, {"decoder": decoder}, {}) for seed in (3, 4, 5)]
    assert medoid(members[::-1], agreements(members)) == 3
