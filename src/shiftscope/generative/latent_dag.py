"""Worlds of a few binary concepts in a random DAG, seen as bits: the simulations of paper B, with everything computed exactly.

Concepts c ∈ {0, 1}^n are drawn along a DAG, each by a Bernoulli law given its parents (Sec. 6, G.1). The 2^n joint states are
permuted at random and each permutation is written as n bits again; what is observed are single bits of such permutations. So
a bit is a set of half of the states, drawn at random, and the map from concepts to bits is deterministic. Whether it can be
inverted depends on how many bits are seen. One of them is masked and predicted from the others: such a context is a set of
states that look alike, so the best possible accuracies are sums over 2^n states.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from shiftscope.errors import ShiftScopeError

GRAPH = re.compile(r"chain|er([1-9]\d*)")
LAW = (0.2, 0.8)
"""between these are the parameters of the Bernoulli laws (G.1)"""
MOST_CONCEPTS = 12
"""4096 joint states, which are enumerated"""


@dataclass(frozen=True)
class LatentDag:
    """A world: its graph, the law of its joint states, and what is observed of them."""

    parents: tuple[tuple[int, ...], ...]
    """of each concept, among those before it"""
    states: np.ndarray
    """bool `[2^n, n]`: every joint state, concept 0 the slowest"""
    prior: np.ndarray
    """their probabilities `[2^n]`"""
    bits: np.ndarray
    """bool `[m, 2^n]`: each observed bit in each state"""

    def table(self, width: int) -> np.ndarray:
        """The bits of every state, float32 `[2^n, width]`, with zeros behind the last bit."""
        table = np.zeros((len(self.prior), width), np.float32)
        table[:, : len(self.bits)] = self.bits.T
        return table

    def contexts(self, masked: int) -> np.ndarray:
        """What is seen while a bit is masked, as numbers `[2^n]`: states that agree in all other bits have one."""
        return np.unique(np.delete(self.bits, masked, 0).T, axis=0, return_inverse=True)[1].reshape(-1)

    def posterior(self, masked: int) -> np.ndarray:
        """p(state | the bits but one) `[2^n, 2^n]`: row s is what is known in state s, which must be possible."""
        context = self.contexts(masked)
        joint = (context[:, None] == context) * self.prior
        return joint / joint.sum(1, keepdims=True)

    def error_of_inversion(self) -> float:
        """ε of Definition 2.1, E[1 - max over c of p(c | context)], the masked bit drawn at random: how far the best guess errs."""
        best = 0.0
        for masked in range(len(self.bits)):
            context = self.contexts(masked)
            most = np.zeros(context.max() + 1)
            np.maximum.at(most, context, self.prior)
            best += most.sum()
        return 1 - best / len(self.bits)

    def best_accuracy(self) -> np.ndarray:
        """By concept `[n]` the accuracy of the Bayes rule given a context, which no classifier exceeds."""
        best = np.zeros(self.states.shape[1])
        for masked in range(len(self.bits)):
            context = self.contexts(masked)
            for concept, value in enumerate(self.states.T):
                true, false = (np.bincount(context, self.prior * which) for which in (value, ~value))
                best[concept] += np.maximum(true, false).sum()
        return best / len(self.bits)

    def least_loss(self) -> float:
        """The entropy of the masked bit given its context, in nats, the masked bit drawn at random: no prediction costs less."""
        total = 0.0
        for masked, bit in enumerate(self.bits):
            context = self.contexts(masked)
            both = np.stack([np.bincount(context, self.prior * which) for which in (bit, ~bit)])
            share = np.divide(both, both.sum(0), out=np.ones_like(both), where=both > 0)
            total -= float((both * np.log(share)).sum())
        return total / len(self.bits)

    def majority(self) -> np.ndarray:
        """By concept `[n]` the accuracy of its more frequent value: chance."""
        true = self.prior @ self.states
        return np.maximum(true, 1 - true)


def joint_states(n_concepts: int) -> np.ndarray:
    """Every joint state of n binary concepts, bool `[2^n, n]`, concept 0 the slowest."""
    return (np.arange(2**n_concepts)[:, None] >> np.arange(n_concepts)[::-1] & 1).astype(bool)


def draw(graph: str, n_concepts: int, n_observed: int, generator: np.random.Generator) -> LatentDag:
    """A world at random.

    Args:
        graph: `chain`, or `er2`: an Erdős–Rényi graph with 2 n expected edges, as far as n concepts have so many (every pair has
            one with probability 2 · 2 / (n - 1), at most 1), directed from earlier concepts to later ones.
        n_concepts: n.
        n_observed: m, bits seen of a state, each of a permutation of its own.
        generator: draws graph, law and bits.

    Raises:
        ShiftScopeError: there is no such graph, there are too many concepts, or fewer bits than two.
    """
    if not GRAPH.fullmatch(graph):
        raise ShiftScopeError(f"graph {graph!r} is neither chain nor er1, er2, …")
    if not 1 <= n_concepts <= MOST_CONCEPTS:
        raise ShiftScopeError(f"{n_concepts} concepts: from 1 to {MOST_CONCEPTS} can be enumerated")
    if n_observed < 2:
        raise ShiftScopeError(
            f"{n_observed} observed bits: one is masked and predicted from the others, so there are 2 at least"
        )
    parents = _parents(graph, n_concepts, generator)
    states = joint_states(n_concepts)
    prior = np.ones(len(states))
    for concept, given in enumerate(parents):
        law = generator.uniform(*LAW, 2 ** len(given))
        row = states[:, given] @ (2 ** np.arange(len(given), dtype=int)) if given else np.zeros(len(states), int)
        prior *= np.where(states[:, concept], law[row], 1 - law[row])
    bits = [states[generator.permutation(len(states)), generator.integers(n_concepts)] for _ in range(n_observed)]
    return LatentDag(parents, states, prior, np.stack(bits))


def _parents(graph: str, n: int, generator: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    if graph == "chain":
        return tuple((concept - 1,) if concept else () for concept in range(n))
    share = min(1.0, 2 * int(graph[2:]) / max(1, n - 1))
    linked = generator.random((n, n)) < share
    return tuple(tuple(np.flatnonzero(linked[concept, :concept]).tolist()) for concept in range(n))
