"""Means, intervals over seeds, and paired comparisons."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp, ttest_ind

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


def test_interval_is_students():
    values = np.random.default_rng(3).normal(2.0, 1.0, 5)
    found = summarise(of_seeds(values))
    assert (found.low, found.high) == pytest.approx(ttest_1samp(values, 0).confidence_interval(0.95))


def test_interval_of_several_data_seeds_is_welchs():
    """Two samples of equal size: their mean is half their sum, and the error of a sum is that of a difference."""
    rng = np.random.default_rng(4)
    samples = rng.normal(0, 1.0, 5), rng.normal(3, 2.0, 5)
    found = summarise(pd.concat([of_seeds(sample, data_seed) for data_seed, sample in enumerate(samples)]))
    peer = ttest_ind(samples[0], -samples[1], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((peer.low / 2, peer.high / 2))


def test_interval_of_pairs_is_students_where_a_pair_is_the_sum_of_its_seeds():
    """The jackknife is exact there: the mean over pairs is that over seeds, twice."""
    own = np.random.default_rng(5).normal(0.4, 0.1, 5)
    found = summarise(of_pairs(own[:, None] + own))
    assert (found.low, found.high) == pytest.approx(ttest_1samp(2 * own, 0).confidence_interval(0.95))
    assert (found.n, found.minimum) == (5, pytest.approx(np.sort(own)[:2].sum()))


def drawn(kind, rng):
    """Values of five seeds of which the true mean is 0."""
    if kind == "seeds":
        return of_seeds(rng.normal(size=5))
    if kind == "data seeds":
        return pd.concat([of_seeds(rng.normal(scale=1 + data_seed, size=5), data_seed) for data_seed in range(3)])
    own, noise = rng.normal(size=5), rng.normal(size=(5, 5))
    return of_pairs(own[:, None] + own + (noise + noise.T if kind == "noisy pairs" else 0))


@pytest.mark.parametrize(
    ("kind", "most"), [("seeds", 0.975), ("data seeds", 0.975), ("pairs", 0.975), ("noisy pairs", 0.99)]
)
def test_intervals_of_five_seeds_cover_what_they_say(kind, most):
    """A percentile bootstrap covers 84 %. Noise of pairs makes the jackknife too wide, never too narrow."""
    rng = np.random.default_rng(6)
    found = [summarise(drawn(kind, rng)) for _ in range(800)]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= most


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


def test_the_error_is_that_within_data():
    values = pd.concat([of_seeds([0.0] * 4, 0), of_seeds([1.0] * 4, 1)])
    found = summarise(values)
    assert (found.mean, found.low, found.high, found.n) == (0.5, 0.5, 0.5, 8)


def test_closed_form_variants_have_an_interval_over_their_data():
    levels = [0.0, 0.5, 1.0]
    found = summarise(pd.concat([of_seeds([level], data_seed) for data_seed, level in enumerate(levels)]))
    assert (found.low, found.high) == pytest.approx(ttest_1samp(levels, 0).confidence_interval(0.95))


def test_one_pair_per_data_seed_has_an_interval_over_data():
    pairs = [of_pairs(np.full((2, 2), level)) for level in (0.2, 0.5)]
    index = pairs[1].index.set_levels([1], level="data_seed")
    found = summarise(pd.concat([pairs[0], pairs[1].set_axis(index)]))
    assert (found.low, found.high) == pytest.approx(ttest_1samp([0.2, 0.5], 0).confidence_interval(0.95))


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
