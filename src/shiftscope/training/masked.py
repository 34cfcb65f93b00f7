"""Train networks that predict a masked bit of a simulated world, many of them in one process.

A replica is a network in a world: its initial weights and its samples come from its data seed and seed alone, and every
operation acts on each replica by itself (`bmm`, reductions within a replica), so one trained alone equals the same one among
others, to the bit on one CPU thread. Worlds of fewer bits than the dataset's largest see none in the places that they lack.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from shiftscope.files import atomic
from shiftscope.generative.latent_dag import LatentDag
from shiftscope.models import Model, Replica
from shiftscope.training.blocks import TrainSlice, VariantSlice, check_finite, train_each
from shiftscope.training.checkpoint import adam_groups, load_optimiser, optimiser_tensors
from shiftscope.training.draws import device, generator, normal
from shiftscope.variants.base import Arrays, Masked

logger = logging.getLogger(__name__)

CHUNK = 64
"""steps whose samples are drawn at once"""
REPLICAS_AT_ONCE = {"cpu": 16, "cuda": 256}
"""replicas that take their steps together: so many that their weights and what is computed of them stay in a processor's cache"""
LATEST = 20
"""steps at the end over which the loss is averaged that is kept"""


class Task(NamedTuple):
    """What a replica is trained on."""

    world: LatentDag
    most_observed: int
    """bits of the dataset's largest world, for which its network has inputs"""


def train_masked_block(
    params: TrainSlice,
    worlds: Sequence[LatentDag],
    files: Iterable[tuple[Path, Path]],
    state: Path,
    checkpoint_seconds: float = 20.0,
) -> None:
    """Train every setting of every variant of a node in every world, and write each variant's weights and sidecar.

    Arguments else and errors as in `train_replicas`.
    """

    def models_of(one: VariantSlice, settings: list[Masked], folder: Path) -> list[Model]:
        replicas = [
            Replica(setting, world, seed)
            for setting in range(len(settings))
            for world in range(len(worlds))
            for seed in params.seeds
        ]
        return train_replicas(settings, replicas, worlds, params.codes, folder, checkpoint_seconds)

    train_each(params, files, state, models_of)


def train_replicas(
    settings: Sequence[Masked],
    replicas: Sequence[Replica],
    worlds: Sequence[LatentDag],
    width: int,
    state: Path | None = None,
    checkpoint_seconds: float = 20.0,
) -> list[Model]:
    """Train every replica; the result is in the order of `replicas`.

    Args:
        settings: a variant, one per grid point.
        replicas: what to train; the data seed is the number of the world.
        worlds: all of a dataset: the largest tells how many inputs networks have.
        width: of the representation.
        state: folder for checkpoints, which the caller removes; a killed training that finds its own there goes on, to
            the bit. None: none.
        checkpoint_seconds: least time between two checkpoints, in seconds.

    Raises:
        ShiftScopeError: a replica's weights became NaN or infinite.
    """
    most = max(len(world.bits) for world in worlds)
    found: dict[Replica, Model] = {}
    for number, members in enumerate(_batches(replicas)):
        batch = Networks(
            settings[members[0].setting], members, [Task(worlds[one.data_seed], most) for one in members], width
        )
        batch.run(state / f"batch_{number}.safetensors" if state else None, checkpoint_seconds)
        found |= dict(zip(members, batch.results(), strict=True))
    for replica, model in found.items():
        check_finite(replica, model.arrays)
    return [found[replica] for replica in replicas]


def _batches(replicas: Sequence[Replica]) -> Iterator[list[Replica]]:
    """Replicas of one setting, a few at a time."""
    size = REPLICAS_AT_ONCE[device().type]
    for setting in dict.fromkeys(replica.setting for replica in replicas):
        members = [replica for replica in replicas if replica.setting == setting]
        for first in range(0, len(members), size):
            yield members[first : first + size]


