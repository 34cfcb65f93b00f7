"""Mean, spread and Student's intervals over seeds, and the comparison of two variants seed by seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

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
    """Ends of the 95 % interval of the mean."""
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


def summarise(values: pd.Series) -> Summary:
    """Mean, sd and Student's interval of what `units` returns.

    A percentile bootstrap of five seeds covers 84 % where it says 95: so few values do not tell their own spread, and
    Student's t allows for that. For a metric of pairs of seeds, which share models and are not independent, the error is
    the jackknife's over seeds (Arvesen 1969), which is exact where a pair's value is a sum over its two seeds, and too
    large otherwise. With several data seeds the error is that within each, so the interval speaks of training, given
    these data, with Welch and Satterthwaite's degrees of freedom; only where a data seed has too
    few seeds (closed-form variants have one) its mean counts as one value. One value, or one pair, has no interval.

    Raises:
        ShiftScopeError: there is no value.
    """
    if values.empty:
        raise ShiftScopeError(
            "a score without a single value cannot be summarised: check that its metric was evaluated"
        )
    pairs = bool((values.index.get_level_values("seed_2") >= 0).any())
    low, high = _interval(values, _jackknifed if pairs else _plain) or (None, None)
    return Summary(
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        low=low,
        high=high,
        minimum=float(values.min()),
        n=_models(values) if pairs else len(values),
    )


def compare(first: pd.Series, second: pd.Series) -> Summary | None:
    """Summarise `first - second` over the models (or pairs of models) that both have; None if they share none."""
    differences = (first - second).dropna()
    return None if differences.empty else summarise(differences)


class _Error(NamedTuple):
    """Of the mean of one sample: its variance, the degrees of freedom of that, and how many values entered."""

    variance: float
    freedom: int
    n: int


def _plain(sample: pd.Series) -> _Error | None:
    n = len(sample)
    return _Error(float(sample.var(ddof=1)) / n, n - 1, n) if n > 1 else None


def _jackknifed(sample: pd.Series) -> _Error | None:
    """Of the mean over pairs: the spread of that mean as each seed in turn is left out."""
    import numpy as np

    matrix = _matrix(sample)
    n = len(matrix)
    if n < 3:
        return None
    without = [np.delete(np.delete(matrix, seed, 0), seed, 1) for seed in range(n)]
    means = np.array([np.nanmean(found) if np.isfinite(found).any() else np.nan for found in without])
    if np.isnan(means).any():
        return None
    return _Error(float((n - 1) * np.var(means)), n - 1, len(sample))


def _interval(values: pd.Series, error_of: Callable[[pd.Series], _Error | None]) -> tuple[float, float] | None:
    """The mean plus and minus its standard error times the quantile of Student's t."""
    from scipy.special import stdtrit

    errors = [error_of(sample) for _, sample in values.groupby(level="data_seed")]
    if None in errors:
        between = _plain(values.groupby(level="data_seed").mean())
        errors = [between and between._replace(n=len(values))]
    if None in errors:
        return None
    parts = [(one.n / len(values)) ** 2 * one.variance for one in errors]
    variance = sum(parts)
    spread = sum(part**2 / one.freedom for part, one in zip(parts, errors, strict=True))
    # equal values have no spread to share out, and every quantile times zero is zero
    freedom = variance**2 / spread if spread else min(one.freedom for one in errors)
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    mean = float(values.mean())
    return mean - half, mean + half


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
