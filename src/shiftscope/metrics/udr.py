"""Unsupervised model selection: the setting on which seeds agree most (paper A, App. B.1.1; Duan et al. 2019)."""

import itertools
from typing import NamedTuple

import numpy as np

from shiftscope.metrics.base import Metric
from shiftscope.metrics.correlation import mcc_of_directions
from shiftscope.models import Model

UDR = Metric(
    "udr", "UDR",
    "Median over pairs of seeds of the MCC of their decoder directions; what settings are chosen by.",
    "setting", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
UDR_CODES = Metric(
    "udr_codes",
    "udr_codes",
    "The same of the MCC of their codes of held-out pairs.",
    "setting",
    higher_is_better=True,
    limits=(0, 1),
)
DECENT = 0.8
"""a setting is eligible if it explains this share of what the best one explains, and keeps this share of its codes alive"""


class Agreement(NamedTuple):
    """MCC of the decoder directions of two seeds of one setting on one data seed."""

    setting: int
    data_seed: int
    seed: int
    seed_2: int
    mcc: float


def agreements(models: list[Model]) -> list[Agreement]:
    """Every pair of seeds of every setting and data seed."""
    found = []
    for (setting, data_seed), members in itertools.groupby(models, key=lambda model: model[:2]):
        for left, right in itertools.combinations(list(members), 2):
            value = mcc_of_directions(left.arrays["decoder"], right.arrays["decoder"])
            found.append(Agreement(setting, data_seed, left.seed, right.seed, value))
    return found


class Selected(NamedTuple):
    """Per setting: UDR, mean error, sparsity and number of live codes, whether eligible; and the chosen one."""

    udr: list[float | None]
    reconstruction: list[float]
    sparsity: list[float]
    live_codes: list[float]
    eligible: list[bool]
    chosen: int


def select(models: list[Model], errors: list[float], sparsities: list[float], n_settings: int) -> Selected:
    """Choose among settings with decent reconstruction the sparsest whose UDR is within a standard error of the highest.

    A few seeds do not tell close UDRs apart, so the one-standard-error rule of Breiman et al. (1984) is used: of settings
    that may be as good as the best the simplest, here the one with the sparsest codes, since the sparsest code is the
    one that identifies (paper A, Prop. 3); then the one with the smallest error.

    UDR is the median, over pairs of seeds (and data seeds), of the MCC of their decoder directions. The paper asks
    for reconstruction that is "decent" without a number: here, to explain `DECENT` of what the setting with the smallest
    error explains, with `DECENT` of its live codes. If no setting explains anything, that with the smallest error is
    chosen, and its error says so. Seeds that choose are also evaluated, which is worth little: over 37 grids of the
    default run, three of five seeds choose what all five do in 84 % of cases, and what they choose has on the other two
    seeds an MCC with the truth that differs by .005 on average. With one seed there is no pair: UDR is None and the smallest error decides.

    Args:
        models: ordered as `read_models` gives them.
        errors: relative squared error of each model, where doing nothing has 1.
        sparsities: L1 of each model's codes, relative to their norm; less is sparser.
        n_settings: how many settings there are.
    """
    pairs = agreements(models)
    udr = [udr_of(pairs, setting) for setting in range(n_settings)]

    def means(scores: list[float]) -> list[float]:
        by_setting = [
            [score for model, score in zip(models, scores, strict=True) if model.setting == setting]
            for setting in range(n_settings)
        ]
        return [float(np.mean(found)) for found in by_setting]

    reconstruction, sparsity = means(errors), means(sparsities)
    live = means([float(model.arrays["alive"].sum()) for model in models])
    eligible = decent(reconstruction, live)
    candidates = [setting for setting in range(n_settings) if eligible[setting]] or [int(np.argmin(reconstruction))]
    best = max(udr[setting] or 0.0 for setting in candidates)
    highest = next(setting for setting in candidates if (udr[setting] or 0.0) == best)
    least = best - standard_error([pair for pair in pairs if pair.setting == highest])
    equal = [setting for setting in candidates if (udr[setting] or 0.0) >= least]
    known = udr[equal[0]] is not None  # with one seed nothing is known of agreement, and the error decides
    chosen = min(equal, key=lambda setting: (round(sparsity[setting], 6) if known else 0, reconstruction[setting]))
    return Selected(udr, reconstruction, sparsity, live, eligible, chosen)


def decent(errors: list[float], live: list[float]) -> list[bool]:
    """Which settings, with these mean errors and numbers of live codes, reconstruct well enough to be chosen."""
    best = int(np.argmin(errors))
    explained = 1 - np.array(errors)
    enough = (explained > 0) & (explained >= DECENT * explained[best])
    return (enough & (np.array(live) >= DECENT * live[best])).tolist()


def udr_of(pairs: list[Agreement], setting: int) -> float | None:
    """Median agreement of a setting's seeds; None with one seed."""
    values = [pair.mcc for pair in pairs if pair.setting == setting]
    return float(np.median(values)) if values else None


def standard_error(pairs: list[Agreement]) -> float:
    """Standard error of the mean agreement of seeds, by the jackknife over seeds; 0 with fewer than three seeds."""
    seeds = sorted({seed for pair in pairs for seed in (pair.seed, pair.seed_2)})
    if len(seeds) < 3:
        return 0.0
    without = [np.mean([pair.mcc for pair in pairs if seed not in (pair.seed, pair.seed_2)]) for seed in seeds]
    return float(np.sqrt((len(seeds) - 1) * np.var(without)))


def medoid(models: list[Model], pairs: list[Agreement]) -> int:
    """Of models of one setting and data seed, the seed that agrees most with all others (the first of equals)."""
    total = {model.seed: 0.0 for model in models}
    for pair in pairs:
        total[pair.seed] += pair.mcc
        total[pair.seed_2] += pair.mcc
    return max(sorted(total), key=lambda seed: (round(total[seed], 9), -seed))
