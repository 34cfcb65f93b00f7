"""Train many small models in one process: replicas of one variant, stacked `[R, …]`, one cooper multiplier each.

What a replica learns depends on its setting, data seed and seed alone: its batches come from its own seed, and every
operation acts on each replica by itself (`bmm`, reductions within a replica), so one replica trained alone equals the
same replica in a block, bit for bit on one CPU thread.

A variant with several `starts` is trained from so many initialisations per replica, on the same batches; the one with the
smallest Lagrangian at the end is the replica's result.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cooper
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from shiftscope.files import atomic, canonical_json
from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.training.checkpoint import adam_groups, cosine, load_optimiser, optimiser_tensors
from shiftscope.training.draws import generator, normal
from shiftscope.variants.base import Arrays, Constrained, Facts, Prepared

logger = logging.getLogger(__name__)

CHUNK = 64
"""steps whose batches are drawn at once"""
CODES_AT_ONCE = 2**20
"""numbers in the codes of one step, of all replicas of a batch: they stay in the processor's cache (a third faster), and
memory stays small however many replicas there are"""
FACT_ROWS = 4096
"""training pairs, drawn at random, on which the final error and sparsity are measured and starts are compared"""


def train_replicas(
    settings: Sequence[Constrained],
    replicas: Sequence[Replica],
    pairs: dict[tuple[int, int], TrainingPairs],
    n_codes: int,
    state: Path | None,
    checkpoint_seconds: float,
) -> dict[Replica, tuple[Arrays, Facts]]:
    """Train replicas in as few batches as their shapes allow.

    Arguments as in `shiftscope.training.base.train`, but for `pairs`, which are by setting and data seed.
    """
    prepared = {key: settings[key[0]].prepare(given, n_codes) for key, given in pairs.items()}
    results: dict[Replica, tuple[Arrays, Facts]] = {}
    for number, members in enumerate(_batches(settings, replicas, prepared, n_codes)):
        batch = Batch(settings[members[0].setting], members, prepared, n_codes)
        batch.run(state / f"batch_{number}.safetensors" if state else None, checkpoint_seconds)
        results |= dict(zip(members, batch.results(), strict=True))
    return results


def _batches(
    settings: Sequence[Constrained],
    replicas: Sequence[Replica],
    prepared: dict[tuple[int, int], Prepared],
    n_codes: int,
) -> list[list[Replica]]:
    """Replicas that can share tensors: equal shapes, and equal hyperparameters but for those that may vary; a few at a time."""
    groups: dict[str, list[Replica]] = {}
    for replica in replicas:
        setting = settings[replica.setting]
        shared = setting.model_dump(exclude=set(setting.varying))
        width = prepared[replica[:2]].inputs.shape
        groups.setdefault(canonical_json([shared, width]), []).append(replica)
    found = []
    for members in groups.values():
        setting, rows = settings[members[0].setting], len(prepared[members[0][:2]].inputs)
        codes = setting.starts(n_codes) * n_codes * min(setting.batch_size, rows)
        most = max(1, CODES_AT_ONCE // codes)
        found += [members[first : first + most] for first in range(0, len(members), most)]
    return found


class Problem(cooper.ConstrainedMinimizationProblem):
    """The sum of all replicas' Lagrangians: they share no tensor, so each is optimised as if it were alone."""

    def __init__(self, loss: Callable[[torch.Tensor], Any], replicas: int, multiplier: float) -> None:
        super().__init__()
        self.loss = loss
        self.constraint = cooper.Constraint(
            constraint_type=cooper.ConstraintType.INEQUALITY,
            formulation_type=cooper.formulations.Lagrangian,
            multiplier=cooper.multipliers.DenseMultiplier(init=torch.full((replicas,), float(multiplier))),
        )

    def compute_cmp_state(self, inputs: torch.Tensor) -> cooper.CMPState:
        """Loss and constraint of a batch `[R, batch, d_in]`."""
        result = self.loss(inputs)
        if result.violation is None:
            return cooper.CMPState(loss=result.objective.sum())
        state = cooper.ConstraintState(violation=result.violation)
        return cooper.CMPState(loss=result.objective.sum(), observed_constraints={self.constraint: state})


