"""Steering vectors as a file that any tool can open: one named vector `[d]` per concept, ready to be added."""

from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
from scipy.optimize import linear_sum_assignment

from shiftscope import kinds
from shiftscope.files import read_json, read_tensors, sha256_of, write_json, write_tensors
from shiftscope.kinds import Strict
from shiftscope.metrics.correlation import signed_correlation
from shiftscope.metrics.udr import agreements, medoid, udr_of
from shiftscope.models import BlockFacts, Model
from shiftscope.pair_embeddings import PairEmbeddings, training_pairs
from shiftscope.variants._sign_flips import significance
from shiftscope.variants.base import Arrays, Variant, codes_of
from shiftscope.vocabulary import SHARED, SIGNIFICANT

FLIPS = 999
"""of signs, in the test of whether pairs share anything"""
SAMPLE = 64
"""held-out pairs of a vector that are named"""
HARDLY = 0.02
"""a code whose typical length is a smaller share of the median shift is dead"""
NAMED = 0.5
"""a code takes a concept's name if its correlation with it on held-out pairs is at least this"""
FEWEST_NAMED = 10
"""held-out pairs below which no code takes a name"""
PERMUTATIONS, CHANCE = 199, 0.05
"""of labels among held-out pairs, and the largest p-value at which a code takes a name: some code always follows a little"""


class ExportSlice(Strict):
    """The slice of the config of an export."""

    variants: list[str]
    """in the order of the files that are written"""


class HeldOutPairs(TypedDict):
    """The held-out pairs that carry a vector, by the same measure as training pairs do, each the way it was given."""

    pairs: int
    forward: float | None
    """the share of these whose shift goes its way"""
    rows: list[int]
    """a random sample of those that do, places among the held-out pairs"""


class VectorFacts(TypedDict):
    """The metadata of exported vectors (docs/steering-vectors.md); its file beside them has the digests of both files, too."""

    lm: str
    layer: str
    token: str
    dataset: str
    template: str
    codes: int
    variant: str
    kind: str
    setting: dict[str, Any]
    seed: int
    udr: float | None
    embeddings_sha256: str
    names: list[str]
    scales: dict[str, float]
    correlations: dict[str, float]
    pairs: dict[str, int]
    forward: dict[str, float]
    held_out: dict[str, HeldOutPairs]
    recommended: NotRequired[str]
    sha256: NotRequired[str]
    others_sha256: NotRequired[str]


def export_vectors(
    data: PairEmbeddings,
    facts: BlockFacts,
    models: list[Model],
    setting: int,
    vectors: Path,
    others: Path,
    about: Path,
    why: str = "",
) -> None:
    """Write the medoid seed of a setting (the one that UDR chose) to `vectors`, and its other seeds to `others`, names prefixed `seed_3.`.

    A vector is a unit decoder direction times its scale, the typical length of the shift along it, so that adding it
    once to an activation makes one typical shift. Metadata, which `about` repeats: names, scales, layer, and where the
    vectors come from. Of the variant that is recommended, for a reason `why`, what all pairs share is exported first.
    """
    variant = kinds.load("variants", facts["kind"])
    models = sorted((model for model in models if model.setting == setting), key=lambda model: model[:3])
    pairs = agreements(models)
    chosen = [model for model in models if model.data_seed == 0]
    central = medoid(chosen, [pair for pair in pairs if pair.data_seed == 0])
    origin = {
        "lm": facts["lm"],
        "layer": data.facts["layer"],
        "token": data.facts["token"],
        "dataset": facts["dataset"],
        "template": data.facts["template"],
        "codes": facts["codes"],
        "variant": facts["variant"],
        "kind": facts["kind"],
        "setting": facts["settings"][setting],
        "udr": udr_of(pairs, setting),
        "embeddings_sha256": data.facts["sha256"],
    }
    by_seed = {model.seed: named_vectors(data, variant, model.arrays) for model in chosen}
    best = by_seed.pop(central)
    if why and facts["codes"] > 1 and data.facts["orientation"] == "given":
        shared = shared_vector(data)
        best = [*([shared] if shared and SHARED not in [one.name for one in best] else []), *best]
    metadata = VectorFacts(**origin, **described(best), seed=central) | ({"recommended": why} if why else {})
    write_tensors(vectors, {one.name: one.vector for one in best}, metadata)
    rest = {f"seed_{seed}.{one.name}": one.vector for seed, found in by_seed.items() for one in found}
    write_tensors(others, rest, origin | {"seeds": sorted(by_seed)})
    write_json(about, metadata | {"sha256": sha256_of(vectors), "others_sha256": sha256_of(others)})


