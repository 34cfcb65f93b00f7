"""MCC and linear readability: invariances, exact values, chance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftscope.metrics.correlation import (
    blocks_of,
    linear_r2,
    mcc,
    mcc_of_directions,
    mcc_two_codes,
    mcc_up_to_reference,
    readability,
    readout,
    signed_correlation,
    varying,
)

FEW = settings(max_examples=30, deadline=None)
random_states = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@FEW
@given(random_states, st.integers(1, 6), st.sampled_from([np.float32, np.float64]))
def test_mcc_is_one_up_to_permutation_scale_sign_and_offset(rng, columns, dtype):
    truth = rng.normal(size=(50, columns)).astype(dtype)
    scales = rng.choice([-1, 1], columns) * 10.0 ** rng.uniform(-9, 9, columns)
    offset = scales * rng.uniform(-3, 3, columns)
    disguised = (truth * scales + offset)[:, rng.permutation(columns)].astype(dtype)
    assert mcc(truth, truth) == pytest.approx(1, abs=1e-12)
    assert mcc(disguised, truth) == pytest.approx(1, abs=1e-5)


@FEW
@given(random_states, st.integers(1, 4), st.integers(1, 4))
def test_mcc_equals_the_best_of_all_assignments(rng, left_columns, right_columns):
    left, right = rng.normal(size=(12, left_columns)), rng.normal(size=(12, right_columns))
    absolute = np.abs(np.corrcoef(left.T, right.T)[:left_columns, left_columns:])
    few = min(left_columns, right_columns)
    best = max(
        np.mean([absolute[row, column] for row, column in zip(rows, columns, strict=True)])
        for rows in itertools.permutations(range(left_columns), few)
        for columns in itertools.permutations(range(right_columns), few)
    )
    assert mcc(left, right) == pytest.approx(best, abs=1e-12)
    assert mcc(right, left) == pytest.approx(best, abs=1e-12)


@FEW
@given(random_states, st.integers(1, 5), st.integers(1, 5))
def test_mcc_does_not_change_when_columns_are_permuted_and_scaled(rng, left_columns, right_columns):
    left, right = rng.normal(size=(20, left_columns)), rng.normal(size=(20, right_columns))
    disguised = left[:, rng.permutation(left_columns)] * rng.choice([-1e-8, 3.0, -1e6], left_columns)
    assert mcc(disguised, right) == pytest.approx(mcc(left, right), abs=1e-9)


def test_a_dead_code_counts_as_zero():
    truth = np.random.default_rng(0).normal(size=(100, 4))
    for constant in (0.0, 1e-30, 0.1, -1234.5):
        codes = truth.copy()
        codes[:, 2] = constant
        assert mcc(codes, truth) == pytest.approx(0.75, abs=0.04)
        assert signed_correlation(codes, truth)[2] == pytest.approx(np.zeros(4))


def test_fewer_live_codes_than_concepts_gain_nothing():
    truth = np.random.default_rng(1).normal(size=(5000, 4))
    one_alive = np.zeros((5000, 4))
    one_alive[:, 0] = truth[:, 0]
    assert mcc(one_alive, truth) == pytest.approx(0.25, abs=1e-6)


def test_more_codes_than_concepts_are_matched_one_to_one():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(4000, 3))
    copies = np.repeat(truth[:, :1], 6, axis=1)  # six copies of one concept find one concept
    assert mcc(copies, truth) == pytest.approx(1 / 3, abs=0.03)
    assert mcc(np.concatenate([rng.normal(size=(4000, 5)), truth], axis=1), truth) == pytest.approx(1)


def test_a_rotation_of_independent_concepts_is_not_identified():
    truth = np.random.default_rng(3).normal(size=(20_000, 2))
    rotated = truth @ np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    assert mcc(rotated, truth) == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert linear_r2(rotated[:10_000], truth[:10_000], rotated[10_000:], truth[10_000:]) > 0.999999


def test_mcc_of_directions_takes_entries_as_observations():
    rng = np.random.default_rng(4)
    left, right = rng.normal(size=(3, 40)), rng.normal(size=(3, 40))
    assert mcc_of_directions(left, right) == mcc(left.T, right.T)
    assert mcc_of_directions(left, -left[[2, 0, 1]]) == pytest.approx(1)


@FEW
@given(random_states, st.integers(1, 6))
def test_linear_r2_is_one_for_every_invertible_map(rng, concepts):
    truth = rng.uniform(-1, 1, size=(600, concepts))
    mixing = np.linalg.qr(rng.normal(size=(concepts, concepts)))[0] * 10.0 ** rng.uniform(-1, 1, concepts)
    codes = truth @ mixing + rng.normal(size=concepts)
    assert linear_r2(codes[:400], truth[:400], codes[400:], truth[400:]) == pytest.approx(1, abs=1e-3)


def test_linear_r2_of_noise_is_about_zero():
    rng = np.random.default_rng(5)
    codes, truth = rng.normal(size=(3000, 6)), rng.uniform(size=(3000, 4))
    assert abs(linear_r2(codes[:2000], truth[:2000], codes[2000:], truth[2000:])) < 0.02


def test_linear_r2_leaves_out_concepts_that_never_change_on_the_test_side():
    rng = np.random.default_rng(6)
    truth = rng.uniform(size=(300, 3))
    truth[200:, 1] = 0
    value = linear_r2(truth[:200], truth[:200], truth[200:], truth[200:])
    assert value == pytest.approx(1, abs=1e-3)
    assert varying(truth[200:]).tolist() == [True, False, True]


def test_linear_r2_of_dead_codes_is_not_positive():
    rng = np.random.default_rng(7)
    truth, dead = rng.uniform(size=(300, 3)), np.zeros((300, 3))
    assert -0.1 < linear_r2(dead[:200], truth[:200], dead[200:], truth[200:]) <= 0


@pytest.mark.parametrize("condition", [1, 30])
def test_ceiling_is_one_for_linear_data_without_noise(condition):
    rng = np.random.default_rng(8)
    truth = rng.uniform(size=(1500, 5)) * (rng.random((1500, 5)) < 0.5)
    mixing = np.linalg.qr(rng.normal(size=(12, 5)))[0] * np.linspace(1, condition, 5)
    shifts = (truth @ mixing.T).astype(np.float32)
    assert readability(shifts[:1000], truth[:1000], shifts[1000:], truth[1000:]) == pytest.approx(1, abs=1e-6)


def test_ceiling_falls_with_noise_to_the_known_correlation():
    rng = np.random.default_rng(9)
    truth = rng.normal(size=(6000, 1))
    shifts = truth + rng.normal(size=(6000, 1))  # the best linear readout correlates by √(1/2)
    assert readability(shifts[:3000], truth[:3000], shifts[3000:], truth[3000:]) == pytest.approx(0.5**0.5, abs=0.03)


@pytest.mark.parametrize(("rows", "features", "noise"), [(200, 5, 1.0), (60, 90, 0.5)])
def test_the_ridge_of_a_readout_is_the_one_that_predicts_rows_best_when_they_are_left_out(rows, features, noise):
    """Against plain loops: every row predicted from all others, with each of nine ridges around the features' energy."""
    rng = np.random.default_rng(rows)
    known = rng.normal(size=(rows, features)) @ rng.normal(size=(features, features)) + 3
    truth = known @ rng.normal(size=(features, 1)) + noise * rng.normal(size=(rows, 1))
    other = rng.normal(size=(7, features))

    def predicted(features_of, truth_of, wanted, ridge):
        means = features_of.mean(0), truth_of.mean(0)
        inner = features_of - means[0]
        weights = np.linalg.solve(inner.T @ inner + ridge * np.eye(inner.shape[1]), inner.T @ (truth_of - means[1]))
        return (wanted - means[0]) @ weights + means[1]

    ridges = np.square(known).sum(1).mean() * 10.0 ** np.arange(-6, 3)
    losses = []
    for ridge in ridges:
        left_out = [
            predicted(np.delete(known, row, 0), np.delete(truth, row, 0), known[row], ridge) for row in range(rows)
        ]
        losses.append(np.square(np.stack(left_out) - truth).sum())
    best = ridges[int(np.argmin(losses))]
    assert readout(known, truth, other) == pytest.approx(predicted(known, truth, other, best), rel=1e-6, abs=1e-6)


