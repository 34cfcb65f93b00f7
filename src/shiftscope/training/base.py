"""The replicas of a training node: settings × data seeds × seeds, fitted or trained in one process."""

import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from shiftscope import kinds
from shiftscope.models import Model, Replica, alive
from shiftscope.pair_embeddings import PairEmbeddings, TrainingPairs, first_pairs, training_pairs, turned
from shiftscope.training.blocks import TrainSlice, VariantSlice, check_finite, train_each
from shiftscope.training.held_out import MOST_CODES, gains
from shiftscope.variants.base import Arrays, Constrained, Facts, Variant, codes_of


def train_block(
    params: TrainSlice,
    data: PairEmbeddings,
    files: Iterable[tuple[Path, Path]],
    state: Path,
    checkpoint_seconds: float = 20.0,
) -> None:
    """Train every setting of every variant of a node, and write each variant's weights and sidecar into its `files`.

    Arguments else and errors as in `train`.
    """

    def models_of(one: VariantSlice, settings: list[Variant], folder: Path) -> list[Model]:
        seeds = params.seeds[:1] if settings[0].deterministic else params.seeds
        replicas = replicas_of(settings, data, seeds)
        return train(settings, replicas, data, params.codes, folder, checkpoint_seconds, one.candidate)

    train_each(params, files, state, models_of)


def replicas_of(settings: Sequence[Variant], data: PairEmbeddings, seeds: Sequence[int]) -> list[Replica]:
    """All replicas of a node, in the order of its file."""
    numbers = range(len(settings)), range(data.data_seeds)
    return [Replica(setting, data_seed, seed) for setting in numbers[0] for data_seed in numbers[1] for seed in seeds]


def train(
    settings: Sequence[Variant],
    replicas: Sequence[Replica],
    data: PairEmbeddings,
    n_codes: int,
    state: Path | None = None,
    checkpoint_seconds: float = 20.0,
    candidate: bool = False,
) -> list[Model]:
    """Train or fit every replica; the result is in the order of `replicas`.

    Args:
        settings: a variant, one per grid point.
        replicas: what to train.
        data: the dataset, of whose training pairs a setting's `n_pairs` takes the first.
        n_codes: code size k.
        state: folder for checkpoints, which the caller removes; a killed training that finds its own there goes on, to
            the bit. None: none.
        checkpoint_seconds: least time between two checkpoints, in seconds.
        candidate: whether the held-out gain of every setting is measured, too; a closed form tells its own.

    Raises:
        ShiftScopeError: a replica's weights became NaN or infinite, or there are fewer than `n_pairs` pairs.
    """
    whole = {data_seed: training_pairs(data, data_seed) for data_seed in {replica.data_seed for replica in replicas}}
    pairs: dict[tuple[int, int], TrainingPairs] = {}
    for setting, data_seed in dict.fromkeys(replica[:2] for replica in replicas):
        some = first_pairs(whole[data_seed], settings[setting].n_pairs, data_seed)
        pairs[setting, data_seed] = turned(some, data_seed) if settings[setting].orientation == "random" else some
    module = importlib.import_module(kinds.module_of("training", settings[0].training))
    found: dict[Replica, tuple[Arrays, Facts]] = module.train_replicas(
        settings, replicas, pairs, n_codes, state, checkpoint_seconds
    )
    told: dict[int, Facts] = {}
    again = state and state / "held_out"
    if candidate and isinstance(settings[0], Constrained) and n_codes <= MOST_CODES:
        parts = {setting: given for (setting, data_seed), given in pairs.items() if data_seed == 0}
        told = gains(
            settings,
            parts,
            lambda some, of: module.train_replicas(settings, some, of, n_codes, again, checkpoint_seconds),
        )
    models = []
    for replica in replicas:
        arrays, facts = found[replica]
        check_finite(replica, arrays)
        codes = codes_of(type(settings[0]), arrays, *data.training_sides(replica.data_seed))
        facts = facts | told.get(replica.setting, {})
        models.append(Model(*replica, arrays | {"alive": alive(codes, arrays["decoder"])}, facts))
    return models
