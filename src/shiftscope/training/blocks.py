"""What a training job is given and what it writes, in whichever way it trains."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError, warnings_of
from shiftscope.kinds import Strict
from shiftscope.models import BlockFacts, Model, Replica, write_models
from shiftscope.variants.base import Arrays


class VariantSlice(Strict):
    """One of the variants that a training node trains."""

    variant: str
    kind: str
    settings: list[dict[str, Any]]
    candidate: bool = False
    """whether it may be recommended here, so that its held-out gain is measured"""

    def built(self) -> list[Any]:
        """Its settings as objects of its class."""
        kind = kinds.load("variants", self.kind)
        return [kind(**setting) for setting in self.settings]


class TrainSlice(Strict):
    """The slice of the config of a training node."""

    lm: str
    dataset: str
    codes: int
    variants: list[VariantSlice]
    """in the order of the files that are written"""
    seeds: list[int]
    layer: str | None = None
    """of activations, where they are read"""

    def modules(self) -> list[str]:
        """The code that is found by name: the variants' classes and their way of training."""
        classes = {one.kind: kinds.load("variants", one.kind) for one in self.variants}
        ways = {kind.training for kind in classes.values()}
        return [kinds.module_of("variants", kind) for kind in classes] + [
            kinds.module_of("training", way) for way in ways
        ]


def train_each(
    params: TrainSlice,
    files: Iterable[tuple[Path, Path]],
    state: Path,
    models_of: Callable[[VariantSlice, list[Any], Path], Sequence[Model]],
    trained_on: dict[str, str] | None = None,
) -> None:
    """Train every variant of a node, one after the other, and write each one's weights and sidecar into its `files`.

    Args:
        params: the node.
        files: in the order of its variants.
        state: folder for checkpoints, of which every variant has its own; removed in the end.
        models_of: trains a variant, given its slice, its settings and its folder.
        trained_on: of autoencoders of activations their store.
    """
    for one, (weights, sidecar) in zip(params.variants, files, strict=True):
        with warnings_of(one.variant):
            models = models_of(one, one.built(), state / one.variant)
        write_block(params, one, models, weights, sidecar, trained_on)
    shutil.rmtree(state, ignore_errors=True)


def write_block(
    params: TrainSlice,
    one: VariantSlice,
    models: Sequence[Model],
    weights: Path,
    sidecar: Path,
    trained_on: dict[str, str] | None = None,
) -> None:
    """Write the models of one variant of a node, with all parameters of its settings, and the store that they are of."""
    kind = kinds.load("variants", one.kind)
    facts = BlockFacts(
        lm=params.lm, dataset=params.dataset, codes=params.codes, variant=one.variant, kind=one.kind,
        settings=[kind(**setting).model_dump(mode="json") for setting in one.settings],
    )  # fmt: skip
    if trained_on:
        facts["trained_on"] = trained_on
    write_models(weights, sidecar, models, facts)


def check_finite(replica: Replica, arrays: Arrays) -> None:
    """Refuse what a training that diverged has left.

    Raises:
        ShiftScopeError: an array holds NaN or infinity; names the replica.
    """
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ShiftScopeError(
            f"training of setting {replica.setting}, data seed {replica.data_seed}, seed {replica.seed} diverged "
            "(NaN or infinity in its weights): lower the variant's `lr`"
        )
