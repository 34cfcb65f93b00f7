"""How much better a variant explains pairs that it has not seen than a Gaussian does: what variants and numbers of codes are chosen by."""

from shiftscope.metrics.base import Metric

HELD_OUT_GAIN = Metric(
    "held_out_gain", "held-out gain",
    "Log-likelihood of training pairs that were left out over that of a Gaussian of equal second moment, in nats per pair; no label "
    "enters.",
    "setting", higher_is_better=True,
)  # fmt: skip
HELD_OUT_GAIN_ERROR = Metric(
    "held_out_gain_error", "its standard error", "Standard error of the held-out gain over groups of pairs.", "setting",
)  # fmt: skip
