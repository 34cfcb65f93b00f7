"""What steering removes: known laws have known shares."""

import numpy as np
import pytest

from shiftscope.metrics.causal import divergence, law_moved, probe_of, removed

WANTED = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.4, 0.4]])
OTHER = np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])


def test_divergence_is_that_of_kullback_and_leibler():
    expected = [0.7 * np.log(7) + 0 + 0.1 * np.log(1 / 3), 0.2 * np.log(0.4) + 0.8 * np.log(1.6)]
    assert divergence(WANTED, np.log(OTHER)) == pytest.approx(np.mean(expected))


def test_all_is_removed_where_the_law_is_the_wanted_one_and_less_than_nothing_where_it_leads_away():
    unsteered = np.log(OTHER)
    assert removed(WANTED, unsteered, np.log(np.maximum(WANTED, 1e-12))) == pytest.approx(1)
    assert removed(WANTED, unsteered, unsteered) == 0
    away = OTHER**2 / np.square(OTHER).sum(1, keepdims=True)
    assert removed(WANTED[:1], unsteered[:1], np.log(away[:1])) < 0


def test_the_shift_itself_moves_a_held_out_probe_all_the_way_and_its_half_half_of_it():
    generator = np.random.default_rng(0)
    shift = generator.normal(size=8)
    before = generator.normal(size=(40, 8)) * 0.3
    after, group = before + shift, np.arange(40) // 2
    probe = probe_of(before, after, group)
    assert probe.moved(shift) == pytest.approx(1)
    assert probe.moved(shift / 2) == pytest.approx(0.5)
    assert abs(probe.moved(np.linalg.svd(shift[None])[2][-1])) < 0.2
    assert probe_of(before, after, np.zeros(40)) is None
    assert probe_of(after, after, group) is None  # equal texts are not told apart


def test_a_law_moves_along_what_tells_two_laws_apart():
    first, second = np.log(OTHER + 1e-3), np.log(WANTED + 1e-3)
    assert law_moved(first, second, second) == pytest.approx(1)
    assert law_moved(first, second, first) == 0
    assert law_moved(first, second, (first + second) / 2) == pytest.approx(0.5)
    assert law_moved(first, second, first + 7) == pytest.approx(0)  # the same for every token