def read_about(path: Path) -> VectorFacts:
    """What the file beside exported vectors says of them."""
    return read_json(path)


def read_vectors(path: Path) -> dict[str, np.ndarray]:
    """Vectors `[d]` by name, of either file."""
    return read_tensors(path)[0]


def read_others(path: Path) -> tuple[dict[str, np.ndarray], list[int]]:
    """The vectors `[d]` of other seeds, called `seed_3.name`, and which seeds these are: one may have none."""
    arrays, about = read_tensors(path)
    return arrays, about.get("seeds", [])


class Vector(NamedTuple):
    """One exported vector `[d]`, and what it rests on."""

    name: str
    vector: np.ndarray
    correlation: float | None
    """of its code with the concept that it is named after, on held-out pairs"""
    pairs: int
    """training pairs that carry it"""
    forward: float
    """the share of these whose shift goes its way"""
    held_out: HeldOutPairs


def described(found: list[Vector]) -> dict[str, Any]:
    """Names, scales (norms), the correlation behind each name and the pairs behind each vector, for the metadata."""
    return {
        "names": [one.name for one in found],
        "scales": {one.name: float(np.linalg.norm(one.vector)) for one in found},
        "correlations": {one.name: one.correlation for one in found if one.correlation is not None},
        "pairs": {one.name: one.pairs for one in found},
        "forward": {one.name: one.forward for one in found},
        "held_out": {one.name: one.held_out for one in found},
    }


def named_vectors(data: PairEmbeddings, variant: type[Variant], arrays: Arrays) -> list[Vector]:
    """The vector of every live code that some training pairs carry.

    A code takes the name and the sign of the true concept that it follows best on held-out pairs, if it does and the
    truth is known. Else it is called `code_{index}`, or as its variant says, and goes where most pairs that carry it go, from
    their first text to their second; of pairs that were turned at random its sign is arbitrary, as identifiability has it.
    """
    names = concept_names(data, codes_of(variant, arrays, *data.sides(0, "test")))
    used = {one.code: one for one in usages(variant, arrays, *data.training_sides(0))}
    held_out = shift_codes(variant, arrays, *data.sides_as_given(0, "test"))
    found = []
    for index in np.flatnonzero(arrays["alive"]):
        if index not in used:
            continue
        usage = used[index]
        name, correlation = names.get(int(index), (variant.vector_name or f"code_{index}", None))
        sign = np.sign(correlation) if correlation else (1.0 if usage.forward >= 0.5 else -1.0)
        forward = usage.forward if sign > 0 else 1 - usage.forward
        vector = (arrays["decoder"][index] * sign * usage.length).astype(np.float32)
        code = held_out[:, index] * sign
        carried = _held_out(np.abs(code) >= usage.least, code > 0)
        found.append(Vector(name, vector, correlation and abs(correlation), usage.pairs, forward, carried))
    return found


def _held_out(carry: np.ndarray, forward: np.ndarray) -> HeldOutPairs:
    """Of the held-out pairs which carry a vector, and which go its way, bool `[n]` each."""
    rows = np.random.default_rng(0).permutation(np.flatnonzero(carry & forward))[:SAMPLE]
    share = float(forward[carry].mean()) if carry.any() else None
    return HeldOutPairs(pairs=int(carry.sum()), forward=share, rows=sorted(map(int, rows)))


