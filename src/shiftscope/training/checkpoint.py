"""What every training keeps between steps: an optimiser's state as safetensors, and the rate that falls to zero."""

import math
from collections.abc import Mapping
from typing import Any

import torch


def cosine(way: float) -> float:
    """The share of a learning rate that is left at a share `way` of its decay, along half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * way))


def optimiser_tensors(name: str, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The state of an optimiser as tensors called `{name}.{parameter}.{entry}`."""
    return {
        f"{name}.{parameter}.{entry}": torch.as_tensor(value)
        for parameter, entries in optimiser.state_dict()["state"].items()
        for entry, value in entries.items()
    }


def load_optimiser(
    name: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], **cast: Any
) -> None:
    """Give an optimiser the state that `optimiser_tensors` made; `cast` turns the values of an entry into what it wants."""
    state: dict[int, dict[str, Any]] = {}
    for key in (key for key in tensors if key.startswith(f"{name}.")):
        _, parameter, entry = key.split(".")
        state.setdefault(int(parameter), {})[entry] = cast.get(entry, _as_it_is)(tensors[key])
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _as_it_is(value: torch.Tensor) -> torch.Tensor:
    return value
