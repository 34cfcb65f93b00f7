"""How pairs are split by group, so that no group is on both sides, and turned round.

Pairs have a before and an after, and training sees it (`orientation: given`): it tells what all pairs share from noise.
Held-out pairs are turned at random, for every method alike, so that no score comes from a constant.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.pairs.base import Pair, PairDataset


def shuffled(items: Iterable[Any], generator: random.Random) -> list[Any]:
    """The items in a random order that only depends on `generator` and their number.

    Sorts by `random()`, the one method whose numbers Python promises to keep from version to version.
    """
    return [item for _, _, item in sorted((generator.random(), place, item) for place, item in enumerate(items))]


def held_out_groups(groups: Iterable[int], share: float, seed: int) -> set[int]:
    """A random `share` of the distinct groups, at least one, and at least one left for training.

    Raises:
        ShiftScopeError: there are fewer than two groups.
    """
    distinct = sorted(set(groups))
    if len(distinct) < 2:
        raise ShiftScopeError(
            "all pairs belong to one group, so none can be held out: "
            "give a `group` column with two or more values, or pairs that do not all share a text"
        )
    count = min(max(int(share * len(distinct) + 0.5), 1), len(distinct) - 1)
    return set(shuffled(distinct, random.Random(f"held out {seed}"))[:count])


def linked(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """A group for every pair of texts: pairs that share a text, even through others, are of one."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    node = {text: number for number, text in enumerate(dict.fromkeys(text for two in pairs for text in two))}
    first, second = np.array([[node[text] for text in two] for two in pairs]).T
    edges = coo_array((np.ones(len(pairs)), (first, second)), shape=(len(node), len(node)))
    component = connected_components(edges, directed=False)[1]
    return [int(group) for group in component[first]]


def held_out_rows(groups: Sequence[int], share: float, generator: random.Random, what: str) -> set[int]:
    """Groups that together have as near to `share` of the rows as groups allow: some row is held out, and some is not.

    Groups may be of very different sizes, so that a share of the groups would not be one of the rows. Which ones is drawn:
    every number of rows is made up of those that come first in a random order.

    Raises:
        ShiftScopeError: there are fewer than two groups; `what` names what they are of.
    """
    sizes = Counter(groups)
    if len(sizes) < 2:
        raise ShiftScopeError(
            f"{what}: its pairs are linked by texts that they share, so none can be held out: add others"
        )
    made: dict[int, tuple[int, ...]] = {0: ()}
    for group in shuffled(sorted(sizes), generator):
        for rows, chosen in list(made.items()):
            made.setdefault(rows + sizes[group], (*chosen, group))
    possible = (rows for rows in made if 0 < rows < len(groups))
    return set(made[min(possible, key=lambda rows: (abs(rows - share * len(groups)), rows))])


def turn_half(pairs: Sequence[Pair], steering: str | None, seed: int, stream: str) -> list[Pair]:
    """Turn a random half of the pairs round, half of those of each single concept; `stream` names the draw."""
    generator = random.Random(f"orientation {stream} {seed}")
    places: dict[int, list[int]] = {}
    for place, pair in enumerate(pairs):
        places.setdefault(pair.single_change(steering)[0], []).append(place)
    turned = set()
    for concept in sorted(places):
        # an odd number of pairs cannot be halved: the draw decides which side gets the odd one
        first = int(generator.random() < 0.5)
        turned.update(shuffled(places[concept], generator)[first::2])
    return [pair.turned() if place in turned else pair for place, pair in enumerate(pairs)]


def in_named_direction(pairs: Iterable[Pair], steering: str | None) -> list[Pair]:
    """The pairs in which exactly one concept changes, each turned so that it changes with sign +1."""
    signed = ((pair, pair.single_change(steering)[1]) for pair in pairs)
    return [pair if sign > 0 else pair.turned() for pair, sign in signed if sign]


def split_by_group(
    pairs: Sequence[Pair],
    dataset: PairDataset,
    steering: str | None = None,
    both_ways: bool = False,
    held_out: Set[int] | None = None,
) -> dict[str, list[Pair]]:
    """Split the pairs by their groups: `train`, `test` (held out) and `single` (held out, one concept changes).

    `pairs` holds each pair once, and so do training pairs, unless their orientation is to be random. Pairs that are
    turned at random stand both ways instead if `both_ways`. `held_out` are the groups to hold out, if not a random share.
    """
    if held_out is None:
        held_out = held_out_groups((pair.group for pair in pairs), dataset.held_out, dataset.seed)
    sides = {
        "train": [pair for pair in pairs if pair.group not in held_out],
        "test": [pair for pair in pairs if pair.group in held_out],
    }
    single = in_named_direction(sides["test"], steering)
    for name, side in sides.items():
        if name == "train" and dataset.orientation == "given":
            continue
        if both_ways:
            sides[name] = [way for pair in side for way in (pair, pair.turned())]
        else:
            sides[name] = turn_half(side, steering, dataset.seed, name)
    return {**sides, "single": single}
