"""Pairs that would decide alone what a model learns: their texts end in different tokens, or their shift is far too long.

The vector is read at the last token. Where nearly all pairs end in the same token on both sides, one that does not differs
by that token, mostly, and a handful of such pairs can hold most of the shifts' energy: all seeds then agree on a vector
that is theirs. They are left out of training; held-out pairs stay as they are.
"""

import math
from typing import NamedTuple

import numpy as np

ALIKE = 2 / 3
"""share of all pairs with equal last tokens from which on one with unequal ones is odd"""
LONG = 4.0
"""a shift is odd if it is longer than so many times the median of those that are not zero"""
FEW = 0.2
"""largest share of training pairs, or of all, that may be odd: more are no oddity but what the file holds, and stay"""
MOST = 0.8
"""share of the shifts' energy from which on it is said that the longest fifth of the pairs holds it, though these stay"""


class Odd(NamedTuple):
    """Which pairs are odd, bool `[n]`, by why; of pairs for training alone."""

    ends: np.ndarray
    """their last tokens differ, and those of nearly all others do not"""
    long: np.ndarray
    """their shift is more than `LONG` times as long as the median"""

    @property
    def both(self) -> np.ndarray:
        """Odd for either reason."""
        return self.ends | self.long


def odd_pairs(shifts: np.ndarray, training: np.ndarray, last_token: np.ndarray | None = None) -> Odd:
    """The odd ones among training pairs; for a reason that holds of more than a fifth of these and of all pairs, none.

    Of all, too, for where pairs are few, chance may bring a few odd ones to one side of the split.

    Args:
        shifts: δz `[n, d]` of all pairs; `training` says which are for training, bool `[n]`.
        training: see `shifts`.
        last_token: the token ids at which both texts are read `[2, n]`, if there are texts.
    """
    lengths = np.linalg.norm(shifts, axis=1)
    moved = lengths[training & (lengths > 0)]
    long = lengths > LONG * (np.median(moved) if len(moved) else np.inf)
    unequal = np.zeros(len(shifts), bool) if last_token is None else last_token[0] != last_token[1]
    ends = unequal & ((~unequal).mean() >= ALIKE)
    return Odd(*(rows & training if _few(rows, training) else np.zeros_like(rows) for rows in (ends, long)))


def _few(rows: np.ndarray, training: np.ndarray) -> bool:
    return bool(rows[training].sum() <= FEW * training.sum() or rows.sum() <= FEW * len(rows))


def warning(odd: Odd, shifts: np.ndarray, training: np.ndarray) -> str:
    """What is said of odd pairs, or of a few that hold most of the energy though they are not odd; empty if there is neither."""
    count, energy = int(odd.both.sum()), np.square(shifts, dtype=np.float64).sum(1)
    if not count:
        longest = np.sort(energy[training])[::-1]
        few = math.ceil(FEW * len(longest))
        if longest[:few].sum() < MOST * longest.sum() or not longest.any():
            return ""
        return (
            f"the longest {few} of {len(longest)} training pairs hold {longest[:few].sum() / longest.sum():.0%} of the shifts' "
            "energy, so that they decide most of what is learned: see whether they differ in what the others do"
        )
    share = energy[odd.both].sum() / energy[training].sum()
    reasons = {
        f"{int(odd.ends.sum())} end in different tokens while the others do not": odd.ends.any(),
        f"{int(odd.long.sum())} have a shift more than {LONG:g} times as long as the median": odd.long.any(),
    }
    why = " and ".join(reason for reason, holds in reasons.items() if holds)
    cure = "; with a `template` that puts the same words after every text they could stay" if odd.ends.any() else ""
    rows = ", ".join(str(row) for row in np.flatnonzero(odd.both)[:5])
    return (
        f"{count} of {int(training.sum())} training pairs are odd: {why}. They hold {share:.0%} of the shifts' energy and are "
        f"left out of training (rows {rows}{', …' if count > 5 else ''} of the pairs, counted from 0){cure}"
    )
