"""Which pairs are odd, by hand; that they are left out of training alone; and that a few long ones do no harm."""

import numpy as np
import pytest
from helpers.tiny_models import drawn, shifts_of

from shiftscope.files import read_json, read_tensors
from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.odd_pairs import LONG, odd_pairs, warning
from shiftscope.pair_embeddings import read_embeddings, training_pairs
from shiftscope.synthetic.base import write_synthetic
from shiftscope.synthetic.linear_shifts import LinearShifts
from shiftscope.training.base import train
from shiftscope.variants.ssae import Ssae

N = 40
TRAINING = np.arange(N) < 30
ALIKE = np.full((2, N), 7)


def unit_shifts(**lengths):
    """Shifts of length 1, but for those of some rows."""
    shifts = np.zeros((N, 3))
    shifts[np.arange(N), np.arange(N) % 3] = 1
    for row, length in lengths.items():
        shifts[int(row.removeprefix("row_"))] *= length
    return shifts


def ending(*rows):
    """Last tokens that are equal but for some rows."""
    tokens = ALIKE.copy()
    tokens[1, list(rows)] = 8
    return tokens


def found(*arguments):
    odd = odd_pairs(*arguments)
    assert (odd.both == odd.ends | odd.long).all()
    return np.flatnonzero(odd.ends).tolist(), np.flatnonzero(odd.long).tolist()


def test_pairs_whose_last_tokens_differ_are_odd_where_those_of_others_do_not():
    assert found(unit_shifts(), TRAINING, ending(3, 7)) == ([3, 7], [])
    assert found(unit_shifts(), TRAINING, ending()) == ([], [])
    assert found(unit_shifts(), TRAINING) == ([], [])


def test_shifts_that_are_far_too_long_are_odd():
    assert found(unit_shifts(row_3=LONG + 0.01, row_4=LONG - 0.01), TRAINING) == ([], [3])
    assert found(unit_shifts(row_3=LONG + 0.01), TRAINING, ending(5)) == ([5], [3])
    tiny = unit_shifts(row_2=1e-3, row_9=0)
    assert found(tiny, TRAINING) == ([], [])


def test_a_reason_that_holds_of_more_than_a_fifth_is_no_oddity():
    assert found(unit_shifts(), TRAINING, ending(*range(8))) == ([*range(8)], [])
    assert found(unit_shifts(), TRAINING, ending(*range(9))) == ([], [])
    long = {f"row_{row}": 20.0 for row in range(9)}
    assert found(unit_shifts(**long), TRAINING, ending(10)) == ([10], [])
    assert found(unit_shifts(**dict(list(long.items())[:8])), TRAINING)[1] == [*range(8)]


def test_a_few_that_chance_has_brought_to_one_side_are_odd_all_the_same():
    """2 of 12 pairs, both among the 7 to train on."""
    training, last = np.arange(12) < 7, np.full((2, 12), 7)
    last[1, 5:7] = 8
    shifts = np.ones((12, 1))
    shifts[5:7] = 8
    assert found(shifts, training, last) == ([5, 6], [5, 6])


def test_many_that_hold_most_of_the_energy_stay_and_are_said():
    long = {f"row_{row}": 20.0 for row in range(9)}
    shifts = unit_shifts(**long)
    assert warning(odd_pairs(shifts, TRAINING), shifts, TRAINING) == ""  # the longest fifth are not more than the next
    shifts[:6] *= 3
    share = 6 * 3600 / (6 * 3600 + 3 * 400 + 21)
    assert warning(odd_pairs(shifts, TRAINING), shifts, TRAINING) == (
        f"the longest 6 of 30 training pairs hold {share:.0%} of the shifts' energy, so that they decide most of what is "
        "learned: see whether they differ in what the others do"
    )
    assert warning(odd_pairs(0 * shifts, TRAINING), 0 * shifts, TRAINING) == ""


def test_where_ends_differ_anyway_none_is_odd_by_them():
    """The share is that of all pairs, held-out ones among them."""
    assert found(unit_shifts(), TRAINING, ending(2, *range(30, 40))) == ([2], [])  # 29 of 40 alike
    assert found(unit_shifts(), TRAINING, ending(2, 3, 4, 5, *range(30, 40))) == ([], [])  # 26 of 40


def test_held_out_pairs_are_never_odd_and_do_not_say_what_is_long():
    assert found(unit_shifts(row_35=100), TRAINING, ending(36)) == ([], [])
    held_out = {f"row_{row}": 100.0 for row in range(30, 40)}
    assert found(unit_shifts(row_1=5, **held_out), TRAINING) == ([], [1])


