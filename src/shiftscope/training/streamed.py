"""Train sparse autoencoders on a stream of activations: all replicas of a node from one pass over it.

Every replica has its own tensors and optimiser and takes every batch as if it were alone, so it equals itself trained alone,
to the bit on one thread. Wide dictionaries fill a processor by themselves: stacking them would save nothing.

Inputs are activations minus their mean and over one number, so that E‖x‖² = d. Both are estimated from the stream's first
vectors in its first order (`SAMPLE`), and folded into what is exported.
"""

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, canonical_json, read_tensors, write_tensors
from shiftscope.models import Model, Replica
from shiftscope.training.blocks import TrainSlice, VariantSlice, check_finite, train_each
from shiftscope.training.checkpoint import load_optimiser, optimiser_tensors
from shiftscope.training.draws import device, normal, repeatable
from shiftscope.variants.base import Arrays, Facts, Streamed, decode, in_raw_space, unit_rows

logger = logging.getLogger(__name__)

SAMPLE, SAMPLE_BATCHES = 4096, 8
"""vectors per batch, and batches, from which mean and scale are estimated"""
LATEST = 8
"""batches up to a step on which the model at that step is measured"""
ROWS_AT_ONCE = 1024
"""vectors whose dense codes are held at once while a model is measured"""
NOT_FINITE = "the activations hold NaN or infinity: cache them again with another `dtype` or layer"
LOG_STEPS = 100
SAVE_SHARE = 0.05
"""the share of the time that goes into checkpoints, at most"""


