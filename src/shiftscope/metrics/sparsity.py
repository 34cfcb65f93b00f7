"""What a code costs and what it explains: error, sparsity and live codes on held-out shifts."""

import math

import numpy as np

from shiftscope.metrics.base import Metric
from shiftscope.variants.base import Arrays, Variant, codes_of, decode

RECONSTRUCTION = Metric(
    "reconstruction", "error", "Relative squared error of the reconstruction of held-out pairs, turned as training pairs are.",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip
L0 = Metric("l0", "l0", "Codes above 1 % of their sample's norm, mean over held-out pairs.", "seed")
L1 = Metric("l1", "l1", "Mean absolute code over its sample's norm, mean over held-out pairs.", "seed")
LIVE_CODES = Metric("live_codes", "live_codes", "Codes that are not dead.", "seed")
VIOLATION = Metric(
    "violation", "violation", "Of the training constraint, positive if violated.", "seed", higher_is_better=False
)


def reconstruction_error(variant: type[Variant], arrays: Arrays, before: np.ndarray, after: np.ndarray) -> float:
    """‖δz - δ̂z‖² / ‖δz‖² over the shifts of all pairs `[n, d]`."""
    shifts = after - before
    output = variant.restored(arrays, decode(arrays, codes_of(variant, arrays, before, after)), shifts)
    return float(np.square(shifts - output, dtype=np.float64).sum() / np.square(shifts, dtype=np.float64).sum())


def l0(codes: np.ndarray) -> float:
    """Mean number of codes `[n, k]` above 1 % of their sample's norm."""
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    return float((np.abs(codes) > 0.01 * norms).sum(1).mean())


def l1(codes: np.ndarray) -> float:
    """Mean over samples of the mean absolute code `[n, k]`, relative to the sample's norm."""
    norms = np.linalg.norm(codes, axis=1)
    return float((np.abs(codes).mean(1) / np.where(norms > 0, norms, 1.0)).mean())