def shared_vector(data: PairEmbeddings) -> Vector | None:
    """The mean shift of the training pairs, as long as their median projection on it; None if they share none.

    That they do is tested by flipping signs (`shiftscope.variants._sign_flips`).
    """
    pairs = training_pairs(data, 0)
    shifts = pairs.shifts.astype(np.float64)
    if significance(shifts, pairs.component, FLIPS) > SIGNIFICANT:
        return None
    mean = shifts.mean(0)
    projections = shifts @ mean / np.linalg.norm(mean)
    vector = (mean / np.linalg.norm(mean) * np.median(projections)).astype(np.float32)
    before, after = data.sides_as_given(0, "test")
    forward = (after - before) @ mean > 0
    every = np.ones(len(forward), bool)
    held_out = _held_out(every, every) | {"forward": float(forward.mean()) if len(forward) else None}
    return Vector(SHARED, vector, None, len(shifts), float((projections > 0).mean()), HeldOutPairs(**held_out))


class Usage(NamedTuple):
    """How training pairs use a code: how many carry it, the share whose code is positive, and the length of its vector."""

    code: int
    pairs: int
    forward: float
    length: float
    least: float
    """the absolute code, in units of shifts, from which on a pair carries it"""


def shift_codes(variant: type[Variant], arrays: Arrays, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Codes `[n, k]` of pairs of embeddings `[n, d]` in units of their shifts, counted from the code of no shift."""
    shifts = (after - before).astype(np.float64)
    goal = np.linalg.norm(variant.target(arrays, shifts), axis=1)
    unit = np.linalg.norm(shifts, axis=1) / np.where(goal > 0, goal, np.inf)
    none = np.zeros_like(before[:1])
    codes = codes_of(variant, arrays, before, after) - codes_of(variant, arrays, none, none)
    return codes.astype(np.float64) * unit[:, None]


def usages(variant: type[Variant], arrays: Arrays, before: np.ndarray, after: np.ndarray) -> list[Usage]:
    """How pairs of embeddings `[n, d]` use each code that is not dead.

    A code counts from that of no shift, since a bias may hide what all pairs share. A pair carries a code that is at
    least half as large as is typical of it, the mean of |c| weighted by its energy. The
    length is the median, over pairs that carry it, of the shift's own projection on the unit direction, turned as the code
    says: so adding the vector once makes one typical shift, whatever units codes have, and a few odd pairs do not matter. A
    code whose shifts are hardly any share of the typical shift, or go against its direction, has no vector.
    """
    shifts, codes = (after - before).astype(np.float64), shift_codes(variant, arrays, before, after)
    typical_shift = np.median(np.linalg.norm(shifts, axis=1))
    projections = shifts @ arrays["decoder"].T.astype(np.float64)
    found = []
    for index, (code, projection) in enumerate(zip(codes.T, projections.T, strict=True)):
        energy = np.square(code).sum()
        typical = (np.abs(code) ** 3).sum() / energy if energy > 0 else 0.0
        if typical <= HARDLY * typical_shift:
            continue
        carries = np.abs(code) >= typical / 2
        length = float(np.median(projection[carries] * np.sign(code[carries])))
        if length > 0:
            found.append(Usage(index, int(carries.sum()), float((code[carries] > 0).mean()), length, typical / 2))
    return found


def concept_names(data: PairEmbeddings, codes: np.ndarray) -> dict[int, tuple[str, float]]:
    """Which code `[n, k]` follows which concept of the primary truth: code → (name, signed correlation).

    On enough held-out pairs, clearly, and more than the best code follows permuted labels of the concept.
    """
    primary = data.facts["primary_truth"]
    if primary is None or len(codes) < FEWEST_NAMED:
        return {}
    truth = data.truths[primary][0, data.rows("test")]
    correlation = signed_correlation(codes, truth)
    names = data.facts["truths"][primary]
    matched = list(zip(*linear_sum_assignment(np.abs(correlation), maximize=True), strict=True))
    clear = [(code, concept) for code, concept in matched if abs(correlation[code, concept]) >= NAMED]
    if not clear:
        return {}
    draws = np.random.default_rng(0)
    chance = np.stack([np.abs(signed_correlation(codes, draws.permutation(truth))).max(0) for _ in range(PERMUTATIONS)])
    return {
        int(code): (names[concept], float(correlation[code, concept]))
        for code, concept in clear
        if (1 + (chance[:, concept] >= abs(correlation[code, concept])).sum()) / (1 + PERMUTATIONS) <= CHANCE
    }
