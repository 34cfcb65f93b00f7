"""Variants that are fitted one by one."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.variants.base import Arrays, ClosedForm, Facts


def train_replicas(
    settings: Sequence[ClosedForm],
    replicas: Sequence[Replica],
    pairs: dict[tuple[int, int], TrainingPairs],
    n_codes: int,
    state: Path | None,
    checkpoint_seconds: float,
) -> dict[Replica, tuple[Arrays, Facts]]:
    """Fit every replica, those of one setting and data seed together; each takes too little time for checkpoints.

    Arguments as in `shiftscope.training.base.train`, but for `pairs`, which are by setting and data seed.
    """
    found: dict[Replica, tuple[Arrays, Facts]] = {}
    for (setting, data_seed), given in tqdm(pairs.items(), desc="fit", unit="setting", leave=False):
        members = [replica for replica in replicas if replica[:2] == (setting, data_seed)]
        models = settings[setting].fit_seeds(given, n_codes, [replica.seed for replica in members])
        found |= dict(zip(members, models, strict=True))
    return found
