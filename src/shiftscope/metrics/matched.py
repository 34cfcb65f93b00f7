"""Scores of a grid of settings at an equal sparsity or an equal error, so that dense is not ranked with sparse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from shiftscope.metrics.base import Metric

PCC_AT_L0 = Metric(
    "pcc_heldout_at_l0", "PCC, held out, at equal L0",
    "`pcc_heldout` of a variant at the number of latents active on the words that its rivals have too, between its "
    "settings; made of the rows of all settings by the tables that show it. What has more than half of its latents "
    "active is not compared.",
    "seed", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
PCC_AT_FVU = Metric(
    "pcc_heldout_at_fvu", "PCC, held out, at equal error", "The same at an equal `fvu`.",
    "seed", higher_is_better=True, limits=(-1, 1),
)  # fmt: skip
FVU_AT_L0 = Metric(
    "fvu_at_l0", "FVU, at equal L0",
    "`fvu` of a variant at the number of active latents that its rivals have too; of one with a dense path beside the "
    "sparse one, those of the sparse path with the error of both.",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip


def interpolated(cost: Sequence[float], score: Sequence[float], at: float) -> float | None:
    """The score at the cost `at`, linear in the logarithm of the cost between the two settings around it.

    Settings of one cost count as their mean. None outside the range of costs: nothing is extrapolated, and a single
    setting is known at its own cost alone. Costs of 0 or less have no logarithm and are left out.
    """
    means = {one: np.mean([s for c, s in zip(cost, score, strict=True) if c == one]) for one in set(cost) if one > 0}
    known = sorted(means)
    if not known or not known[0] <= at <= known[-1]:
        return None
    return float(np.interp(math.log(at), np.log(known), [means[one] for one in known]))


def common_level(ranges: Sequence[tuple[float, float]]) -> float | None:
    """The cost at which most of several `(lowest, highest)` ranges of costs can be compared, None if no two overlap.

    Of the costs that lie in most ranges the geometric middle; of several such stretches, the longest in decades.
    """
    ends = sorted({end for one in ranges for end in one if end > 0})
    stretches = [*pairwise(ends), *((end, end) for end in ends)]

    def worth(stretch: tuple[float, float]) -> tuple[int, float]:
        inside = sum(low <= stretch[0] and stretch[1] <= high for low, high in ranges)
        return inside, math.log(stretch[1] / stretch[0])

    best = max(stretches, key=worth, default=None)
    if best is None or worth(best)[0] < 2:
        return None
    return best[0] if best[0] == best[1] else math.sqrt(best[0] * best[1])
