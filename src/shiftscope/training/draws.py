"""Random draws of a training, each a function of its key alone."""

from collections.abc import Callable

import numpy as np
import torch


def generator(*key: int) -> torch.Generator:
    """A generator that is a function of `key` alone, and far from that of a neighbouring key."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def normal(seed: int, start: int = 0) -> Callable[..., torch.Tensor]:
    """Draws the weights of one replica, standard normal of any shape, from its seed; `start` numbers initialisations."""
    drawn = generator(0, seed, *([start] if start else []))
    return lambda *shape: torch.randn(*shape, generator=drawn)


def device() -> torch.device:
    """Where steps are taken: the GPU if there is one. Weights and samples are drawn on the CPU, the same for every device."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
