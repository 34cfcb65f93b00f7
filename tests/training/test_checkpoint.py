"""An optimiser's state goes through safetensors and back to the bit; ours is cooper's; a rate falls from 1 to 0."""

import cooper
import pytest
import torch
from safetensors.torch import load, save

from shiftscope.training.checkpoint import LANES, adam_groups, cosine, load_optimiser, optimiser_tensors
from shiftscope.training.constrained import ExtraAdam

MAKERS = {
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.1),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=0.1),
    "extra_adam": lambda weights: ExtraAdam(adam_groups(weights), lr=0.1),
}


def step(weights: list[torch.Tensor], optimiser: torch.optim.Optimizer) -> None:
    moves = [optimiser.extrapolation] if hasattr(optimiser, "extrapolation") else []
    for move in [*moves, optimiser.step]:
        optimiser.zero_grad()
        sum((weight**2 + weight).sum() for weight in weights).backward()
        move()


def started(name: str, values: list[torch.Tensor]) -> tuple[list[torch.Tensor], torch.optim.Optimizer]:
    weights = [value.clone().requires_grad_() for value in values]
    return weights, MAKERS[name](weights)


@pytest.mark.parametrize("name", MAKERS)
def test_a_resumed_optimiser_takes_the_same_step(name):
    weights, optimiser = started(name, [torch.arange(6.0).reshape(2, 3), torch.ones(2, LANES)])
    for _ in range(3):
        step(weights, optimiser)
    kept = load(save({key: value.contiguous() for key, value in optimiser_tensors("main", optimiser).items()}))
    resumed, other = started(name, [weight.detach() for weight in weights])
    load_optimiser("main", other, kept | {"another.0.step": torch.tensor(99)})
    step(weights, optimiser), step(resumed, other)
    assert all(torch.equal(one, two) for one, two in zip(weights, resumed, strict=True))


def test_extra_adam_is_coopers_with_a_fused_update():
    drawn = torch.Generator().manual_seed(0)
    values = [torch.randn(3, 7, generator=drawn), torch.randn(3, 2 * LANES, generator=drawn)]
    (ours, optimiser), theirs = started("extra_adam", values), [value.clone().requires_grad_() for value in values]
    assert [group["fused"] for group in optimiser.param_groups] == [True, False]
    for _ in range(20):
        step(ours, optimiser)
    reference = cooper.optim.ExtraAdam(theirs, lr=0.1)
    for _ in range(20):
        step(theirs, reference)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_cosine_goes_from_one_to_zero():
    values = [cosine(way / 10) for way in range(11)]
    assert (values[0], values[5], values[10]) == pytest.approx((1, 0.5, 0))
    assert values == sorted(values, reverse=True)
