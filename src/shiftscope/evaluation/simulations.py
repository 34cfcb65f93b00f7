"""Rows of paper B's simulations: what probes read of concepts, beside the best possible, all weighted by the world's own law.

A context is a joint state with one of its bits masked. There are few, so scores are sums over all of them; only what a probe
is fitted on is drawn. In few contexts many random features tell everything apart, which is why the untrained network stands
beside (a variant without steps), and probes that are tried where other bits are masked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shiftscope.evaluation.base import Row, Trained, described
from shiftscope.generative.latent_dag import LatentDag
from shiftscope.metrics.posterior import POSTERIOR_R2, REPRESENTATION_R2, centred, predict
from shiftscope.metrics.probing import (
    EXCESS_LOSS,
    INVERSION_ERROR,
    SIMULATION_ACCURACY,
    SIMULATION_ACCURACY_HELDOUT,
    probe_predictions,
)
from shiftscope.models import Model
from shiftscope.simulations.base import Simulated, contexts
from shiftscope.vocabulary import SYNTHETIC

IMPOSSIBLE = 1e-3
"""added to probabilities before their logarithm: most states are impossible in most contexts"""
SAMPLES = 1000
"""contexts on which a probe is fitted; the source does not say how many it has"""
HALVES = 2
"""random halves of the contexts that look different, each a value of the scores of linearity"""
FEWEST = 24
"""contexts that look different, below which linearity is not measured"""


def evaluate(simulated: Simulated, trained: list[Trained]) -> list[Row]:
    """Rows of every network in its world, and what is known of each world without one."""
    name, most = simulated.facts["dataset"], simulated.n_observed
    rows = []
    for number, (facts, world) in enumerate(zip(simulated.facts["worlds"], simulated.worlds, strict=True)):
        dataset = f"{name}, {facts['point']}"
        base = {
            "dataset": dataset, "eval_dataset": dataset, "lm": SYNTHETIC, "layer": "", "control": "", "variant": "", "kind": "",
            "params": "{}", "selected": True, "data_seed": facts["data_seed"],
        }  # fmt: skip
        drawn = Contexts(world, most, number)
        of_world = list(world_rows(world, drawn))
        for codes in sorted({one.n_codes for one in trained}):
            rows += [base | {"codes": codes} | row for row in of_world]
        for one in trained:
            for model in (model for model in one.models if model.data_seed == number):
                about = base | described(one, model) | {"data_seed": facts["data_seed"], "control": ""}
                rows += [about | row for row in network_rows(drawn, one, model)]
    return rows


class Contexts:
    """All contexts of a world, and those that probes are fitted on."""

    def __init__(self, world: LatentDag, most_observed: int, seed: int) -> None:
        states, self.bits = len(world.prior), len(world.bits)
        self.state, self.masked = (grid.ravel() for grid in np.mgrid[:states, : self.bits])
        self.law = world.prior[self.state] / self.bits
        self.concepts = world.states[self.state]
        table = world.table(most_observed)
        self.inputs = contexts(table[self.state], self.masked)
        self.truth = table[self.state, self.masked] > 0
        self.least_loss, self.error_of_inversion = world.least_loss(), world.error_of_inversion()
        halves = np.random.default_rng(seed).permutation(self.bits) < self.bits // 2
        self.first_half = halves[self.masked]
        self.look = np.unique(self.inputs, axis=0, return_inverse=True)[1].reshape(-1)
        each = np.stack([world.posterior(bit) for bit in range(self.bits)], 1)
        self.posterior = each.reshape(-1, states) + IMPOSSIBLE

    def half(self, seed: int) -> np.ndarray:
        """Which of the contexts that look different are fitted, bool `[looks]`: half of them at random."""
        looks = self.look.max() + 1
        return np.isin(np.arange(looks), np.random.default_rng(seed).permutation(looks)[: looks // 2])

    def drawn(self, among: np.ndarray) -> np.ndarray:
        """How often each context is drawn among some of them `[contexts]`."""
        law = np.where(among, self.law, 0)
        return np.random.default_rng(0).multinomial(SAMPLES, law / law.sum())


def world_rows(world: LatentDag, drawn: Contexts) -> Iterator[Row]:
    """What no network changes: the Bayes rule, a concept's more frequent value, and probes of the exact log-posterior.

    The last is the representation of Theorem 3.1 itself. Where few bits are seen it is hard to read, too, where other bits are
    masked: each context then tells of other states.
    """
    yield from (row | {"control": "log_posterior"} for row in probe_rows(drawn, np.log(drawn.posterior)))
    yield from (
        row | {"control": "bag_of_tokens"}
        for row in linear_rows(drawn, drawn.inputs)
        if row["metric"] == POSTERIOR_R2.name
    )
    for control, values in (("bayes", world.best_accuracy()), ("majority", world.majority())):
        for metric, split in ((SIMULATION_ACCURACY, "train"), (SIMULATION_ACCURACY_HELDOUT, "test")):
            for concept, value in enumerate(values):
                yield _of_concept(concept) | {
                    "metric": metric.name, "value": float(value), "control": control, "split": split,
                }  # fmt: skip


def network_rows(drawn: Contexts, one: Trained, model: Model) -> Iterator[Row]:
    """Rows of one network: its probes, how near its prediction is to the best, and, if it was trained, its world's ε."""
    features = one.variant.encode(model.arrays, drawn.inputs)
    yield {"metric": EXCESS_LOSS.name, "value": _excess(drawn, model, features), "split": "test"}
    if model.facts["step"]:
        yield {"metric": INVERSION_ERROR.name, "value": drawn.error_of_inversion, "split": "test"}
    yield from probe_rows(drawn, features)
    yield from linear_rows(drawn, features)