class ExtraAdam(torch.optim.Adam):
    """Adam with an extrapolation (Gidel et al. 2020), which cooper asks for; both updates move the moments, as in cooper's own.

    cooper's own takes some ten passes over memory; PyTorch's fused update reads and writes every number once.
    """

    def extrapolation(self) -> None:
        """Move to the extrapolated point, and keep where it began."""
        self.begun = [weight.detach().clone() for group in self.param_groups for weight in group["params"]]
        super().step()

    def step(self) -> None:
        """From where the extrapolation began, by the gradient that was found there."""
        weights = (weight for group in self.param_groups for weight in group["params"])
        for weight, begun in zip(weights, self.begun, strict=True):
            weight.data.copy_(begun)
        super().step()


def _adam(problem: Problem, weights: list[torch.Tensor], lr: float, constrained: bool):
    """Adam on weights and, at half the rate, on multipliers, at the same time: one gradient a step."""
    primal = torch.optim.Adam(adam_groups(weights), lr=lr)
    if not constrained:
        return cooper.optim.UnconstrainedOptimizer(cmp=problem, primal_optimizers=primal)
    dual = torch.optim.Adam(problem.dual_parameters(), lr=lr / 2, maximize=True)
    return cooper.optim.SimultaneousOptimizer(cmp=problem, primal_optimizers=primal, dual_optimizers=dual)


def _extra_adam(problem: Problem, weights: list[torch.Tensor], lr: float, constrained: bool):
    """ExtraAdam on both (Gidel et al. 2020): an extrapolation, then the step with the gradient found there."""
    primal = ExtraAdam(adam_groups(weights), lr=lr)
    dual = ExtraAdam(problem.dual_parameters(), lr=lr / 2, maximize=True)
    return cooper.optim.ExtrapolationConstrainedOptimizer(cmp=problem, primal_optimizers=primal, dual_optimizers=dual)


OPTIMISERS = {"adam": _adam, "extra_adam": _extra_adam}


