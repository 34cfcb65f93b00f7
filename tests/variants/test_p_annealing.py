"""`p_annealing`: p and λ over the steps, a penalty without jumps, and equality with a plain loop."""

import numpy as np
import pytest
import torch
from helpers.streams import assert_equal_to_plain, learned, small
from pydantic import ValidationError

from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.training.streamed import Learner
from shiftscope.variants.p_annealing import PAnnealing, power

SHORT = {"steps": 60, "batch_size": 60, "lr": 0.01, "warmup": 10, "sparsity_warmup": 10, "anneal_start": 0.4,
         "updates": 4, "queue": 5}  # fmt: skip


def test_it_finds_a_known_dictionary_of_more_features_than_dimensions(tmp_path):
    model, activations, features = learned(PAnnealing, tmp_path, coefficient=0.5, sparsity_warmup=100)
    codes = PAnnealing.encode(model.arrays, activations)
    assert mcc(codes, features) > 0.95
    assert model.facts["p"] == pytest.approx(1 - 0.8 * 8 / 9)
    assert 2 <= (codes > 0).sum(1).mean() < 4


@pytest.mark.parametrize("p", [1.0, 0.5, 0.2])
def test_the_penalty_and_its_gradient_are_those_of_the_formula_and_zero_codes_have_none(p):
    before = torch.randn(6, 9, dtype=torch.float64, requires_grad=True)
    found = power(before.relu(), p)
    found.backward()
    rows = before.detach().numpy()
    assert float(found.detach()) == pytest.approx((rows.clip(0) ** p).sum() / 6)
    with np.errstate(invalid="ignore"):
        expected = np.where(rows > 0, p * rows ** (p - 1) / 6, 0)
    assert before.grad.numpy() == pytest.approx(expected)


def test_p_falls_in_equal_steps_and_the_last_change_may_come_too_late():
    setting = PAnnealing(steps=1000, anneal_start=0.5, updates=6, p_end=0.5)
    assert setting._changes() == [600, 700, 800, 900, 1000]
    ps = [setting._norm(step) for step in range(1000)]
    assert ps[:600] == [1] * 600
    assert sorted(set(ps), reverse=True) == pytest.approx([1, 0.9, 0.8, 0.7, 0.6])
    ended = PAnnealing(steps=1000, anneal_start=0.5, anneal_end=0.9, updates=6, p_end=0.5)
    assert ended._norm(900) == 0.5


class Watched(PAnnealing):
    """Keeps the codes and λ of every step."""

    def _strength(self, weights, codes, step):
        found = super()._strength(weights, codes, step)
        SEEN.append((codes, float(weights["coefficient"])))
        return found


SEEN: list = []


@pytest.mark.parametrize("queue", [1, 5, 40])
def test_the_penalty_is_continuous_at_every_change_of_p(queue):
    """The mean penalty over the last batches, or all since the last change, is as large with the new p and λ."""
    SEEN.clear()
    setting, stream = Watched(**SHORT | {"queue": queue}), small()
    learner = Learner(setting, Replica(0, 0, 0), 30, stream.d)
    batches = stream.batches(60, 0)
    for step in range(60):
        learner.take(torch.from_numpy((next(batches) - 5) / 20), step)
    changes, last = [36, 48], 0
    assert setting._changes() == [36, 48, 60]
    for change in changes:
        codes = [codes for codes, _ in SEEN[max(last, change - queue) : change]]
        before, after = (
            SEEN[step][1] * np.mean([float(power(one, setting._norm(step))) for one in codes])
            for step in (change - 1, change)
        )
        assert after == pytest.approx(before, rel=1e-6)
        assert abs(SEEN[change][1] / SEEN[change - 1][1] - 1) > 0.01
        last = change
    assert len({coefficient for _, coefficient in SEEN}) == 3  # it changes with p and never else


def test_the_penalty_rises_in_the_warm_up():
    setting, stream = PAnnealing(**SHORT, coefficient=3), small()
    weights = setting.initial(30, stream.d, lambda *shape: torch.ones(shape))
    found = [setting._strength(weights, torch.ones(2, 30), step) for step in (0, 5, 10, 15)]
    assert found == [0, 1.5, 3, 3]


def test_it_equals_a_plain_one_for_50_steps(tmp_path):
    setting = PAnnealing(**SHORT | {"steps": 50}, coefficient=0.5, p_end=0.7)
    values, changes = np.linspace(1, 0.7, 4), np.linspace(20, 50, 4).round()
    queue, now = [], {"coefficient": 0.5, "place": 0}

    def loss(weights, inputs, step):
        codes = ((inputs - weights["decoder_bias"]) @ weights["encoder"].T + weights["encoder_bias"]).relu()
        left = inputs - codes @ weights["decoder"] - weights["decoder_bias"]
        if step == changes[now["place"] + 1]:
            old, new = np.mean(queue[-5:], 0)
            now.update(coefficient=now["coefficient"] * old / new, place=now["place"] + 1)
            queue.clear()
        penalties = [codes[codes > 0].pow(values[now["place"] + more]).sum() / len(inputs) for more in (0, 1)]
        queue.append([float(one.detach()) for one in penalties])
        return left.square().sum(1).mean() + now["coefficient"] * min(1, step / 10) * penalties[0]

    # the gradient of a code near zero is boundless with p < 1, and so is what becomes of rounding
    assert_equal_to_plain(setting, loss, tmp_path, most=5e-4)
    assert now["place"] == 2


def test_annealing_cannot_end_before_it_begins():
    with pytest.raises(ValidationError, match=r"it must not be below anneal_start, 0\.5"):
        PAnnealing(anneal_start=0.5, anneal_end=0.4)
