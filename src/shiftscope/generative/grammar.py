"""Grammars whose concepts are known: sampling, the exact posterior and the exact next-word law from one object.

A grammar is a set of concepts and a node, the document. A node is

    "word"              one word
    (node, node, …)     one after the other; () is nothing
    choice(…)           one of several, by weight; the choice has no name and is remembered by nothing
    case(concept, …)    the one that belongs to the concept's value in this document

A concept is drawn, by its law given its parents, when a document first needs it and keeps its value to the end. So the
same object answers forwards (`sample`) and backwards: `beliefs` are the derivations that a prefix leaves possible,
`posterior` what they say of concepts, jointly, and `next_words` what they say of the next word. Nothing is estimated.
"""

import bisect
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shiftscope.errors import ShiftScopeError

END = ""
"""stands for the end of the document where a word could stand"""


class Choice(NamedTuple):
    """One of `nodes`, drawn by `weights`, which need not sum to 1."""

    weights: tuple[float, ...]
    nodes: tuple[Any, ...]


class Case(NamedTuple):
    """The node that belongs to the value of a concept: pairs of value and node."""

    concept: str
    nodes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Concept:
    """A variable of the grammar: its values, and their probabilities given the values of its parents."""

    values: tuple[str, ...]
    law: Mapping[tuple[str, ...], tuple[float, ...]]
    """weights of `values` for each tuple of the parents' values; without parents the one key is ()"""
    parents: tuple[str, ...] = ()


def choice(options: Iterable[Any] | Mapping[Any, float]) -> Any:
    """One of the options: equally likely, or by the weights of a mapping from node to weight."""
    if isinstance(options, Mapping):
        return Choice(tuple(options.values()), tuple(options))
    nodes = tuple(options)
    return Choice((1.0,) * len(nodes), nodes)


def case(concept: str, nodes: Mapping[str, Any]) -> Case:
    """The node that belongs to the concept's value in this document."""
    return Case(concept, tuple(nodes.items()))


def words(text: str) -> tuple[str, ...]:
    """The words of a text, one after the other."""
    return tuple(text.split())


State = tuple[tuple[int, ...], tuple]
"""a derivation that is under way: the values of the concepts (-1: not drawn), and a linked list of what is to come"""
Beliefs = dict[State, float]


