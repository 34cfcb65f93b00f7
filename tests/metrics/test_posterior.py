"""Linearity in the log-posterior: representations that are it, are its square, or are random score as they must."""

import numpy as np
import pytest

from shiftscope.metrics.posterior import centred, predict, probability_error

N = 600


def posterior(seed: int = 0, values: int = 4) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(N, values)) * 2
    law = np.exp(logits)
    return law / law.sum(1, keepdims=True)


def halves() -> np.ndarray:
    return np.random.default_rng(9).permutation(N) < N // 2


def both_ways(representation: np.ndarray, target: np.ndarray, slot: np.ndarray | None = None) -> tuple[float, float]:
    slot = np.zeros(N, int) if slot is None else slot
    return predict(representation, target, halves(), slot).r2, predict(target, representation, halves(), slot).r2


def test_a_representation_that_is_the_log_posterior_has_all_of_it():
    target = centred(posterior())
    mixing = np.random.default_rng(1).normal(size=(4, 12))
    assert both_ways(target @ mixing + 3, target) == pytest.approx((1, 1), abs=1e-4)


def test_its_square_fails():
    target = centred(posterior())
    found = both_ways(np.square(target), target)
    assert max(found) < 0.5


def test_a_random_representation_has_nothing():
    assert max(both_ways(np.random.default_rng(2).normal(size=(N, 8)), centred(posterior()))) < 0.05


def test_what_a_slot_adds_to_all_of_its_contexts_counts_for_nothing():
    target, slot = centred(posterior()), np.arange(N) % 3
    offsets = np.random.default_rng(3).normal(size=(3, 4)) * 50
    assert both_ways(target + offsets[slot], target, slot) == pytest.approx((1, 1), abs=1e-4)
    alone = np.random.default_rng(4).normal(size=(N, 4)) + offsets[slot]
    assert predict(alone, offsets[slot] + 0 * target, halves(), slot) is None  # nothing varies within a slot


def test_weights_count_contexts():
    target = centred(posterior())
    wrong = np.where((np.arange(N) % 2 == 0)[:, None], target, -target)
    weights = np.where(np.arange(N) % 2 == 0, 1.0, 1e-9)
    fit, slot = halves(), np.zeros(N, int)
    assert predict(wrong, target, fit, slot, weights).r2 > 0.99 > 0.5 > predict(wrong, target, fit, slot).r2


def test_a_constant_representation_tells_nothing_and_a_constant_target_cannot_be_told():
    target, slot = centred(posterior()), np.zeros(N, int)
    assert predict(np.ones((N, 3)), target, halves(), slot).r2 == pytest.approx(0, abs=0.02)
    assert predict(target, np.ones((N, 2)), halves(), slot) is None


def test_r2_is_one_minus_the_mean_error_of_contexts():
    found = predict(np.random.default_rng(5).normal(size=(N, 3)), centred(posterior()), halves(), np.zeros(N, int))
    assert found.r2 == pytest.approx(1 - found.errors.mean())


def test_a_probe_of_the_log_posterior_is_calibrated_and_one_of_noise_is_not():
    law, generator = posterior(values=3), np.random.default_rng(6)
    drawn = np.array([generator.choice(3, p=row) for row in law])
    good = probability_error(centred(law), drawn, law, halves())
    bad = probability_error(generator.normal(size=(N, 3)), drawn, law, halves())
    assert good < 0.08 < 0.15 < bad
    assert probability_error(centred(law), np.zeros(N, int), law, halves()) == pytest.approx(
        np.abs(np.eye(3)[[0]] - law[~halves()]).mean()
    )


def test_the_order_of_contexts_values_and_dimensions_does_not_matter():
    target, generator = centred(posterior()), np.random.default_rng(8)
    values = np.hstack([target, np.square(target)]) @ generator.normal(size=(8, 20)) + generator.normal(size=(N, 20))
    fit, slot = halves(), np.arange(N) % 2
    rows, columns, dimensions = generator.permutation(N), [2, 0, 3, 1], generator.permutation(20)
    for inputs, wanted in ((values, target), (target, values)):
        one = predict(inputs, wanted, fit, slot).r2
        mixed = [array[rows][:, order] for array, order in ((values, dimensions), (target, columns))]
        inputs, wanted = mixed if inputs is values else mixed[::-1]
        assert predict(inputs, wanted, fit[rows], slot[rows]).r2 == pytest.approx(one, abs=1e-6)
        assert 0 < one < 1
