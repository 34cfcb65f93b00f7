"""Means, intervals over seeds, and paired comparisons."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from shiftscope.errors import ShiftScopeError
from shiftscope.tables.intervals import compare, summarise, units


def of_seeds(values, data_seed=0):
    """Values of seeds 0, 1, … as `units` gives them."""
    rows = pd.DataFrame({"data_seed": data_seed, "seed": range(len(values)), "seed_2": pd.NA, "value": values})
    return units(rows)


def of_pairs(matrix):
    """Values of all pairs of seeds, from a symmetric matrix."""
    pairs = list(itertools.combinations(range(len(matrix)), 2))
    rows = [{"data_seed": 0, "seed": a, "seed_2": b, "value": float(matrix[a][b])} for a, b in pairs]
    return units(pd.DataFrame(rows))


def test_units_average_over_concepts_and_keep_models_apart():
    rows = pd.DataFrame(
        {"data_seed": 0, "seed": [1, 1, 2], "seed_2": pd.NA, "concept": ["a", "b", "a"], "value": [0.2, 0.4, 1.0]}
    )
    found = units(rows)
    assert found.loc[(0, 1, -1)] == pytest.approx(0.3)
    assert found.loc[(0, 2, -1)] == 1.0


def test_one_model_has_a_mean_and_nothing_invented():
    found = summarise(of_seeds([0.7]))
    assert (found.mean, found.sd, found.low, found.high, found.minimum, found.n) == (0.7, None, None, None, 0.7, 1)


def test_equal_values_give_an_interval_of_no_width():
    found = summarise(of_seeds([0.5] * 6))
    assert (found.low, found.high, found.sd) == (0.5, 0.5, 0.0)


def test_interval_of_many_values_is_that_of_the_central_limit():
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    found = summarise(of_seeds(values))
    half = 1.96 * values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert found == summarise(of_seeds(values))  # seeded


def test_interval_is_scipys_bootstrap():
    """Seeds are resampled within each data seed; two random draws of the same interval differ a little."""
    rng = np.random.default_rng(4)
    samples = [rng.normal(data_seed, 1.0, 12) for data_seed in range(3)]
    found = summarise(pd.concat([of_seeds(sample, data_seed) for data_seed, sample in enumerate(samples)]), 20000)
    peer = bootstrap(
        tuple(samples), lambda *drawn, axis: np.concatenate(drawn, axis=axis).mean(axis=axis), n_resamples=20000,
        method="percentile", rng=rng,
    ).confidence_interval  # fmt: skip
    width = peer.high - peer.low
    assert (found.low, found.high) == (
        pytest.approx(peer.low, abs=0.03 * width),
        pytest.approx(peer.high, abs=0.03 * width),
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_interval_lies_within_the_values(values):
    found = summarise(of_seeds(values), resamples=50)
    assert min(values) - 1e-12 <= found.low <= found.high <= max(values) + 1e-12


def test_interval_of_pairs_is_that_of_all_resamples_of_seeds():
    matrix = np.array([[0, 0.1, 0.5], [0.1, 0, 0.9], [0.5, 0.9, 0]])
    means = []
    for drawn in itertools.product(range(3), repeat=3):
        pairs = [matrix[a][b] for a, b in itertools.combinations(drawn, 2) if a != b]
        if pairs:
            means.append(np.mean(pairs))
    found = summarise(of_pairs(matrix), resamples=20_000)
    assert found.low == pytest.approx(np.quantile(means, 0.025), abs=1e-9)
    assert found.high == pytest.approx(np.quantile(means, 0.975), abs=1e-9)
    assert (found.n, found.minimum) == (3, 0.1)


def test_pairs_are_not_taken_for_independent():
    matrix = np.ones((8, 8))
    matrix[0] = matrix[:, 0] = 0.0  # one seed that agrees with no other spoils seven pairs at once
    values = of_pairs(matrix)
    as_if_independent = summarise(of_seeds(values.to_numpy()))
    found = summarise(values)
    assert found.mean == pytest.approx(as_if_independent.mean)
    assert found.high - found.low > 1.3 * (as_if_independent.high - as_if_independent.low)


def test_one_pair_of_seeds_has_no_interval():
    found = summarise(of_pairs(np.ones((2, 2))))
    assert (found.mean, found.low, found.high, found.n) == (1.0, None, None, 2)


def test_seeds_are_resampled_within_their_data():
    values = pd.concat([of_seeds([0.0] * 4, 0), of_seeds([1.0] * 4, 1)])
    found = summarise(values)
    assert (found.mean, found.low, found.high, found.n) == (0.5, 0.5, 0.5, 8)


def test_closed_form_variants_are_resampled_over_their_data():
    values = pd.concat([of_seeds([level], data_seed) for data_seed, level in enumerate([0.0, 0.5, 1.0])])
    found = summarise(values)
    assert found.low < 0.5 < found.high


def test_comparison_is_seed_by_seed():
    first = of_seeds([0.1, 0.5, 0.9])
    found = compare(first + 0.2, first)
    assert found.mean == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2)
    assert found.high == pytest.approx(0.2)


def test_comparison_uses_the_common_seeds_only():
    found = compare(of_seeds([1.0, 1.0, 5.0]), of_seeds([0.5, 0.5]))
    assert (found.mean, found.n) == (0.5, 2)
    assert compare(of_seeds([1.0], data_seed=0), of_seeds([1.0], data_seed=1)) is None


def test_no_value_is_an_error():
    with pytest.raises(ShiftScopeError, match="without a single value"):
        summarise(of_seeds([]))