def test_readout_from_one_row_is_its_truth():
    assert readout(np.ones((1, 3)), np.full((1, 2), 5.0), np.zeros((4, 3))).tolist() == [[5.0, 5.0]] * 4


def test_readout_of_one_concept_has_one_column():
    rng = np.random.default_rng(10)
    assert readout(rng.normal(size=(50, 3)), rng.normal(size=(50, 1)), rng.normal(size=(7, 3))).shape == (7, 1)


def test_permuted_labels_are_near_chance():
    rng = np.random.default_rng(11)
    truth = rng.uniform(size=(2000, 10)) * (rng.random((2000, 10)) < 0.4)
    assert mcc(truth, truth) == pytest.approx(1)
    # matched maxima of 100 correlations with standard deviation 1/√2000 = .022: above 0, far below .1
    assert 0.01 < mcc(truth, rng.permutation(truth)) < 0.1


def test_a_concept_spread_over_two_codes_of_one_sign_is_whole_again():
    truth = np.random.default_rng(0).normal(size=(400, 3))
    codes = np.concatenate([np.maximum(truth, 0), 3 * np.maximum(-truth, 0)], axis=1)[:, [4, 0, 2, 5, 1, 3]]
    assert mcc(codes, truth) < 0.9
    assert mcc_two_codes(codes, truth) == pytest.approx(1)


