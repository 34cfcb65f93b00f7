"""Which variant is recommended on a dataset of a language model, and at how many codes: choices that use no label.

With one code: `shared`, if pairs share a shift at all (its sign-flip test), for no sparsity can help where one concept changes
in every pair. Else the variant that explains held-out training pairs best, by its gain over a Gaussian (a closed form's own,
or `shiftscope.training.held_out`). Where none is measured, the first of the config that applies.

Among several numbers of codes the smallest whose gain is within a standard error of the largest, of those whose gain is clearly
above 0, whose seeds agree and whose directions differ from each other: what changes with the seed is not identified, however well it
explains, and two directions that are nearly the same are one change in two shapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypedDict

import numpy as np

from shiftscope.evaluation.base import Row, Trained
from shiftscope.metrics.udr import agreements, udr_of
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.vocabulary import RECOMMENDED, SIGNIFICANT

CLEARLY = 3
"""standard errors by which a gain must be above 0 where several numbers of codes are tried"""
AGREE = 0.9
"""least agreement of seeds (UDR) of a number of codes that may be chosen"""
NEARLY_SAME = 0.9
"""cosine of two of its directions from which on a number of codes is not chosen"""


class Candidate(TypedDict):
    """What is known of one candidate without labels, means over data seeds; None: not measured."""

    variant: str
    gain: float | None
    gain_error: float | None
    p_shared: float | None


class Recommendation(TypedDict):
    """What is recommended at one code size, and why (docs/file-formats.md)."""

    dataset: str
    codes: int
    recommended: str
    why: str
    candidates: list[Candidate]


class Recommended(NamedTuple):
    """The variant at one code size, and the reasons."""

    one: Trained
    reasons: Recommendation


def recommend(data: PairEmbeddings, trained: Iterable[Trained]) -> list[Recommended]:
    """The recommended variant at every code size at which there is a candidate; `trained` have their chosen settings.

    Nothing is recommended on the embeddings of an untrained twin, or on mapped ones, which are controls.

    The first variant of a kind stands for it; one that is trained on fewer pairs is a point of a curve, one that is trained on
    turned pairs an ablation, and neither a candidate.
    """
    if data.facts.get("untrained_of") or data.facts.get("map"):
        return []
    by_codes: dict[int, dict[str, Trained]] = {}
    for one in trained:
        setting = one.settings[one.chosen]
        if one.variant.candidate and not setting.get("n_pairs") and setting.get("orientation", "given") == "given":
            by_codes.setdefault(one.n_codes, {}).setdefault(one.facts["kind"], one)
    found = []
    for codes, those in sorted(by_codes.items()):
        candidates = {one.facts["variant"]: (one, _candidate(one)) for one in those.values()}
        name, why = _choice([facts for _, facts in candidates.values()])
        reasons = Recommendation(
            dataset=data.facts["dataset"],
            codes=codes,
            recommended=name,
            why=why,
            candidates=[facts for _, facts in candidates.values()],
        )
        found.append(Recommended(candidates[name][0], reasons))
    return found


class Size(NamedTuple):
    """What is recommended at one number of codes: how much better held-out pairs are explained, how far seeds agree (None: there is one
    seed, or none enters), and the largest cosine between two of its directions."""

    what: Recommended
    gain: float | None
    error: float
    agreement: float | None
    likeness: float

    @property
    def eligible(self) -> bool:
        """Whether its gain is clear, its seeds agree and its directions differ."""
        clear = self.gain is not None and self.gain > CLEARLY * self.error
        return clear and (self.agreement is None or self.agreement >= AGREE) and self.likeness < NEARLY_SAME

    def __str__(self) -> str:
        facts = [f"{self.gain:.2f} ± {self.error:.2f}"]
        if self.agreement is not None:
            facts.append(f"seeds {self.agreement:.2f}")
        if self.likeness >= NEARLY_SAME:
            facts.append(f"alike {self.likeness:.2f}")
        return f"{self.what.reasons['codes']}: {', '.join(facts)}"


TOLD = "gain in nats, agreement of seeds, and the largest cosine of two directions where it is .9 or more"


def main_size(found: list[Recommended]) -> Recommended | None:
    """What is recommended at the number of codes that is chosen, which its reason then says; None if nothing is.

    Where no number is eligible, the smallest: it claims least.
    """
    if len(found) < 2:
        return found[0] if found else None
    sizes = [_size(one) for one in found]
    eligible = [size for size in sizes if size.eligible]
    tried = "; ".join(str(size) for size in sizes if size.gain is not None)
    if not eligible:
        return _because(
            found[0],
            "the fewest that were tried, for no number explains left-out training pairs clearly better than a Gaussian with seeds that "
            f"agree and directions that differ ({f'{TOLD}: {tried}' if tried else 'no gain was measured'})",
        )
    best = max(eligible, key=lambda size: size.gain)
    chosen = next(size for size in eligible if size.gain >= best.gain - best.error)
    edge = " It is the largest that was tried: there may be more." if chosen is sizes[-1] else ""
    return _because(
        chosen.what,
        "the fewest that explain left-out training pairs as well as any on which seeds agree and whose directions differ "
        f"({TOLD}: {tried}){'.' if edge else ''}{edge.rstrip('.')}",
    )


def _size(one: Recommended) -> Size:
    """Of what all pairs share no gain is measured: as good as the best that is measured with one code, whose direction is its."""
    by_name = {facts["variant"]: facts for facts in one.reasons["candidates"]}
    facts = by_name[one.reasons["recommended"]]
    measured = [each for each in by_name.values() if each["gain"] is not None]
    if facts["gain"] is None and measured:
        facts = max(measured, key=lambda each: each["gain"])
    models = [model for model in one.one.models if model.setting == one.one.chosen]
    agreement = None if one.one.variant.deterministic else udr_of(agreements(models), one.one.chosen)
    return Size(one, facts["gain"], facts["gain_error"] or 0.0, agreement, _likeness(models[0].arrays["decoder"]))


def _likeness(decoder: np.ndarray) -> float:
    """The largest absolute cosine between two directions `[k, d]`; 0 of one."""
    unit = decoder / np.maximum(np.linalg.norm(decoder, axis=1, keepdims=True), 1e-30)
    cosines = np.abs(unit @ unit.T)
    np.fill_diagonal(cosines, 0)
    return float(cosines.max())


def _because(one: Recommended, reason: str) -> Recommended:
    codes = "one code" if one.reasons["codes"] == 1 else f"{one.reasons['codes']} codes"
    return one._replace(
        reasons=Recommendation(**one.reasons | {"why": f"{one.reasons['why']}; with {codes}, {reason}"})
    )


def at_size(trained: Iterable[Trained], codes: int) -> dict[str, Trained]:
    """Each variant at a number of codes; one that was not trained at it, at the largest below, else at its smallest."""
    sizes: dict[str, list[Trained]] = {}
    for one in trained:
        sizes.setdefault(one.facts["variant"], []).append(one)
    return {
        name: max(those, key=lambda one: (one.n_codes <= codes, one.n_codes if one.n_codes <= codes else -one.n_codes))
        for name, those in sizes.items()
    }


def _candidate(one: Trained) -> Candidate:
    facts = [model.facts for model in one.models if model.setting == one.chosen]

    def mean(name: str) -> float | None:
        values = [each[name] for each in facts if each.get(name) is not None]
        return float(np.mean(values)) if values else None

    return Candidate(
        variant=one.facts["variant"], gain=mean("gain"), gain_error=mean("gain_error"), p_shared=mean("p_shared")
    )


def _choice(candidates: list[Candidate]) -> tuple[str, str]:
    tested = [one for one in candidates if one["p_shared"] is not None]
    for one in tested:
        if one["p_shared"] <= SIGNIFICANT:
            return one["variant"], (
                f"is what all pairs share (sign flips: p = {one['p_shared']:.2g}), and with one code no sparsity can tell "
                "more of it"
            )
    others = [one for one in candidates if one not in tested] or candidates
    measured = [one for one in others if one["gain"] is not None]
    if not measured:
        return others[0]["variant"], "is the first of the config that applies; no held-out gain was measured"
    best = max(measured, key=lambda one: one["gain"])
    rest = ", ".join(f"{one['variant']} {one['gain']:.2f}" for one in measured if one is not best)
    why = (
        f"explains left-out training pairs better than a Gaussian by {best['gain']:.2f} ± {best['gain_error']:.2f} nats"
    )
    if best["gain"] <= 2 * best["gain_error"]:
        why += ", which is within noise: no structure beyond a Gaussian was found"
    return best["variant"], why + (f" ({rest})" if rest else "")


def recommended_rows(rows: list[Row], found: list[Recommended]) -> list[Row]:
    """The rows of what is recommended once more, under its own name; of controls those of its models alone."""
    names = {(each.one.facts["variant"], each.reasons["codes"]) for each in found}
    return [
        row | {"variant": RECOMMENDED}
        for row in rows
        if row["selected"] and (row["variant"], row.get("codes")) in names
    ]
