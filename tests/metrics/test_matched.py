"""Scores at an equal cost: between settings, never beyond them."""

import math

import pytest

from shiftscope.metrics.matched import common_level, interpolated


def test_between_two_settings_it_is_linear_in_the_logarithm():
    assert interpolated([10, 1000], [0.2, 0.6], 100) == pytest.approx(0.4)
    assert interpolated([1000, 10], [0.6, 0.2], 100) == pytest.approx(0.4)  # in any order
    score = [0.3 + 0.1 * math.log(cost) for cost in (2, 7, 30)]
    assert interpolated([2, 7, 30], score, 11) == pytest.approx(0.3 + 0.1 * math.log(11))


@pytest.mark.parametrize("at", [2, 32])
def test_at_a_setting_it_is_the_settings(at):
    assert interpolated([2, 32], [0.1, 0.9], at) == {2: 0.1, 32: 0.9}[at]


@pytest.mark.parametrize("at", [1.999, 32.001])
def test_nothing_is_extrapolated(at):
    assert interpolated([2, 32], [0.1, 0.9], at) is None


def test_one_setting_is_known_at_its_cost_alone_and_equal_costs_count_once():
    assert interpolated([5], [0.4], 5) == 0.4
    assert interpolated([5], [0.4], 5.1) is None
    assert interpolated([5, 5, 10], [0.2, 0.4, 0.9], 5) == pytest.approx(0.3)
    assert interpolated([0, 10], [0.2, 0.9], 5) is None  # a dead autoencoder has no logarithm
    assert interpolated([], [], 5) is None


def test_the_common_level_lies_in_most_ranges():
    assert common_level([(1, 100), (10, 1000)]) == pytest.approx(math.sqrt(10 * 100))
    assert common_level([(1, 10), (20, 30)]) is None
    assert common_level([(1, 10), (20, 30), (21, 40)]) == pytest.approx(math.sqrt(21 * 30))
    assert common_level([(8, 32), (32, 64)]) == 32
    assert common_level([(32, 32), (32, 32)]) == 32
    assert common_level([(1, 10)]) is None and common_level([]) is None
    assert common_level([(0, 0), (1, 4), (2, 8)]) == pytest.approx(math.sqrt(2 * 4))