class Batch:
    """Replicas of equal shape that take every step together, each from as many initialisations as its variant has `starts`."""

    def __init__(
        self, variant: Constrained, members: list[Replica], prepared: dict[tuple[int, int], Prepared], n_codes: int
    ) -> None:
        self.variant, self.members = variant, members
        self.starts = variant.starts(n_codes)
        keys = list(dict.fromkeys(replica[:2] for replica in members))
        self.keep = [prepared[replica[:2]].keep for replica in members]
        self.inputs = torch.from_numpy(np.stack([prepared[key].inputs for key in keys]))
        self.source = torch.tensor([keys.index(replica[:2]) for replica in members])
        constants = [prepared[replica[:2]].constants for replica in members for _ in range(self.starts)]
        self.constants = {name: torch.tensor([c[name] for c in constants]) for name in constants[0]}

        d_in = self.inputs.shape[2]
        normals = [normal(replica.seed, start) for replica in members for start in range(self.starts)]
        singles = [variant.initial(n_codes, d_in, draws) for draws in normals]
        self.weights = {name: torch.stack([single[name] for single in singles]) for name in singles[0]}
        trained = [tensor for name, tensor in self.weights.items() if name not in variant.buffers]
        for tensor in trained:
            tensor.requires_grad_()
        variant.hooks(self.weights)
        self.step = 0
        self.problem = Problem(self._loss, len(singles), variant.first_multiplier)
        self.constrained = self._constrained()
        self.optimiser = OPTIMISERS[variant.optimiser](self.problem, trained, variant.lr, self.constrained)

    def _loss(self, inputs: torch.Tensor) -> Any:
        return self.variant.loss(self.weights, inputs, self.constants, self._progress())

    def _progress(self) -> float:
        """The share of the steps that were taken; of no steps, which leave the network untrained, none were."""
        return self.step / self.variant.steps if self.variant.steps else 0.0

    def _constrained(self) -> bool:
        with torch.no_grad():
            return self._loss(self.inputs[self.source, :2]).violation is not None

    def batches(self) -> Iterator[torch.Tensor]:
        """Batches `[R, batch, d_in]` from the current step on; each replica's come from its seed and the step alone."""
        rows, d_in = self.inputs.shape[1:]
        flat, offsets = self.inputs.flatten(0, 1), self.source[:, None, None] * rows
        size = min(self.variant.batch_size, rows)  # a larger batch would only repeat pairs
        for chunk in range(self.step // CHUNK, -(-self.variant.steps // CHUNK)):
            drawn = torch.stack([_rows(replica.seed, chunk, rows, size) for replica in self.members])
            drawn += offsets
            first = self.step % CHUNK if chunk == self.step // CHUNK else 0
            for within in range(first, min(CHUNK, self.variant.steps - chunk * CHUNK)):
                yield flat.index_select(0, drawn[:, within].flatten()).view(-1, size, d_in)

    def run(self, checkpoint: Path | None, checkpoint_seconds: float) -> None:
        """Take all steps that are left, keeping a checkpoint now and then."""
        if checkpoint and checkpoint.exists():
            self.load(checkpoint)
            logger.info("resumed %d replicas at step %d of %d", len(self.members), self.step, self.variant.steps)
        saved = time.monotonic()
        bar = tqdm(
            total=self.variant.steps, initial=self.step, desc=f"train {len(self.members)} models", unit="step",
            leave=False,
        )  # fmt: skip
        for inputs in self.batches():
            self._set_rate()
            self.optimiser.roll(compute_cmp_state_kwargs={"inputs": inputs})
            self.variant.after_step(self.weights, self.step)
            self.step += 1
            bar.update()
            if checkpoint and self.step % CHUNK == 0 and time.monotonic() - saved >= checkpoint_seconds:
                self.save(checkpoint)
                saved = time.monotonic()
        bar.close()
        if checkpoint:
            self.save(checkpoint)  # so that a kill during a later batch does not repeat this one

    def _set_rate(self) -> None:
        """Where the variant decays its learning rate: constant, then a half cosine down to zero."""
        start = self.variant.decay
        if start is None:
            return
        way = max(0.0, (self._progress() - start) / (1 - start))
        for group in self.optimiser.primal_optimizers[0].param_groups:
            group["lr"] = self.variant.lr * cosine(way)

    def results(self) -> Iterator[tuple[Arrays, Facts]]:
        """Each replica's exported arrays, and its error, sparsity, violation and multiplier at the end."""
        with torch.no_grad():
            result = self._loss(self.inputs[:, self._sample()][self.source])
        multiplier = self.problem.constraint.multiplier.weight.detach()
        value = result.objective + (multiplier * result.violation if self.constrained else 0)
        best = value.nan_to_num(torch.inf).view(-1, self.starts).argmin(1)
        for member, keep in enumerate(self.keep):
            index = member * self.starts + int(best[member])
            arrays = {name: tensor.detach()[index].numpy().astype(np.float64) for name, tensor in self.weights.items()}
            facts = {
                "reconstruction": float(result.reconstruction[index]),
                "sparsity": float(result.sparsity[index]),
                "violation": float(result.violation[index]) if self.constrained else None,
                "multiplier": float(multiplier[index]) if self.constrained else None,
            }
            yield self.variant.export(arrays, keep), facts

    def _sample(self) -> torch.Tensor:
        """Rows on which the end is judged, at random: the first ones of a user's file need not be like the others."""
        rows = self.inputs.shape[1]
        return torch.randperm(rows, generator=generator(2))[:FACT_ROWS] if rows > FACT_ROWS else torch.arange(rows)

    def save(self, path: Path) -> None:
        """Write weights, optimiser state, multipliers and step."""
        tensors = {f"weight.{name}": tensor.detach() for name, tensor in self.weights.items()}
        tensors["multiplier"] = self.problem.constraint.multiplier.weight.detach()
        tensors["step"] = torch.tensor(self.step)
        for name, optimiser in self._optimisers().items():
            tensors |= optimiser_tensors(name, optimiser)
        with atomic(path) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)

    def load(self, path: Path) -> None:
        """Read what `save` wrote, so that the next step is the one that would have followed."""
        tensors = load_file(path)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                tensor.copy_(tensors[f"weight.{name}"])
            self.problem.constraint.multiplier.weight.copy_(tensors["multiplier"])
        self.step = int(tensors["step"])
        for name, optimiser in self._optimisers().items():
            load_optimiser(name, optimiser, tensors)

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        named = {"primal": self.optimiser.primal_optimizers[0]}
        if self.optimiser.dual_optimizers:
            named["dual"] = self.optimiser.dual_optimizers[0]
        return named


def _rows(seed: int, chunk: int, rows: int, batch_size: int) -> torch.Tensor:
    """Row numbers of the batches of one chunk of steps `[CHUNK, batch]`, drawn with replacement."""
    return torch.randint(rows, (CHUNK, batch_size), generator=generator(1, seed, chunk))