def linear_rows(drawn: Contexts, features: np.ndarray) -> Iterator[Row]:
    """R² both ways between features `[contexts, d]` and the log-posterior of the joint state, held out over contexts.

    A context rules out most states, whose probability counts as `IMPOSSIBLE`.
    """
    if drawn.look.max() + 1 < FEWEST:
        return
    first, weights = np.unique(drawn.look, return_index=True)[1], np.bincount(drawn.look, drawn.law)
    target, features, slot = centred(drawn.posterior[first]), features[first], np.zeros(len(first), int)
    ways = ((POSTERIOR_R2, features, target), (REPRESENTATION_R2, target, features))
    for metric, inputs, wanted in ways:
        for half in range(HALVES):
            found = predict(inputs, wanted, drawn.half(half), slot, weights)
            if found is not None:
                yield {"metric": metric.name, "value": found.r2, "split": "test"}


def probe_rows(drawn: Contexts, features: np.ndarray) -> Iterator[Row]:
    """Accuracies of probes of representations of all contexts `[contexts, d]`, both ways."""
    everything = np.ones(len(drawn.law), bool)
    right = probe_predictions(features, drawn.concepts, drawn.drawn(everything), features) == drawn.concepts
    yield from _accuracies(SIMULATION_ACCURACY.name, "train", right, drawn.law)
    right = np.zeros_like(drawn.concepts)
    for fitted in (drawn.first_half, ~drawn.first_half):
        found = probe_predictions(features, drawn.concepts, drawn.drawn(fitted), features[~fitted])
        right[~fitted] = found == drawn.concepts[~fitted]
    yield from _accuracies(SIMULATION_ACCURACY_HELDOUT.name, "test", right, drawn.law)


def _accuracies(metric: str, split: str, right: np.ndarray, law: np.ndarray) -> Iterator[Row]:
    for concept, value in enumerate(law @ right):
        yield _of_concept(concept) | {"metric": metric, "value": float(value), "split": split}


def _of_concept(number: int) -> Row:
    return {"concept": f"concept_{number}"}


def _excess(drawn: Contexts, model: Model, features: np.ndarray) -> float:
    """The network's expected loss minus the least, not below 0 where rounding leaves it."""
    logits = features @ model.arrays["output"].T + model.arrays["output_bias"]
    most = logits.shape[1] // 2
    row = np.arange(len(logits))
    margin = (logits[row, most + drawn.masked] - logits[row, drawn.masked]) * np.where(drawn.truth, 1, -1)
    return max(0.0, float(drawn.law @ np.logaddexp(0, -margin.astype(np.float64))) - drawn.least_loss)
