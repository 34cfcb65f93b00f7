"""Variants that are fitted one by one."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.training.base import Facts
from shiftscope.variants.base import Arrays, ClosedForm


def train_replicas(
    settings: Sequence[ClosedForm],
    replicas: Sequence[Replica],
    pairs: dict[tuple[int, int], TrainingPairs],
    n_codes: int,
    state: Path | None,
    checkpoint_seconds: float,
) -> dict[Replica, tuple[Arrays, Facts]]:
    """Fit every replica; each takes too little time for checkpoints, and there are no facts of training to tell.

    Arguments as in `shiftscope.training.base.train`, but for `pairs`, which are by setting and data seed.
    """
    bar = tqdm(replicas, desc="fit", unit="model", leave=False)
    return {replica: (settings[replica.setting].fit(pairs[replica[:2]], n_codes, replica.seed), {}) for replica in bar}