@dataclass(frozen=True)
class Grammar:
    """Concepts, parents before their children, and the document.

    Raises:
        ShiftScopeError: a node or a law does not fit the concepts; names it.
    """

    concepts: Mapping[str, Concept]
    document: Any
    _nodes: list[tuple[str, Any]] = field(default_factory=list, init=False, repr=False)
    _number: dict[Any, int] = field(default_factory=dict, init=False, repr=False)
    _place: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _shares: dict[str, dict[tuple, tuple[float, ...]]] = field(default_factory=dict, init=False, repr=False)
    _limits: dict[Any, list[float]] = field(default_factory=dict, init=False, repr=False)
    _steps: dict[State, dict[str, list[tuple[State, float]]]] = field(default_factory=dict, init=False, repr=False)
    _root: list[int] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        for place, (name, concept) in enumerate(self.concepts.items()):
            unknown = set(concept.parents) - set(self._place)
            if unknown:
                raise ShiftScopeError(f"concept {name}: its parent {min(unknown)!r} must stand before it")
            wanted = set(itertools.product(*(self.concepts[parent].values for parent in concept.parents)))
            if set(concept.law) != wanted:
                raise ShiftScopeError(f"concept {name}: its law must have a key for each of {sorted(wanted)}")
            if any(len(one) != len(concept.values) or min(one) < 0 or not any(one) for one in concept.law.values()):
                raise ShiftScopeError(f"concept {name}: each row of its law needs {len(concept.values)} weights ≥ 0")
            self._place[name] = place
            self._shares[name] = {given: _normalised(weights) for given, weights in concept.law.items()}
            self._limits.update({(name, given): _limits(shares) for given, shares in self._shares[name].items()})
        self._root.append(self._compile(self.document))

    def _compile(self, node: Any) -> int:
        """The number of a node; equal nodes have one number."""
        if isinstance(node, str):
            key = ("word", node)
        elif isinstance(node, Choice):
            if not node.nodes or len(node.weights) != len(node.nodes) or min(node.weights) <= 0:
                raise ShiftScopeError("a choice needs at least one node and a weight > 0 for each")
            shares = _normalised(node.weights)
            key = ("choice", (shares, tuple(map(self._compile, node.nodes))))
        elif isinstance(node, Case):
            if node.concept not in self._place:
                raise ShiftScopeError(f"a case needs the concept {node.concept!r}, which the grammar does not have")
            values = self.concepts[node.concept].values
            nodes = dict(node.nodes)
            if set(nodes) != set(values):
                raise ShiftScopeError(f"a case of {node.concept} must have a node for each of {', '.join(values)}")
            key = ("case", (self._place[node.concept], tuple(self._compile(nodes[value]) for value in values)))
        else:
            key = ("all", tuple(self._compile(part) for part in node))
        if key not in self._number:
            self._number[key] = len(self._nodes)
            self._nodes.append(key)
            if key[0] == "choice":
                self._limits[self._number[key]] = _limits(key[1][0])
        return self._number[key]

    def vocabulary(self) -> list[str]:
        """Every word of the grammar, sorted."""
        return sorted({value for kind, value in self._nodes if kind == "word"})

    # --- forwards

    def sample(
        self, generator: random.Random, given: Mapping[str, str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """Draw a document: its words, and the value of every concept.

        `given` fixes concepts. Two calls with generators in the same state and other values of a concept draw
        documents that differ as little as the grammar lets them.
        """
        bound = [-1] * len(self.concepts)
        for name, value in (given or {}).items():
            bound[self._place[name]] = self.concepts[name].values.index(value)
        text: list[str] = []
        self._draw(self._root[0], bound, text, generator)
        for name in self.concepts:
            self._bind(name, bound, generator)
        names = zip(self.concepts.items(), bound, strict=True)
        return text, {name: concept.values[number] for (name, concept), number in names}

    def _draw(self, number: int, bound: list[int], text: list[str], generator: random.Random) -> None:
        kind, value = self._nodes[number]
        if kind == "word":
            text.append(value)
        elif kind == "all":
            for part in value:
                self._draw(part, bound, text, generator)
        elif kind == "choice":
            self._draw(value[1][_drawn(self._limits[number], generator)], bound, text, generator)
        else:
            place, parts = value
            if bound[place] < 0:
                self._bind(list(self.concepts)[place], bound, generator)
            self._draw(parts[bound[place]], bound, text, generator)

    def _bind(self, name: str, bound: list[int], generator: random.Random) -> None:
        if bound[self._place[name]] >= 0:
            return
        for parent in self.concepts[name].parents:
            self._bind(parent, bound, generator)
        bound[self._place[name]] = _drawn(self._limits[name, self._given(name, bound)], generator)

    def _given(self, name: str, bound: Sequence[int]) -> tuple[str, ...]:
        """The values of a concept's parents, which are bound."""
        parents = self.concepts[name].parents
        return tuple(self.concepts[parent].values[bound[self._place[parent]]] for parent in parents)

    # --- backwards

    def beliefs(self, prefix: Sequence[str]) -> Beliefs:
        """The derivations that begin with `prefix`, with their probabilities given it.

        Raises:
            ShiftScopeError: no document begins so; names the first word that cannot stand there.
        """
        now = self._start()
        for place, word in enumerate(prefix):
            now, share = self._read(now, word)
            if not share:
                raise ShiftScopeError(f"no document of the grammar has {word!r} after {' '.join(prefix[:place])!r}")
        return now

    def log_probability(self, words: Sequence[str], given: Sequence[str] = ()) -> float:
        """The exact log-probability, in nats, of going on with `words` after `given`; -inf where no document does.

        `END` as the last word is the end of the document.

        Raises:
            ShiftScopeError: no document begins with `given`.
        """
        now, total = self.beliefs(given), 0.0
        for word in words:
            now, share = self._read(now, word)
            if not share:
                return -math.inf
            total += math.log(share)
        return total

    def _start(self) -> Beliefs:
        return {((-1,) * len(self.concepts), (self._root[0], ())): 1.0}

    def _read(self, now: Beliefs, word: str) -> tuple[Beliefs, float]:
        """What is believed after one more word, and the word's probability, 0 if it cannot stand there."""
        following: Beliefs = {}
        for state, weight in now.items():
            for after, share in self._after(state).get(word, ()):
                following[after] = following.get(after, 0.0) + weight * share
        total = sum(following.values())
        return {state: weight / total for state, weight in following.items()} if total else {}, total

    def next_words(self, prefix: Sequence[str] | Beliefs) -> dict[str, float]:
        """The exact law of the word after a prefix (or after what is believed); `END` is the end of the document."""
        law: dict[str, float] = {}
        for state, weight in (prefix if isinstance(prefix, dict) else self.beliefs(prefix)).items():
            for word, ways in self._after(state).items():
                law[word] = law.get(word, 0.0) + weight * sum(share for _, share in ways)
        return law

    def posterior(self, prefix: Sequence[str] | Beliefs, concepts: Sequence[str]) -> dict[tuple[str, ...], float]:
        """The exact joint law of concepts given a prefix (or what is believed), a probability per tuple of values."""
        law: dict[tuple[str, ...], float] = {}
        for (bound, _), weight in (prefix if isinstance(prefix, dict) else self.beliefs(prefix)).items():
            for complete, share in self._completed(bound, tuple(concepts)):
                key = tuple(self.concepts[name].values[complete[self._place[name]]] for name in concepts)
                law[key] = law.get(key, 0.0) + weight * share
        return law

    def _completed(self, bound: tuple[int, ...], names: tuple[str, ...]) -> Iterator[tuple[tuple[int, ...], float]]:
        """Every way in which the named concepts, and before them their parents, can be drawn."""
        if not names:
            yield bound, 1.0
            return
        concept, place = self.concepts[names[0]], self._place[names[0]]
        unbound = tuple(parent for parent in concept.parents if bound[self._place[parent]] < 0)
        if bound[place] >= 0:
            yield from self._completed(bound, names[1:])
            return
        if unbound:
            yield from self._completed(bound, (*unbound, *names))
            return
        law = self._shares[names[0]][self._given(names[0], bound)]
        shares = [(value, share) for value, share in enumerate(law) if share]
        for value, share in shares:
            drawn = (*bound[:place], value, *bound[place + 1 :])
            for complete, rest in self._completed(drawn, names[1:]):
                yield complete, share * rest

    def _after(self, state: State) -> dict[str, list[tuple[State, float]]]:
        """What a derivation says next, and what is then left of it; remembered, for prefixes share their beginnings."""
        if state not in self._steps:
            ways: dict[str, dict[State, float]] = {}
            for word, after, share in self._first(*state, 1.0):
                found = ways.setdefault(word, {})
                found[after] = found.get(after, 0.0) + share
            self._steps[state] = {word: list(found.items()) for word, found in ways.items()}
        return self._steps[state]

    def _first(self, bound: tuple[int, ...], rest: tuple, share: float) -> Iterator[tuple[str, State, float]]:
        if not rest:
            yield END, (bound, ()), share
            return
        number, rest = rest
        kind, value = self._nodes[number]
        if kind == "word":
            yield value, (bound, rest), share
        elif kind == "all":
            for part in reversed(value):
                rest = (part, rest)
            yield from self._first(bound, rest, share)
        elif kind == "choice":
            for weight, part in zip(*value, strict=True):
                yield from self._first(bound, (part, rest), share * weight)
        else:
            place, parts = value
            for complete, weight in self._completed(bound, (list(self.concepts)[place],)):
                yield from self._first(complete, (parts[complete[place]], rest), share * weight)


def _normalised(weights: Sequence[float]) -> tuple[float, ...]:
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def _limits(shares: Sequence[float]) -> list[float]:
    """Up to which number in [0, 1) each of several is drawn; the last that can be drawn takes what rounding leaves."""
    last = max(number for number, share in enumerate(shares) if share)
    return [*itertools.accumulate(shares[:last]), math.inf]


def _drawn(limits: Sequence[float], generator: random.Random) -> int:
    return bisect.bisect_right(limits, generator.random())