class Networks:
    """Replicas of one setting that take every step together."""

    def __init__(self, setting: Masked, members: list[Replica], tasks: list[Task], width: int) -> None:
        self.setting, self.members, self.tasks = setting, members, tasks
        most = tasks[0].most_observed
        singles = [setting.initial(most, width, normal(one.seed, one.data_seed)) for one in members]
        self.weights = {name: torch.stack([single[name] for single in singles]).to(device()) for name in singles[0]}
        trained = [tensor.requires_grad_() for name, tensor in self.weights.items() if name not in setting.buffers]
        self.optimiser = torch.optim.Adam(adam_groups(trained), lr=setting.lr)
        table = np.concatenate([task.world.table(task.most_observed) for task in tasks])
        self.table = torch.from_numpy(table).to(device())
        self.offsets = torch.tensor(np.cumsum([0, *(len(task.world.prior) for task in tasks[:-1])]))
        self.step = 0
        self.loss = torch.zeros(LATEST, len(members), device=device())

    def run(self, checkpoint: Path | None, checkpoint_seconds: float) -> None:
        """Take all steps that are left, keeping a checkpoint now and then."""
        if not self.setting.steps:
            self._settle()
        if checkpoint and checkpoint.exists():
            self._load(checkpoint)
            logger.info("resumed %d networks at step %d of %d", len(self.members), self.step, self.setting.steps)
        saved = time.monotonic()
        bar = tqdm(
            total=self.setting.steps, initial=self.step, desc=f"train {len(self.members)} networks", unit="step",
            leave=False,
        )  # fmt: skip
        for states, masked in self._samples():
            self._take(states, masked)
            bar.update()
            if checkpoint and self.step % CHUNK == 0 and time.monotonic() - saved >= checkpoint_seconds:
                self._save(checkpoint)
                saved = time.monotonic()
        bar.close()
        if checkpoint:
            self._save(checkpoint)  # so that a kill during a later batch does not repeat this one

    def _settle(self) -> None:
        """Let running means and variances come to what they are: an untrained network is normalised as a trained one is."""
        with torch.no_grad():
            for states, masked in self._samples(CHUNK):
                self.setting.logits(self.weights, self._contexts(states, masked)[0])

    def _samples(self, steps: int | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Rows of the table and masked bits, both `[R, batch]`, from the current step on to the last."""
        size, last = self.setting.batch_size, steps or self.setting.steps
        for chunk in range(self.step // CHUNK, -(-last // CHUNK)):
            drawn = [self._drawn(number, chunk, size) for number in range(len(self.members))]
            states, masked = (torch.stack(both, 1) for both in zip(*drawn, strict=True))
            first = self.step % CHUNK if chunk == self.step // CHUNK else 0
            for within in range(first, min(CHUNK, last - chunk * CHUNK)):
                yield (states[within] + self.offsets[:, None]).to(device()), masked[within].to(device())

    def _drawn(self, number: int, chunk: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """States by the world's law, and masked bits, both `[CHUNK, batch]`."""
        member, world = self.members[number], self.tasks[number].world
        draws = generator(1, member.seed, member.data_seed, chunk)
        limits = torch.from_numpy(np.cumsum(world.prior)[:-1])
        states = torch.searchsorted(limits, torch.rand(CHUNK, size, generator=draws, dtype=torch.float64), right=True)
        return states, torch.randint(len(world.bits), (CHUNK, size), generator=draws)

    def _take(self, states: torch.Tensor, masked: torch.Tensor) -> None:
        """One step: the cross-entropy of the masked bits."""
        inputs, mask, true = self._contexts(states, masked)
        logits = self.setting.logits(self.weights, inputs)
        both = torch.stack([(half * mask).sum(2) for half in logits.chunk(2, 2)], 2).log_softmax(2)
        surprise = -torch.where(true > 0, both[:, :, 1], both[:, :, 0]).mean(1)
        self.optimiser.zero_grad()
        surprise.sum().backward()
        self.optimiser.step()
        self.loss[self.step % LATEST] = surprise.detach()
        self.step += 1

    def _contexts(self, states: torch.Tensor, masked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What networks are given `[R, batch, 2 m]`, which bit is masked `[R, batch, m]`, and its value `[R, batch]`."""
        bits = self.table[states]
        mask = torch.nn.functional.one_hot(masked, bits.shape[2]).to(bits.dtype)
        return torch.cat([bits * (1 - mask), mask], 2), mask, (bits * mask).sum(2)

    def results(self) -> Iterator[Model]:
        """Each replica's exported arrays, with its loss over the latest steps, in nats."""
        taken = min(self.step, LATEST)
        for number, member in enumerate(self.members):
            arrays: Arrays = {name: tensor.detach()[number].cpu().numpy() for name, tensor in self.weights.items()}
            facts = {"loss": float(self.loss[:taken, number].clone().mean()) if taken else None, "step": self.step}
            exported = {name: np.asarray(array, np.float32) for name, array in self.setting.export(arrays).items()}
            yield Model(*member, exported, facts)

    def _save(self, path: Path) -> None:
        tensors = {f"weight.{name}": tensor.detach() for name, tensor in self.weights.items()}
        tensors |= {"step": torch.tensor(self.step), "loss": self.loss} | optimiser_tensors("adam", self.optimiser)
        with atomic(path) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)

    def _load(self, path: Path) -> None:
        tensors = load_file(path)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                tensor.copy_(tensors[f"weight.{name}"])
        self.step, self.loss = int(tensors["step"]), tensors["loss"].to(device())
        load_optimiser("adam", self.optimiser, tensors)
