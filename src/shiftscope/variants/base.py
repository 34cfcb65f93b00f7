"""What a variant offers to training and evaluation. Nothing here knows any variant's name.

A variant is a class: its fields are hyperparameters (a list of values for one in `grid` makes settings), its methods
are its parameters, loss, steps and export. It names its way of training, a module of `shiftscope.training`.

Files of this folder are read while the Snakefile is parsed, so they import nothing heavy: tensors arrive as
arguments, and their methods are enough to write a loss.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.kinds import Kind

if TYPE_CHECKING:
    import numpy as np
    import torch

    from shiftscope.pair_embeddings import TrainingPairs

Arrays = dict[str, "np.ndarray"]
Tensors = dict[str, "torch.Tensor"]
Facts = dict[str, float | None]
"""what is known of a model's training (docs/file-formats.md)"""


WAYS = ("closed_form", "constrained", "streamed", "masked")
"""modules of `shiftscope.training` that train variants"""


class Variant(Kind):
    """Hyperparameters that every variant has, and how its models encode."""

    training: ClassVar[str]
    """the way in which it is trained, one of `WAYS`"""
    reads: ClassVar[Literal["shifts", "embeddings", "activations", "observations"]] = "shifts"
    """what it encodes: differences of a pair's embeddings, each of the two, activations of a corpus, or simulated bits"""
    supervised: ClassVar[bool] = False
    """whether it needs pairs that are known to differ in one concept"""
    deterministic: ClassVar[bool] = False
    """whether no seed enters: it is then fitted once"""
    recipe: ClassVar[Literal["paper", "ours", ""]] = ""
    """whose recipe of the sparse shift autoencoder it is, which tables judge apart; empty if it is neither"""
    without_sparsity: ClassVar[str] = ""
    """the kind that is the same autoencoder without sparsity, its rival in tables"""
    candidate: ClassVar[bool] = False
    """whether it may be recommended, by a choice between variants that uses no label"""
    most_codes: ClassVar[int | None] = None
    """with more codes it does not apply, and is not trained"""
    vector_name: ClassVar[str] = ""
    """of the vector of its one code where no truth names it; empty: the number of the code"""
    system: ClassVar[str] = ""
    """the system of the source whose numbers stand beside it"""

    chosen_by_truth: ClassVar[bool] = False
    """whether its setting is chosen by the true concepts of training pairs, where they are known, and not by UDR: an
    advantage for a rival of ours"""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        way = vars(cls).get("training", WAYS[0])
        if way not in WAYS:
            raise ShiftScopeError(unknown(f"{cls.__module__}: the way of training {way!r}", str(way), WAYS))

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, k]` of what it reads `[n, d]`, from the arrays of a model."""
        return inputs @ arrays["encoder"].T + arrays["encoder_bias"]

    @staticmethod
    def target(arrays: Arrays, shifts: np.ndarray) -> np.ndarray:
        """What codes are read from and reconstruct: the shifts `[n, d]`, unless it makes something else of them first."""
        return shifts

    @staticmethod
    def restored(arrays: Arrays, outputs: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """Reconstructions of the `target` of shifts, `[n, d]`, as reconstructions of the shifts themselves."""
        return outputs


class PairVariant(Variant):
    """A variant that is trained on pairs, of which it may take fewer, or turn them round."""

    n_pairs: int | None = Field(
        None, ge=2, description="the first so many training pairs in a random order; by default all"
    )
    orientation: Literal["given", "random"] = Field(
        "given", description="training pairs as the dataset has them, or turned at random (an ablation)"
    )


class ClosedForm(PairVariant):
    """A variant that is fitted model by model."""

    training = "closed_form"

    @abstractmethod
    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """Arrays of one model: `decoder` `[k, d]` and what `encode` wants."""

    def fit_seeds(self, pairs: TrainingPairs, n_codes: int, seeds: list[int]) -> list[tuple[Arrays, Facts]]:
        """A model per seed and what is known of it; for a variant that shares work between seeds, or has facts to tell."""
        return [(self.fit(pairs, n_codes, seed), {}) for seed in seeds]


class Prepared(NamedTuple):
    """What a trained variant makes of training pairs before the first step."""

    inputs: np.ndarray
    """what is fed to the autoencoder, `[n, d_in]` float32"""
    constants: dict[str, float]
    """numbers that its loss needs, one set per replica"""
    keep: Any
    """what `export` needs to return to the embedding space"""


class Loss(NamedTuple):
    """Per replica, `[R]`: `objective` is minimised, subject to `violation` ≤ 0 if it is not None."""

    objective: torch.Tensor
    violation: torch.Tensor | None
    reconstruction: torch.Tensor
    sparsity: torch.Tensor


class Constrained(PairVariant):
    """A variant that is trained by gradient steps, many replicas at once, with a multiplier each if it has a constraint.

    With several `starts` per seed weights are `[R * starts, …]`, while inputs, which these share, stay
    `[R, batch, d_in]`.
    """

    training = "constrained"
    varying: ClassVar[tuple[str, ...]] = ()
    """hyperparameters that may differ between the replicas of one batch"""
    optimiser: ClassVar[Literal["adam", "extra_adam"]]
    """a key of `training.constrained.OPTIMISERS`"""
    decay: ClassVar[float | None] = None
    """the share of the steps after which the learning rate falls to zero along a cosine; None: never"""
    buffers: ClassVar[tuple[str, ...]] = ()
    """tensors that the loss updates itself and no optimiser sees"""

    steps: int
    batch_size: int
    lr: float

    def starts(self, n_codes: int) -> int:
        """Initialisations per seed, of which the best is kept."""
        return 1

    @property
    def first_multiplier(self) -> float:
        """Lagrange multiplier at step 0."""
        return 0.0

    @abstractmethod
    def prepare(self, pairs: TrainingPairs, n_codes: int) -> Prepared:
        """Training inputs and per-replica constants from training pairs."""

    @abstractmethod
    def initial(self, n_codes: int, d_in: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """Tensors of one replica; `normal` draws from its seed."""

    def hooks(self, weights: Tensors) -> None:
        """Register what is to happen to gradients before any optimiser sees them."""

    @abstractmethod
    def loss(self, weights: Tensors, inputs: torch.Tensor, constants: Tensors, progress: float) -> Loss:
        """Objective and constraint of all replicas on a batch `[R, batch, d_in]`, at a share `progress` of the steps."""

    def after_step(self, weights: Tensors, step: int) -> None:
        """Mend what a step leaves behind (unit norms)."""

    @abstractmethod
    def export(self, weights: Arrays, keep: Any) -> Arrays:
        """Arrays of one replica in the embedding space."""


class Streamed(Variant):
    """A sparse autoencoder that is trained on a stream of activations, each replica by itself, all from one pass.

    Its inputs x are activations, centred and over one number, so that E‖x‖² = d. Weights have at least `encoder` `[F, d]`,
    `encoder_bias` `[F]`, `decoder` `[F, d]` (unit rows, which training keeps so), `decoder_bias` `[d]`, and `since_fired`
    `[F]`, the vectors since each latent fired, which the loss counts and no optimiser sees. Defaults are paper B's (App.
    H.3), the learning rate, which its text has lost, that of Karvonen et al. 2024.
    """

    training = "streamed"
    reads = "activations"
    buffers: ClassVar[tuple[str, ...]] = ("since_fired",)
    """tensors that the loss updates itself and no optimiser sees"""
    matrices: ClassVar[int] = 2
    """trained tensors `[F, d]` that it has, by which a job's memory is declared"""

    steps: int = Field(20_000, ge=0, description="optimiser steps; 0 leaves it untrained")
    batch_size: int = Field(10_000, ge=1, description="activations per step")
    lr: float = Field(3e-4, gt=0, description="learning rate of Adam, constant after the warm-up")
    warmup: int = Field(200, ge=0, description="steps in which the learning rate rises from zero, linearly")
    checkpoints: tuple[int, ...] = Field((), description="steps whose weights are kept as models, too, in rising order")
    order_seed: int = Field(0, ge=0, description="of the order in which activations are read, the same for all seeds")
    dead_after: int = Field(
        10_000_000,
        ge=1,
        description="activations without firing after which a latent is dead (Gao et al. 2024, App. A.2)",
    )

    @field_validator("checkpoints")
    @classmethod
    def _in_order(cls, steps: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        last = info.data.get("steps", 0)
        if list(steps) != sorted(set(steps)) or (steps and not 0 <= steps[0] <= steps[-1] <= last):
            raise ValueError(f"checkpoints must be steps from 0 to {last} in rising order, each once")
        return steps

    def initial(self, n_codes: int, d: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """Tensors of one replica: random unit directions, the encoder as their transpose, no biases; `normal` draws."""
        decoder = normal(n_codes, d)
        decoder = decoder / decoder.norm(dim=1, keepdim=True)
        biases = {"encoder_bias": decoder.new_zeros(n_codes), "decoder_bias": decoder.new_zeros(d)}
        since = decoder.new_zeros(n_codes).long()
        return {"encoder": decoder.clone(), "decoder": decoder, **biases, "since_fired": since}

    def misfit(self, n_codes: int) -> str:
        """Why it cannot have so many codes F, and what to do; empty if it can."""
        return ""

    def doubts(self, n_codes: int, d: int) -> list[str]:
        """What is likely to be a mistake with so many codes F for activations of a width d: warnings, never an error."""
        if n_codes >= d:
            return []
        return [
            f"fewer codes than the {d} dimensions of an activation: such a dictionary is not overcomplete, so it has no room "
            "for more features than dimensions; raise `codes`"
        ]

    @abstractmethod
    def loss(self, weights: Tensors, inputs: torch.Tensor, step: int) -> torch.Tensor:
        """The loss of a batch `[batch, d]`, a number; it also updates the `buffers`, once a step."""

    def export(self, weights: Tensors, latest: Callable[[], Iterator[torch.Tensor]]) -> Arrays:
        """Arrays of one replica in the space of its inputs, code = encoder @ x + encoder_bias before any nonlinearity.

        Args:
            weights: as `initial` makes them.
            latest: reads the latest training batches `[batch, d]`, for what is estimated in the end.
        """
        bias = weights["encoder_bias"] - weights["encoder"] @ weights["decoder_bias"]
        kept = {name: weights[name].numpy() for name in ("encoder", "decoder", "decoder_bias")}
        return kept | {"encoder_bias": bias.numpy()}

    def facts(self, weights: Tensors, step: int, measured: Facts) -> Facts:
        """What is known of a replica after `step` steps beside what was `measured` on the latest batches."""
        return {}

    @staticmethod
    def paths(arrays: Arrays, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Of a code that is a sum of several, each of these `[n, F]` by name; nothing of any other."""
        return {}

    def _count(self, weights: Tensors, fired: torch.Tensor, n: int) -> None:
        """Count vectors since each latent fired; `fired` `[F]` says which did in this batch of `n`."""
        weights["since_fired"].add_(n).masked_fill_(fired, 0)


class Masked(Variant):
    """A network that predicts a masked observation of a simulated world from the others; many train at once, stacked `[R, …]`.

    Its codes are its representation. `encode` gets contexts `[n, 2 m]`: of every observed bit its value, 0 if it is masked, and
    then of every one whether it is.
    """

    training = "masked"
    reads = "observations"
    buffers: ClassVar[tuple[str, ...]] = ()
    """tensors that `logits` updates itself and no optimiser sees"""

    steps: int = Field(3000, ge=0, description="optimiser steps; 0 leaves it untrained")
    batch_size: int = Field(64, ge=2, description="samples per step")
    lr: float = Field(0.001, gt=0, description="learning rate of Adam")

    @abstractmethod
    def initial(self, n_observed: int, width: int, normal: Callable[..., torch.Tensor]) -> Tensors:
        """Tensors of one replica for m observed bits; `normal` draws from its seed."""

    @abstractmethod
    def logits(self, weights: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        """Of both values of every bit `[R, batch, 2 m]`, value 0 of all bits first, in contexts `[R, batch, 2 m]`."""

    @abstractmethod
    def export(self, weights: Arrays) -> Arrays:
        """Arrays of one replica, as `encode` wants them, with `output` `[2 m, width]` and `output_bias` `[2 m]`."""


def sparse_codes(variant: type[Streamed], arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
    """Codes `[n, F]` of what is sparse of an autoencoder of activations `[n, d]`: its first path, if it has several."""
    paths = variant.paths(arrays, inputs)
    return next(iter(paths.values())) if paths else variant.encode(arrays, inputs)


def unit_rows(weights: Tensors, name: str = "decoder") -> None:
    """Scale each decoder direction `[…, k, d]` to unit norm, in place (paper A, App. B.1)."""
    decoder = weights[name].data
    decoder.div_(decoder.norm(dim=-1, keepdim=True).clamp_min(1e-8))


def in_raw_space(arrays: Arrays, mean: np.ndarray, scale: float) -> Arrays:
    """Arrays of an autoencoder of x = (z - mean) / scale as those of one of z, float32; codes grow by `scale`.

    Each `…encoder_bias` belongs to the `…encoder` `[F, d]` of the same name, and a `threshold` is on codes.
    """
    import numpy as np

    raw = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    for name in (name for name in arrays if name.endswith("encoder_bias")):
        raw[name] = scale * raw[name] - raw[name.removesuffix("_bias")] @ mean
    raw["decoder_bias"] = scale * raw["decoder_bias"] + mean
    if "threshold" in raw:
        raw["threshold"] = scale * raw["threshold"]
    return {name: array.astype(np.float32) for name, array in raw.items()}


def linear_model(encoder: np.ndarray, decoder: np.ndarray, bias: np.ndarray | None = None) -> Arrays:
    """Arrays of one affine autoencoder, rescaled so that decoder directions have unit norm and codes carry the scale.

    Args:
        encoder: `[k, d]`; code = encoder @ δz + bias.
        decoder: `[k, d]`, rows are decoder directions.
        bias: `[k]`, zero if None.
    """
    import numpy as np

    norms = np.linalg.norm(decoder, axis=1)
    scale = np.where(norms > 0, norms, 1.0)
    bias = np.zeros(len(encoder)) if bias is None else bias
    arrays = {"encoder": encoder * scale[:, None], "encoder_bias": bias * scale, "decoder": decoder / scale[:, None]}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def codes_of(variant: type[Variant], arrays: Arrays, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Codes `[n, k]` of pairs of embeddings `[n, d]`; of an autoencoder of embeddings, the change of its codes."""
    if variant.reads == "embeddings":
        return variant.encode(arrays, after) - variant.encode(arrays, before)
    return variant.encode(arrays, after - before)


def decode(arrays: Arrays, codes: np.ndarray) -> np.ndarray:
    """Reconstruction `[n, d]` from codes `[n, k]`; directions have unit norm, so a code is a length."""
    return codes @ arrays["decoder"] + arrays.get("decoder_bias", 0.0)
