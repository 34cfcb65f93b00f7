"""Rows of what sparse autoencoders of activations explain of held-out tokens: one pass for all models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Row, Trained, described
from shiftscope.evaluation.pcc import step_of
from shiftscope.metrics import dictionary
from shiftscope.metrics.dictionary import Reconstruction
from shiftscope.variants.base import decode

PATHS = {
    dictionary.ACTIVE_SPARSE: "l0_sparse", dictionary.SPARSE_SHARE: "sparse_share", dictionary.COLLAPSED: "collapsed",
}  # fmt: skip
"""what training knows of an autoencoder of two paths, by metric: the name of the fact"""


def token_rows(trained: list[Trained], batches: Iterable[np.ndarray]) -> Iterator[Row]:
    """Error, L0 and dead latents of every model of every variant, on batches of held-out activations `[n, d]`.

    As in `shiftscope.evaluation.pcc.sae_rows`, models on the way have their `step`, and those before it are a control.
    Of an autoencoder of two paths also what its training knows of each.

    Raises:
        ShiftScopeError: there is no batch.
    """
    models = [(one, model, Reconstruction()) for one in trained for model in one.models]
    empty = True
    for batch in batches:
        empty = False
        for one, model, counted in models:
            codes = one.variant.encode(model.arrays, batch)
            counted.add(batch, codes, decode(model.arrays, codes))
    if empty:
        raise ShiftScopeError("there are no held-out tokens to measure on: set `held_out` of the activations above 0")
    for one, model, counted in models:
        values = {
            dictionary.FVU: counted.fvu,
            dictionary.MSE: counted.mse,
            dictionary.ACTIVE_LATENTS: counted.l0,
            dictionary.DEAD_LATENTS: float(counted.dead.sum()),
            dictionary.DEAD_SHARE: float(counted.dead.mean()),
        }
        row = described(one, model) | step_of(one, model)
        yield from (row | {"split": "test", "metric": metric.name, "value": value} for metric, value in values.items())
        for metric, fact in PATHS.items():
            if model.facts.get(fact) is not None:
                yield row | {"split": "train", "metric": metric.name, "value": model.facts[fact]}