@pytest.mark.parametrize("shifts", [np.zeros((N, 3)), np.eye(N)[:, :1], np.ones((N, 1))], ids=["zero", "one", "equal"])
def test_shifts_that_are_mostly_zero_make_the_others_no_oddity(shifts):
    assert found(shifts, TRAINING) == ([], [])


def test_two_pairs_are_both_kept():
    assert found(np.array([[1.0], [100.0]]), np.ones(2, bool), np.array([[1, 2], [1, 3]])) == ([], [])


def test_the_warning_says_which_why_and_how_much_of_the_energy_they_hold():
    shifts = unit_shifts(row_3=10, row_4=10, row_35=1000)
    odd = odd_pairs(shifts, TRAINING, ending(5))
    said = warning(odd, shifts, TRAINING)
    share = (100 + 100 + 1) / (100 + 100 + 28)
    assert said == (
        "3 of 30 training pairs are odd: 1 end in different tokens while the others do not and 2 have a shift more than 4 "
        f"times as long as the median. They hold {share:.0%} of the shifts' energy and are left out of training (rows 3, 4, "
        "5 of the pairs, counted from 0); with a `template` that puts the same words after every text they could stay"
    )
    only_long = warning(odd_pairs(shifts, TRAINING), shifts, TRAINING)
    assert "end in" not in only_long and "template" not in only_long and "2 of 30" in only_long
    many = unit_shifts(**{f"row_{row}": 9.0 for row in range(6)})
    assert "(rows 0, 1, 2, 3, 4, … of the pairs" in warning(odd_pairs(many, TRAINING), many, TRAINING)
    assert warning(odd_pairs(unit_shifts(), TRAINING), unit_shifts(), TRAINING) == ""


# --- what a few long pairs do


LAW = {"n_varying": 3, "max_changed": 2, "n_train": 600, "n_test": 200, "n_single": 0, "data_seeds": 2}


class WithOutliers(LinearShifts):
    """One training pair in twenty is shifted by twenty times the usual length in a direction of its own."""

    def sample(self, data_seed):
        found = super().sample(data_seed)
        delta = found.embedding_1 - found.embedding_0
        rng = np.random.default_rng(data_seed)
        rows = rng.permutation(self.n_train)[: self.n_train // 20]
        random = rng.normal(size=(len(rows), delta.shape[1]))
        usual = np.median(np.linalg.norm(delta, axis=1))
        delta[rows] = 20 * usual * random / np.linalg.norm(random, axis=1, keepdims=True)
        return found._replace(embedding_1=found.embedding_0 + delta)


@pytest.fixture(scope="module")
def outliers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outliers")
    files = folder / "embeddings.safetensors", folder / "manifest.json"
    write_synthetic(WithOutliers(**LAW), "tiny", "linear_shifts", *files)
    return files


def test_they_are_found_in_every_data_set_and_said_in_the_manifest(outliers):
    data = read_embeddings(*outliers)
    assert data.odd.shape == (2, 800) and (data.odd.sum(1) == 30).all()
    assert not data.odd[:, data.rows("test")].any() and (data.odd[0] != data.odd[1]).any()
    assert data.facts["odd"] == read_json(outliers[1])["odd"] == 30
    for data_seed in range(2):
        shifts = data.embedding_1[data_seed] - data.embedding_0[data_seed]
        lengths = np.linalg.norm(shifts, axis=1)
        assert lengths[data.odd[data_seed]].min() > 19 * np.median(lengths)
        assert len(training_pairs(data, data_seed).shifts) == 570
    assert read_tensors(outliers[0])[0]["odd"].dtype == bool


def test_synthetic_pairs_as_they_are_have_none(tmp_path):
    data = drawn(tmp_path, **LAW | {"amplitude": "gaussian", "n_varying": 10, "max_changed": 7, "noise": 1.0})
    assert not data.odd.any() and data.facts["odd"] == 0


def test_with_a_twentieth_of_the_pairs_twenty_times_too_long_concepts_are_identified_all_the_same(outliers):
    data = read_embeddings(*outliers)
    replicas = [Replica(0, data_seed, seed) for data_seed in range(2) for seed in range(2)]

    def scores(some):
        models = train([Ssae(steps=600)], replicas, some, 3)
        held_out = [shifts_of(data, one.data_seed) for one in models]
        return [
            mcc(Ssae.encode(one.arrays, shifts), truth) for one, (shifts, truth) in zip(models, held_out, strict=True)
        ]

    assert min(scores(data)) >= 0.97
    data.odd[:] = False  # trained on them all the same
    assert max(scores(data)) < 0.97
