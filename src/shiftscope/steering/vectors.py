"""Steering vectors as a file that any tool can open: one named vector `[d]` per concept, ready to be added."""

from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from scipy.optimize import linear_sum_assignment

from shiftscope import kinds
from shiftscope.files import read_json, read_tensors, sha256_of, write_json, write_tensors
from shiftscope.kinds import Strict
from shiftscope.metrics.correlation import signed_correlation
from shiftscope.metrics.udr import agreements, medoid, udr_of
from shiftscope.models import BlockFacts, Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import Arrays, Variant, codes_of

NAMED = 0.5
"""a code takes a concept's name if its correlation with it on held-out pairs is at least this"""


class ExportSlice(Strict):
    """The slice of the config of an export."""

    variants: list[str]
    """in the order of the files that are written"""


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
    sha256: NotRequired[str]
    others_sha256: NotRequired[str]


def export_vectors(
    data: PairEmbeddings, facts: BlockFacts, models: list[Model], setting: int, vectors: Path, others: Path, about: Path
) -> None:
    """Write the medoid seed of a setting (the one that UDR chose) to `vectors`, and its other seeds to `others`, names prefixed `seed_3.`.

    A vector is a unit decoder direction times its scale, the typical length of the shift along it, so that adding it
    once to an activation makes one typical shift. Metadata, which `about` repeats: names, scales, layer, and where the
    vectors come from.
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
    metadata = VectorFacts(**origin, **described(best), seed=central)
    write_tensors(vectors, {name: vector for name, vector, _ in best}, metadata)
    rest = {f"seed_{seed}.{name}": vector for seed, found in by_seed.items() for name, vector, _ in found}
    write_tensors(others, rest, origin | {"seeds": sorted(by_seed)})
    write_json(about, metadata | {"sha256": sha256_of(vectors), "others_sha256": sha256_of(others)})


def read_about(path: Path) -> VectorFacts:
    """What the file beside exported vectors says of them."""
    return read_json(path)


def read_vectors(path: Path) -> dict[str, np.ndarray]:
    """Vectors `[d]` by name, of either file."""
    return read_tensors(path)[0]


def described(found: list[tuple[str, np.ndarray, float | None]]) -> dict[str, Any]:
    """Names, scales (norms) and the correlation behind each name, for the metadata."""
    return {
        "names": [name for name, _, _ in found],
        "scales": {name: float(np.linalg.norm(vector)) for name, vector, _ in found},
        "correlations": {name: value for name, _, value in found if value is not None},
    }


def named_vectors(
    data: PairEmbeddings, variant: type[Variant], arrays: Arrays
) -> list[tuple[str, np.ndarray, float | None]]:
    """`(name, vector [d], correlation)` of every live code.

    A code takes the name and the sign of the true concept that it follows best on held-out pairs, if it does and the
    truth is known; else it is called `code_{index}` and its sign is arbitrary, as identifiability has it.
    """
    codes = codes_of(variant, arrays, *data.sides(0, "test"))
    typical = lengths(variant, arrays, *data.sides(0, "train"))
    names = concept_names(data, codes)
    found = []
    for index in np.flatnonzero(arrays["alive"]):
        name, correlation = names.get(int(index), (f"code_{index}", None))
        sign = -1.0 if correlation is not None and correlation < 0 else 1.0
        vector = (arrays["decoder"][index] * sign * typical[index]).astype(np.float32)
        found.append((name, vector, None if correlation is None else abs(correlation)))
    return found


def lengths(variant: type[Variant], arrays: Arrays, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far a typical shift goes along each direction, in the units of the embeddings, `[k]`.

    The mean length of a code weighted by its energy, Σ|c|³ / Σc²: samples that do not use the code do not count,
    however rare it is. A variant that scales or normalises shifts first has codes in units of its own.
    """
    shifts = after - before
    goal = np.linalg.norm(variant.target(arrays, shifts), axis=1)
    unit = np.linalg.norm(shifts, axis=1) / np.where(goal > 0, goal, np.inf)
    codes = np.abs(codes_of(variant, arrays, before, after).astype(np.float64)) * unit[:, None]
    energy = np.square(codes).sum(0)
    return (codes**3).sum(0) / np.where(energy > 0, energy, 1.0)


def concept_names(data: PairEmbeddings, codes: np.ndarray) -> dict[int, tuple[str, float]]:
    """Which code `[n, k]` follows which concept of the primary truth: code → (name, signed correlation)."""
    primary = data.facts["primary_truth"]
    if primary is None:
        return {}
    correlation = signed_correlation(codes, data.truths[primary][0, data.rows("test")])
    names = data.facts["truths"][primary]
    return {
        int(code): (names[concept], float(correlation[code, concept]))
        for code, concept in zip(*linear_sum_assignment(np.abs(correlation), maximize=True), strict=True)
        if abs(correlation[code, concept]) >= NAMED
    }