class KeptModels(Sequence[Model]):
    """Models in files, each of which is read when it is asked for."""

    def __init__(self, files: list[tuple[Replica, Path]]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Model:
        replica, path = self.files[number]
        arrays, metadata = read_tensors(path)
        return Model(*replica, arrays, json.loads(metadata["facts"]))


class Stream(Protocol):
    """Activations in another order every epoch, from all parts of a store."""

    d: int
    origin: dict[str, str]
    """what tells the store from others"""

    def rows(self, split: str = "train") -> int:
        """How many vectors a split has."""

    def batches(self, batch_size: int, seed: int, start: int = 0, split: str = "train") -> Iterator[np.ndarray]:
        """Batches `[batch_size, d]` float32 without end, from batch `start` on."""


def train_streamed_block(
    params: TrainSlice,
    stream: Stream,
    files: Iterable[tuple[Path, Path]],
    state: Path,
    checkpoint_seconds: float = 20.0,
) -> None:
    """Train every setting of every variant of a node, and write each variant's weights and sidecar into its `files`.

    Arguments else and errors as in `train_replicas`.
    """
    for one in params.variants:
        for doubt in dict.fromkeys(
            doubt for setting in one.built() for doubt in setting.doubts(params.codes, stream.d)
        ):
            logger.warning(f"{one.variant}, {params.codes} codes: {doubt}")  # no two are of one kind

    def models_of(one: VariantSlice, settings: list[Streamed], folder: Path) -> KeptModels:
        replicas = [Replica(setting, 0, seed) for setting in range(len(settings)) for seed in params.seeds]
        return train_replicas(settings, replicas, stream, params.codes, folder, checkpoint_seconds)

    train_each(params, files, state, models_of, stream.origin)


def train_replicas(
    settings: Sequence[Streamed],
    replicas: Sequence[Replica],
    stream: Stream,
    n_codes: int,
    state: Path,
    checkpoint_seconds: float = 20.0,
) -> KeptModels:
    """Train every replica; the result is in the order of `replicas`, of each first its checkpoints, then what it became.

    Models are read from `state` one by one, when they are asked for: all together they may be larger than the memory.
    Settings that read the stream in the same order and batches share a pass over it.

    Args:
        settings: a variant, one per grid point.
        replicas: what to train; the data seed is 0, for there is one corpus.
        stream: training activations.
        n_codes: code size F.
        state: folder for checkpoints and finished models, which the caller removes; a killed training that finds its own
            there goes on, to the bit.
        checkpoint_seconds: least time between two checkpoints, in seconds.

    Raises:
        ShiftScopeError: a replica diverged, or the stream has fewer vectors than a batch, or none that differ.
    """
    passes: dict[tuple[int, int], list[Replica]] = {}
    for replica in replicas:
        setting = settings[replica.setting]
        passes.setdefault((setting.batch_size, setting.order_seed), []).append(replica)
    files: dict[Replica, list[Path]] = {}
    for (batch_size, order_seed), members in passes.items():
        one = Pass(stream, batch_size, order_seed, state / f"batch_{batch_size}_order_{order_seed}")
        own = {
            replica: [one.kept(replica, step) for step in kept_steps(settings[replica.setting])] for replica in members
        }
        if not all(path.exists() for paths in own.values() for path in paths):
            learners = [Learner(settings[replica.setting], replica, n_codes, stream.d) for replica in members]
            with repeatable():
                one.run(learners, checkpoint_seconds)
        files |= own
    return KeptModels([(replica, path) for replica in replicas for path in files[replica]])


def kept_steps(setting: Streamed) -> list[int]:
    """The steps at which a model of a replica is kept, the last one last."""
    return sorted({*setting.checkpoints, setting.steps})


class Learner:
    """One replica: its weights and their optimiser."""

    def __init__(self, setting: Streamed, replica: Replica, n_codes: int, d: int) -> None:
        self.setting, self.replica = setting, replica
        drawn = setting.initial(n_codes, d, normal(replica.seed))
        self.weights = {name: tensor.to(device()) for name, tensor in drawn.items()}
        trained = [tensor.requires_grad_() for name, tensor in self.weights.items() if name not in setting.buffers]
        self.optimiser = torch.optim.Adam(trained, lr=setting.lr, fused=True)

    def take(self, inputs: torch.Tensor, step: int) -> float:
        """One step on a batch `[batch, d]`; returns the loss.

        The gradient along a direction is removed before the optimiser sees it, for its length is to stay 1.

        Raises:
            ShiftScopeError: the loss is not finite.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.setting.lr * min(1.0, (step + 1) / max(1, self.setting.warmup))
        loss = self.setting.loss(self.weights, inputs, step)
        value = float(loss.detach())
        if not math.isfinite(value):
            if not bool(inputs.isfinite().all()):
                raise ShiftScopeError(NOT_FINITE)
            raise ShiftScopeError(
                f"training of setting {self.replica.setting}, seed {self.replica.seed} diverged at step {step} (its loss is "
                f"{value}): lower the variant's `lr`"
            )
        self.optimiser.zero_grad()
        loss.backward()
        decoder = self.weights["decoder"]
        along = (decoder.grad * decoder.detach()).sum(1, keepdim=True)
        decoder.grad.addcmul_(along, decoder.detach(), value=-1)
        self.optimiser.step()
        unit_rows(self.weights)
        return value

    def tensors(self, number: int) -> dict[str, torch.Tensor]:
        """All that the next step depends on, under names that begin with the replica's number."""
        weights = {f"weights{number}.{name}": tensor.detach() for name, tensor in self.weights.items()}
        return weights | optimiser_tensors(f"adam{number}", self.optimiser)

    def load(self, number: int, tensors: dict[str, torch.Tensor]) -> None:
        """Take what `tensors` gave."""
        with torch.no_grad():
            for name, tensor in self.weights.items():
                tensor.copy_(tensors[f"weights{number}.{name}"])
        load_optimiser(f"adam{number}", self.optimiser, tensors)


class Pass:
    """One reading of the stream, and the folder where its training is saved."""

    def __init__(self, stream: Stream, batch_size: int, order_seed: int, folder: Path) -> None:
        if stream.rows("train") < batch_size:
            raise ShiftScopeError(
                f"there are {stream.rows('train')} training activations, fewer than a batch of {batch_size}: lower `batch_size` "
                "or cache more tokens"
            )
        self.stream, self.batch_size, self.order_seed, self.folder = stream, batch_size, order_seed, folder
        self.mean, self.scale = _centre(stream, order_seed)
        self.step = 0

    def kept(self, replica: Replica, step: int) -> Path:
        """The file of a model."""
        return self.folder / f"setting_{replica.setting}_seed_{replica.seed}_step_{step}.safetensors"

    def run(self, learners: list[Learner], checkpoint_seconds: float) -> None:
        """Take all steps that are left, keeping a checkpoint now and then."""
        saved = self.folder / "training.safetensors"
        if saved.exists():
            self._load(learners, saved)
        last = max(learner.setting.steps for learner in learners)
        batches = self.stream.batches(self.batch_size, self.order_seed, self.step)
        due = time.monotonic() + checkpoint_seconds
        bar = tqdm(total=last, initial=self.step, desc=f"train {len(learners)} SAEs", unit="step", leave=False)
        while True:
            self._keep([learner for learner in learners if self.step in kept_steps(learner.setting)])
            if self.step == last:
                break
            inputs = self._inputs(next(batches)).to(device())
            losses = [one.take(inputs, self.step) for one in learners if self.step < one.setting.steps]
            self.step += 1
            bar.update()
            if self.step % LOG_STEPS == 0:
                logger.info("step %d of %d: mean loss %.4g", self.step, last, sum(losses) / len(losses))
            if time.monotonic() > due:
                due = self._save(learners, saved) + checkpoint_seconds
        bar.close()

    def _inputs(self, raw: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((raw - self.mean) / np.float32(self.scale))

    def _latest(self) -> Iterator[np.ndarray]:
        """The batches before the current step, or the first ones."""
        return islice(self.stream.batches(self.batch_size, self.order_seed, max(0, self.step - LATEST)), LATEST)

    def _keep(self, learners: list[Learner]) -> None:
        """Write the model that each has become."""
        for one in learners:
            weights = {name: tensor.detach().cpu() for name, tensor in one.weights.items()}
            exported = one.setting.export(weights, lambda: map(self._inputs, self._latest()))
            arrays = in_raw_space(exported, self.mean, self.scale)
            check_finite(one.replica, arrays)
            fired, measured = measure(type(one.setting), arrays, self._latest(), self.mean)
            since = weights["since_fired"].numpy()
            arrays["alive"] = fired | (since < min(one.setting.dead_after, self.step * self.batch_size))
            measured["dead"] = float((~arrays["alive"]).sum())
            facts = measured | one.setting.facts(weights, self.step, measured) | {"step": self.step}
            write_tensors(self.kept(one.replica, self.step), arrays, {"facts": canonical_json(facts)})

    def _save(self, learners: list[Learner], path: Path) -> float:
        """Write weights, optimiser states and the step; returns the time before which writing again costs too much."""
        begun = time.monotonic()
        tensors = {"step": torch.tensor(self.step)}
        for number, learner in enumerate(learners):
            tensors |= learner.tensors(number)
        with atomic(path) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
        now = time.monotonic()
        return now + (now - begun) / SAVE_SHARE

    def _load(self, learners: list[Learner], path: Path) -> None:
        tensors = load_file(path)
        self.step = int(tensors["step"])
        for number, learner in enumerate(learners):
            learner.load(number, tensors)
        logger.info("resumed %d autoencoders at step %d", len(learners), self.step)


def _centre(stream: Stream, order_seed: int) -> tuple[np.ndarray, float]:
    """Mean `[d]` of the stream's first vectors, and the number over which E‖x‖² of what is left is d.

    Raises:
        ShiftScopeError: a vector is not finite, or all are equal.
    """
    size = min(SAMPLE, stream.rows("train"))
    total, squares = np.zeros(stream.d), np.zeros(stream.d)
    for batch in islice(stream.batches(size, order_seed), SAMPLE_BATCHES):
        rows = batch.astype(np.float64)
        total += rows.sum(0)
        squares += np.square(rows).sum(0)
    n = size * SAMPLE_BATCHES
    mean = total / n
    variance = float((squares / n - np.square(mean)).mean())
    if not math.isfinite(variance):
        raise ShiftScopeError(NOT_FINITE)
    if variance <= 1e-12 * float(squares.mean()) / n:
        raise ShiftScopeError("all activations are equal, so there is nothing to learn: cache another layer")
    return mean.astype(np.float32), math.sqrt(variance)


def measure(
    variant: type[Streamed], arrays: Arrays, batches: Iterable[np.ndarray], mean: np.ndarray
) -> tuple[np.ndarray, Facts]:
    """Which latents fired on some activations, bool `[F]`, and what is known of a model by them.

    `reconstruction` is the fraction of variance unexplained, Σ‖z - ẑ‖² / Σ‖z - mean‖², and `l0` the mean number of codes that
    differ from zero. Where a code is a sum of paths each has its own of both, as if it were alone, and a latent fires if the
    first of them does.
    """
    energy, n, fired = 0.0, 0, np.zeros(len(arrays["decoder"]), bool)
    errors: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for rows in (
        batch[first : first + ROWS_AT_ONCE] for batch in batches for first in range(0, len(batch), ROWS_AT_ONCE)
    ):
        paths = variant.paths(arrays, rows)
        codes = {"": variant.encode(arrays, rows)} | {f"_{name}": codes for name, codes in paths.items()}
        for name, found in codes.items():
            errors[name] += np.square(rows - decode(arrays, found)).sum(dtype=np.float64)
            counts[name] += np.count_nonzero(found)
        fired |= (next(iter(paths.values()), codes[""]) != 0).any(0)
        energy += np.square(rows - mean).sum(dtype=np.float64)
        n += len(rows)
    facts = {f"reconstruction{name}": float(error) / energy for name, error in errors.items()}
    return fired, facts | {f"l0{name}": count / n for name, count in counts.items()}
