"""Random draws of a training, each a function of its key alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def repeatable() -> Iterator[None]:
    """On a GPU sums over a batch are added in an order of their own, so that a seed fixes a result there, too.

    PyTorch asks for `CUBLAS_WORKSPACE_CONFIG` before the first product.
    """
    if device().type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def device() -> torch.device:
    """Where steps are taken: the GPU if there is one. Weights and samples are drawn on the CPU, the same for every device."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
