"""Mean, spread and bootstrap intervals over seeds, and the comparison of two variants seed by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RESAMPLES = 2000
CONFIDENCE = 0.95
UNIT = ["data_seed", "seed", "seed_2"]


@dataclass(frozen=True)
class Summary:
    """What is said of one score; `None` is what the seeds at hand cannot say."""

    mean: float
    sd: float | None
    """Sample standard deviation over models (over pairs of models for a metric of pairs)."""
    low: float | None
    high: float | None
    """Ends of the 95 % bootstrap percentile interval of the mean."""
    minimum: float
    n: int
    """Models that enter: seeds, times data seeds."""


def units(rows: pd.DataFrame) -> pd.Series:
    """Average metric rows over their concepts: one value per model or pair of models.

    Args:
        rows: metric rows of one metric of one setting, with the columns `data_seed, seed, seed_2, value`.

    Returns:
        values indexed by `data_seed, seed, seed_2`; -1 stands for null.
    """
    keys = [rows[name].fillna(-1).astype(int) for name in UNIT]
    return rows["value"].groupby(keys).mean()


def summarise(values: pd.Series, resamples: int = RESAMPLES, seed: int = 0) -> Summary:
    """Mean, sd and bootstrap percentile interval (Efron and Tibshirani 1993, chapter 13) of what `units` returns.

    What is resampled are seeds, never pairs of seeds: those share models and are not independent. For a metric of
    pairs, each resample draws seeds with replacement and averages over its pairs of distinct seeds; a resample of
    one seed alone has no pair and is left out. With several data seeds, seeds are resampled within each, so the
    interval speaks of training, given these data; only where a data seed has a single seed (closed-form variants)
    all values are resampled as one sample. One value, or one pair, has no interval.

    Raises:
        ShiftScopeError: there is no value.
    """
    if values.empty:
        raise ShiftScopeError(
            "a score without a single value cannot be summarised: check that its metric was evaluated"
        )
    pairs = bool((values.index.get_level_values("seed_2") >= 0).any())
    interval = _interval_of_pairs(values, resamples, seed) if pairs else _interval(values, resamples, seed)
    low, high = interval or (None, None)
    return Summary(
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        low=low,
        high=high,
        minimum=float(values.min()),
        n=_models(values) if pairs else len(values),
    )


def compare(first: pd.Series, second: pd.Series, resamples: int = RESAMPLES, seed: int = 0) -> Summary | None:
    """Summarise `first - second` over the models (or pairs of models) that both have; None if they share none."""
    differences = (first - second).dropna()
    return None if differences.empty else summarise(differences, resamples, seed)


def _interval(values: pd.Series, resamples: int, seed: int) -> tuple[float, float] | None:
    import numpy as np

    samples = [sample.to_numpy() for _, sample in values.groupby(level="data_seed")]
    if min(map(len, samples)) < 2:
        samples = [values.to_numpy()]
    if len(samples[0]) < 2:
        return None
    generator = np.random.default_rng(seed)
    drawn = [sample[generator.integers(len(sample), size=(resamples, len(sample)))] for sample in samples]
    return _percentiles(np.concatenate(drawn, axis=1).mean(1))


def _interval_of_pairs(values: pd.Series, resamples: int, seed: int) -> tuple[float, float] | None:
    import numpy as np

    if len(values) < 2:
        return None
    generator = np.random.default_rng(seed)
    totals, counts = np.zeros(resamples), np.zeros(resamples)
    for _, sample in values.groupby(level="data_seed"):
        matrix = _matrix(sample)
        drawn = generator.integers(len(matrix), size=(resamples, len(matrix)))
        # a seed with itself is nan in the matrix, so drawing it twice makes no pair of its own
        found = matrix[drawn[:, :, None], drawn[:, None, :]]
        totals += np.nansum(found, axis=(1, 2))
        counts += np.isfinite(found).sum(axis=(1, 2))
    return _percentiles(totals[counts > 0] / counts[counts > 0])


def _percentiles(means: np.ndarray) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _matrix(sample: pd.Series) -> np.ndarray:
    """The values of pairs as a symmetric `[seeds, seeds]` matrix, nan where a pair was not measured."""
    import numpy as np

    first, second = (sample.index.get_level_values(name).to_numpy() for name in ("seed", "seed_2"))
    names, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    matrix = np.full((len(names), len(names)), np.nan)
    rows, columns = places[: len(sample)], places[len(sample) :]
    matrix[rows, columns] = matrix[columns, rows] = sample.to_numpy()
    return matrix


def _models(values: pd.Series) -> int:
    frame = values.index.to_frame(index=False)
    ends = [frame[["data_seed", name]].set_axis(["data_seed", "seed"], axis=1) for name in ("seed", "seed_2")]
    return sum(len(set(group)) for _, group in _stacked(ends).groupby("data_seed")["seed"])


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames, ignore_index=True)
