"""What all pairs share: the whitened mean, and the test that says whether there is anything."""

import numpy as np
import pytest

from shiftscope.metrics.correlation import mcc
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants._sign_flips import significance
from shiftscope.variants.base import decode
from shiftscope.variants.pca import Pca
from shiftscope.variants.shared import Shared


def fitted(shifts, texts=None, n_codes=1):
    pairs = TrainingPairs(shifts.astype(np.float32), None, None, n_codes, texts=texts)
    ((arrays, facts),) = Shared().fit_seeds(pairs, n_codes, [0])
    return arrays, facts


def p_value(shifts, group=None, flips=199, seed=0):
    return significance(shifts, np.arange(len(shifts)) if group is None else group, flips, seed)


# --- the test


def test_under_the_null_p_values_are_uniform():
    rng = np.random.default_rng(0)
    found = [p_value(rng.normal(size=(30, 6)) * [5, 1, 1, 1, 0.1, 0.1], seed=trial) for trial in range(400)]
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 400))


def test_a_shift_is_found_among_louder_noise_and_the_smallest_p_value_is_honest():
    rng = np.random.default_rng(1)
    shifts = rng.normal(size=(60, 6)) * [20, 10, 1, 1, 1, 1] + [0, 0, 0, 0, 0, 2.0]
    assert p_value(shifts) == 1 / 200
    assert p_value(shifts, flips=999) == 1 / 1000
    turned = rng.choice([-1, 1], 60)[:, None] * shifts
    assert p_value(turned) > 0.05


def test_scale_and_rotation_do_not_matter():
    rng = np.random.default_rng(2)
    shifts = rng.normal(size=(20, 4)) + 0.1
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert 0.01 < p_value(shifts) < 0.99
    assert p_value(shifts) == p_value(1e-4 * shifts) == p_value(shifts @ rotation)


def test_pairs_that_share_texts_are_flipped_together():
    """Ten copies of each of five pairs are five observations: p is at least 2 / 2⁵, though copies alone would convince."""
    rng = np.random.default_rng(3)
    shifts = np.repeat(rng.normal(size=(5, 4)) + 3, 10, 0)
    assert p_value(shifts) == 1 / 200
    assert p_value(shifts, np.repeat(np.arange(5), 10), flips=999) == pytest.approx(2 / 32, abs=0.025)
    assert p_value(shifts, np.zeros(50, int)) == 1  # one observation says nothing


@pytest.mark.parametrize("shifts", [np.zeros((20, 3)), np.ones((2, 3)), np.ones((1, 1))], ids=["zero", "two", "one"])
def test_next_to_no_data_is_not_significant(shifts):
    assert p_value(shifts) > 0.3


# --- the variant


def test_it_reads_the_concept_that_every_pair_has_among_louder_noise():
    rng = np.random.default_rng(4)
    present = rng.choice([-1.0, 1.0], 400)  # held out: turned at random
    loud = rng.normal(size=(6, 6)) * np.array([10, 5, 1, 1, 1, 1])[:, None]
    concept = rng.normal(size=6)
    train, test = (
        sign[:, None] * 3 * concept + rng.normal(size=(len(sign), 6)) @ loud for sign in (np.ones(400), present)
    )
    arrays, facts = fitted(train)
    assert facts == {"p_shared": 1 / 1000}
    truth = present[:, None]
    score = mcc(Shared.encode(arrays, test), truth)
    assert score > 0.9
    mean = train.mean(0)[:, None]
    pca = Pca().fit(TrainingPairs(train.astype(np.float32), None, None, 1), 1, 0)
    assert score > mcc(test @ mean, truth) + 0.03 and score > mcc(Pca.encode(pca, test), truth) + 0.3
    assert arrays["decoder"][0] == pytest.approx(train.mean(0) / np.linalg.norm(train.mean(0)), abs=1e-5)
    assert decode(arrays, Shared.encode(arrays, train)).mean(0) == pytest.approx(train.mean(0), abs=1e-3)


def test_its_other_codes_are_zero_and_no_seed_enters():
    shifts = np.random.default_rng(5).normal(size=(40, 6)) + 1
    pairs = TrainingPairs(shifts.astype(np.float32), None, None, 3)
    first, other = Shared().fit_seeds(pairs, 3, [0, 7])
    assert all((first[0][name] == array).all() for name, array in other[0].items())
    assert not first[0]["encoder"][1:].any() and not first[0]["decoder"][1:].any()
    assert (Shared().fit(pairs, 3, 1)["encoder"] == first[0]["encoder"]).all()
    assert fitted(-shifts)[0]["decoder"][0] == pytest.approx(-first[0]["decoder"][0])


def test_pairs_of_one_text_are_one_observation():
    shifts = np.random.default_rng(6).normal(size=(40, 6)) + 3
    assert fitted(shifts)[1]["p_shared"] == 1 / 1000
    arrays, facts = fitted(shifts, texts=np.stack([np.zeros(40, int), np.arange(1, 41)], 1))
    assert facts["p_shared"] == 1
    assert np.isfinite(arrays["encoder"]).all()


@pytest.mark.parametrize("shape", [(2, 3), (20, 1), (3, 50)])
def test_few_pairs_and_one_dimension(shape):
    arrays, facts = fitted(np.random.default_rng(7).normal(size=shape) + 2, n_codes=2)
    assert arrays["encoder"].shape == arrays["decoder"].shape == (2, shape[1])
    assert all(np.isfinite(array).all() for array in arrays.values()) and 0 < facts["p_shared"] <= 1
    assert np.linalg.norm(arrays["decoder"], axis=1) == pytest.approx([1, 0])
