"""Whether pairs share a shift at all, tested by flipping signs: if they do not, turned round they are as likely."""

import numpy as np


def significance(shifts: np.ndarray, group: np.ndarray, flips: int, seed: int = 0) -> float:
    """p-value of the hypothesis that shifts are as likely as their mirror images, by flipping the signs of whole groups.

    The statistic is the mean's length in units of the uncentred second moment, shrunk to a tenth of its mean variance, which
    no flip changes.

    Args:
        shifts: δz `[n, d]`; `group` `[n]` says which are flipped together.
        group: see `shifts`.
        flips: how many random flips; the smallest p-value is 1 / (flips + 1).
        seed: of the flips.
    """
    moment = shifts.T @ shifts / len(shifts)
    values, vectors = np.linalg.eigh(moment)
    shrunk = values.clip(0) + 0.1 * max(float(values.mean()), np.finfo(float).tiny)
    sums = np.zeros((group.max() + 1, len(values)))
    np.add.at(sums, group, shifts @ (vectors / np.sqrt(shrunk)))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (flips, len(sums)))
    seen = np.square(sums.sum(0)).sum()
    drawn = np.square(signs @ sums).sum(1)
    return float((1 + (drawn >= seen * (1 - 1e-12)).sum()) / (1 + flips))
