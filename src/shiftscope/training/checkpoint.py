"""What every training keeps between steps: an optimiser's state as safetensors, and the rate that falls to zero."""

import math
from collections.abc import Mapping
from typing import Any

import torch

LANES = 16
"""numbers that the widest processors take at once"""


def cosine(way: float) -> float:
    """The share of a learning rate that is left at a share `way` of its decay, along half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * way))


def adam_groups(weights: list[torch.Tensor]) -> list[dict[str, Any]]:
    """Parameter groups of Adam for weights `[R, …]` of many replicas, by whether its update may be fused, which reads and
    writes every number once: what that makes of numbers beyond whole vectors differs in the last bit, so with such a replica
    would differ by what else is in the block.
    """
    whole = {weight: weight[0].numel() % LANES == 0 for weight in weights}
    found = [{"params": [one for one in weights if whole[one] == fused], "fused": fused} for fused in (True, False)]
    return [group for group in found if group["params"]]


def optimiser_tensors(name: str, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The state of an optimiser as tensors called `{name}.{parameter}.{entry}`."""
    return {
        f"{name}.{parameter}.{entry}": torch.as_tensor(value)
        for parameter, entries in optimiser.state_dict()["state"].items()
        for entry, value in entries.items()
    }


def load_optimiser(name: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give an optimiser the state that `optimiser_tensors` made."""
    state: dict[int, dict[str, Any]] = {}
    for key in (key for key in tensors if key.startswith(f"{name}.")):
        _, parameter, entry = key.split(".")
        state.setdefault(int(parameter), {})[entry] = tensors[key]
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
