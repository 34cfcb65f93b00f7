"""Activations in memory that are read as a store's are, and a known dictionary in superposition."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shiftscope.models import Model, Replica
from shiftscope.training.draws import normal
from shiftscope.training.streamed import train_replicas
from shiftscope.variants.base import Streamed

torch.set_num_threads(1)  # equal to the bit on one thread

D, F = 64, 128
"""dimensions and features of the known dictionary"""


class MemoryStream:
    """Rows `[n, d]` in another order every epoch."""

    def __init__(self, activations: np.ndarray) -> None:
        self.activations, self.d = activations.astype(np.float32), activations.shape[1]
        self.origin = {"lm": "tiny", "layer": "final_norm", "dataset": "text", "sha256": "of memory"}
        self.read: list[int] = []
        """numbers of the batches that were read"""

    def rows(self, split: str = "train") -> int:
        return len(self.activations)

    def batches(self, batch_size: int, seed: int, start: int = 0, split: str = "train") -> Iterator[np.ndarray]:
        per_epoch, number = len(self.activations) // batch_size, start
        while True:
            order = np.random.default_rng([seed, number // per_epoch]).permutation(len(self.activations))
            for within in range(number % per_epoch, per_epoch):
                self.read.append(number)
                number += 1
                yield self.activations[order[within * batch_size :][:batch_size]]


def superposed(n: int = 30_000, active: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activations `[n, D]` of F features, more than dimensions, and the features `[n, F]`: so many active, all above zero."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(F, D))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = rng.random((n, F)).argsort(1)[:, :active]
    features = np.zeros((n, F))
    np.put_along_axis(features, chosen, rng.uniform(0.5, 1.5, chosen.shape), 1)
    return 7 + 3 * features @ directions, features


RECIPE = {"steps": 1500, "batch_size": 256, "lr": 0.005, "warmup": 50, "dead_after": 5000}
"""with which the known dictionary is found in seconds"""


def learned(variant: type[Streamed], folder: Path, **changes: Any) -> tuple[Model, np.ndarray, np.ndarray]:
    """A model of the known dictionary, held-out activations `[2000, D]` float32 and their features `[2000, F]`."""
    activations, features = superposed()
    stream = MemoryStream(activations[2000:])
    (model,) = train_replicas([variant(**RECIPE | changes)], [Replica(0, 0, 0)], stream, F, folder)
    return model, activations[:2000].astype(np.float32), features[:2000]


def small(n: int = 600, d: int = 12, seed: int = 3) -> MemoryStream:
    """A few activations with a mean and a scale of their own."""
    rng = np.random.default_rng(seed)
    codes = rng.uniform(0, 1, (n, 3 * d)) * (rng.random((n, 3 * d)) < 0.15)
    return MemoryStream(5 + 20 * codes @ rng.normal(size=(3 * d, d)))


def plainly_trained(setting: Streamed, loss: Callable[[dict, torch.Tensor, int], torch.Tensor], stream: MemoryStream,
                    n_codes: int) -> tuple[dict[str, torch.Tensor], np.ndarray, float]:  # fmt: skip
    """What comes of a loss that is written plainly, by `torch.optim.Adam`; and mean and scale of the inputs."""
    first = np.concatenate(list(islice(stream.batches(min(4096, stream.rows()), setting.order_seed), 8))).astype(float)
    mean = first.mean(0)
    scale = np.sqrt(np.square(first - mean).sum(1).mean() / stream.d)
    weights = setting.initial(n_codes, stream.d, normal(0))
    trained = [weights[name].requires_grad_() for name in weights if name not in setting.buffers]
    optimiser = torch.optim.Adam(trained, lr=setting.lr)
    batches = stream.batches(setting.batch_size, setting.order_seed)
    for step, raw in enumerate(islice(batches, setting.steps)):
        optimiser.param_groups[0]["lr"] = setting.lr * min(1, (step + 1) / setting.warmup)
        optimiser.zero_grad()
        loss(weights, torch.from_numpy((raw - mean.astype(np.float32)) / np.float32(scale)), step).backward()
        decoder = weights["decoder"]
        with torch.no_grad():
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            optimiser.step()
            decoder /= decoder.norm(dim=1, keepdim=True)
    return {name: tensor.detach() for name, tensor in weights.items()}, mean, scale


def assert_equal_to_plain(
    setting: Streamed, loss: Callable, folder: Path, n_codes: int = 30, most: float = 2e-4
) -> None:
    """The model that is trained here has the codes and the output of the one that is trained plainly."""
    stream = small()
    (model,) = train_replicas([setting], [Replica(0, 0, 0)], stream, n_codes, folder)
    weights, mean, scale = plainly_trained(setting, loss, stream, n_codes)
    assert model.arrays["decoder"] == pytest.approx(weights["decoder"].numpy(), abs=most)
    assert model.arrays["encoder"] == pytest.approx(weights["encoder"].numpy(), abs=most)
    output = scale * weights["decoder_bias"].numpy() + mean
    assert model.arrays["decoder_bias"] == pytest.approx(output, abs=10 * most * scale)
    assert (
        np.abs(weights["decoder"].numpy() - setting.initial(n_codes, stream.d, normal(0))["decoder"].numpy()).max()
        > 0.05
    )
