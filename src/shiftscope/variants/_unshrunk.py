"""Undoing what a penalty does to the length of codes."""

import numpy as np


def unshrunk(encoder: np.ndarray, decoder: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """`encoder` `[k, d]` times the one number with which codes of `shifts` `[n, d]` reconstruct them best (least squares)."""
    outputs = shifts @ encoder.T @ decoder
    return encoder * ((shifts * outputs).sum() / max(np.square(outputs).sum(), np.finfo(float).tiny))
