"""Rows of what sparse autoencoders of activations explain of held-out tokens: one pass for all models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Row, Trained, described, scored_codes, step_of
from shiftscope.metrics import dictionary
from shiftscope.metrics.dictionary import Reconstruction

PATHS = {dictionary.SPARSE_SHARE: "sparse_share", dictionary.COLLAPSED: "collapsed"}
"""what training knows of an autoencoder of two paths, by metric: the name of the fact"""


def token_rows(trained: list[Trained], batches: Iterable[np.ndarray]) -> Iterator[Row]:
    """Error, L0 and dead latents of every model of every variant, on batches of held-out activations `[n, d]`.

    As in `shiftscope.evaluation.pcc.sae_rows`, models on the way have their `step`, and those before it are a control.
    Of an autoencoder of two paths also those of each path alone, and what its training knows of them.

    Raises:
        ShiftScopeError: there is no batch.
    """
    models = [(one, model) for one in trained for model in one.models]
    counts: dict[tuple[int, int], tuple[Row, Reconstruction]] = {}
    for batch in batches:
        for number, (one, model) in enumerate(models):
            for path, scored in enumerate(scored_codes(one, model, batch)):
                about = scored.described | step_of(one, model)
                counts.setdefault((number, path), (about, Reconstruction()))[1].add(batch, scored.codes, scored.outputs)
    if not counts:
        raise ShiftScopeError("there are no held-out tokens to measure on: set `held_out` of the activations above 0")
    for (number, path), (row, counted) in counts.items():
        values = {
            dictionary.FVU: counted.fvu,
            dictionary.MSE: counted.mse,
            dictionary.ACTIVE_LATENTS: counted.l0,
            dictionary.DEAD_LATENTS: float(counted.dead.sum()),
            dictionary.DEAD_SHARE: float(counted.dead.mean()),
        }
        if (number, path + 1) in counts and not path:  # a sum, whose first path is the sparse one
            values[dictionary.ACTIVE_SPARSE] = counts[number, 1][1].l0
        yield from (row | {"split": "test", "metric": metric.name, "value": value} for metric, value in values.items())
    for one, model in models:
        row = described(one, model) | step_of(one, model) | {"split": "train"}
        yield from (
            row | {"metric": metric.name, "value": model.facts[fact]}
            for metric, fact in PATHS.items()
            if model.facts.get(fact) is not None
        )