@FEW
@given(random_states, st.integers(1, 8), st.integers(1, 4))
def test_two_codes_are_never_below_one_and_are_their_multiple_correlation(rng, n_codes, concepts):
    codes, truth = rng.normal(size=(40, n_codes)), rng.normal(size=(40, concepts))
    found = mcc_two_codes(codes, truth)
    assert mcc(codes, truth) - 1e-12 <= found <= 1
    if n_codes <= concepts:  # none is left
        assert found == pytest.approx(mcc(codes, truth))
    if concepts == 1 and n_codes > 1:
        first = np.argmax(np.abs(signed_correlation(codes, truth)[:, 0]))
        pairs = [np.column_stack([codes[:, first], codes[:, j], np.ones(40)]) for j in range(n_codes) if j != first]
        fits = [pair @ np.linalg.lstsq(pair, truth[:, 0], rcond=None)[0] for pair in pairs]
        assert found == pytest.approx(max(np.corrcoef(fit, truth[:, 0])[0, 1] for fit in fits))


def test_a_second_code_serves_one_concept_and_copies_and_constants_none():
    truth = np.random.default_rng(1).normal(size=(300, 2))
    both = truth + truth[:, ::-1]
    assert mcc_two_codes(both, truth) == pytest.approx(mcc(both, truth))
    padded = np.column_stack([truth[:, 0] + 0.3 * truth[:, 1], truth[:, 1], truth[:, 1], np.ones(300)])
    assert mcc_two_codes(padded[:, [0, 1, 3]], truth) == pytest.approx(mcc(padded, truth))
    assert mcc_two_codes(padded, truth) == pytest.approx(
        1
    )  # of the copies one is matched, the other may mend the first


# --- up to a reference value

ATTRIBUTES, VALUES = 3, 10


@pytest.fixture(scope="module")
def one_hot():
    """Shifts of one-hot values of several attributes, of which some change in each pair, `[n, 30]`."""
    rng = np.random.default_rng(7)
    blocks = []
    for _ in range(ATTRIBUTES):
        old, new = rng.integers(VALUES, size=(2, 2000))
        blocks.append(np.eye(VALUES)[new] - np.eye(VALUES)[old])
    return np.concatenate(blocks, axis=1)


def without(truth, references, rng):
    """Codes of a model that has none for one value of each attribute: any order and scale, and little noise."""
    kept = np.delete(truth, [VALUES * place + value for place, value in enumerate(references)], axis=1)
    codes = kept * rng.choice([-1, 1], kept.shape[1]) * rng.uniform(0.2, 5, kept.shape[1])
    return codes[:, rng.permutation(kept.shape[1])] + 0.01 * rng.normal(size=kept.shape)


def rotated(truth, rng, within):
    """Codes that span the same as those of `without`, mixed within each attribute or across all, as a model without
    sparsity has them.
    """
    sizes = [VALUES - 1] * ATTRIBUTES if within else [(VALUES - 1) * ATTRIBUTES]
    kept = np.delete(truth, [VALUES * place for place in range(ATTRIBUTES)], axis=1)
    parts = np.split(kept, np.cumsum(sizes)[:-1], axis=1)
    return np.concatenate([part @ np.linalg.qr(rng.normal(size=(part.shape[1],) * 2))[0] for part in parts], axis=1)


def test_blocks_of_a_truth_are_the_columns_that_depend_on_each_other(one_hot):
    blocks, free = blocks_of(one_hot)
    assert [len(set(part)) for part in np.split(blocks, ATTRIBUTES)] == [1] * ATTRIBUTES
    assert (len(set(blocks)), free.tolist()) == (ATTRIBUTES, [1] * ATTRIBUTES)
    never = np.concatenate([one_hot[:, :3], np.zeros((len(one_hot), 1))], axis=1)
    assert blocks_of(never)[1].tolist() == [0] * 4


def test_seeds_that_differ_in_the_reference_alone_agree_up_to_it(one_hot):
    rng = np.random.default_rng(8)
    left, right = without(one_hot, (0, 1, 2), rng), without(one_hot, (3, 1, 4), rng)
    assert mcc(left, right) < 0.95
    assert mcc_up_to_reference(left, right, one_hot, one_hot) > 0.99
    assert mcc_up_to_reference(left, left, one_hot, one_hot) == pytest.approx(1)


@pytest.mark.parametrize(("within", "most"), [(False, 0.75), (True, 0.9)])
def test_no_rotation_passes_for_it(one_hot, within, most):
    """Not every invertible map is forgiven: neither across attributes nor within one."""
    rng = np.random.default_rng(9)
    found = [mcc_up_to_reference(rotated(one_hot, rng, within), rotated(one_hot, rng, within), one_hot, one_hot)
             for _ in range(5)]  # fmt: skip
    assert max(found) < most
    right = without(one_hot, (0, 1, 2), rng)
    assert mcc_up_to_reference(rotated(one_hot, rng, within), right, one_hot, one_hot) < most


def test_without_dependent_columns_it_is_the_mcc(one_hot):
    rng = np.random.default_rng(10)
    truth = rng.normal(size=(200, 4))
    left, right = truth + rng.normal(size=truth.shape), truth + rng.normal(size=truth.shape)
    assert mcc_up_to_reference(left, right, truth, truth) == mcc(left, right)
    dead = np.zeros((len(one_hot), 27))
    assert mcc_up_to_reference(dead, dead, one_hot, one_hot) == 0.0
