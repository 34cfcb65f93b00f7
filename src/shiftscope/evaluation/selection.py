"""The settings that UDR chooses on one dataset of one language model, from its models and embeddings alone.

A rival of ours may have its setting chosen by the truth of training pairs instead (`Variant.chosen_by_truth`).
Whoever needs a choice makes it, from models that it reads anyway. So an export of vectors waits for no metric, and no
edit of one makes it stale. `results/selection/{lm}/{dataset}.json`, which the evaluation writes, is for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.recommendation import Recommendation
from shiftscope.files import canonical_json, write_json
from shiftscope.metrics.correlation import mcc_two_codes
from shiftscope.metrics.sparsity import l1, reconstruction_error
from shiftscope.metrics.udr import select
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import codes_of


class Selection(TypedDict):
    """What was chosen for one variant at one code size, and what by (docs/file-formats.md)."""

    lm: str
    dataset: str
    codes: int
    variant: str
    settings: list[dict[str, Any]]
    udr: list[float | None]
    reconstruction: list[float]
    sparsity: list[float]
    live_codes: list[float]
    eligible: list[bool]
    chosen: int
    chosen_by: Literal["udr", "truth"]


def selections(data: PairEmbeddings, trained: Iterable[Trained]) -> list[Selection]:
    """The choice for everything that has several settings, and what by.

    Numbers of pairs are points of a curve and no choice.
    """
    several = [
        one for one in trained if len({canonical_json(setting | {"n_pairs": None}) for setting in one.settings}) > 1
    ]
    return [_selection(data, one) for one in several]


def _selection(data: PairEmbeddings, one: Trained) -> Selection:
    known = [data.training_sides(data_seed) for data_seed in range(data.data_seeds)]  # held-out pairs are for scores
    errors, sparsities = [], []
    for model in one.models:
        sides = known[model.data_seed]
        errors.append(reconstruction_error(one.variant, model.arrays, *sides))
        sparsities.append(l1(codes_of(one.variant, model.arrays, *sides)))
    found = select(one.models, errors, sparsities, len(one.settings))
    by_truth = one.variant.chosen_by_truth and bool(data.truths)
    if by_truth:
        found = found._replace(chosen=_best_by_truth(data, one))
    facts = {key: one.facts[key] for key in ("lm", "dataset", "codes", "variant", "settings")}
    return Selection(**facts, **found._asdict(), chosen_by="truth" if by_truth else "udr")


def _best_by_truth(data: PairEmbeddings, one: Trained) -> int:
    """The setting whose codes of training pairs have the highest mean `mcc_two_codes` with the primary truth."""
    true = next(iter(data.truths.values()))[:, data.rows("train")]
    scores: dict[int, list[float]] = {}
    for model in one.models:
        codes = codes_of(one.variant, model.arrays, *data.sides(model.data_seed, "train"))
        scores.setdefault(model.setting, []).append(mcc_two_codes(codes, true[model.data_seed]))
    return max(scores, key=lambda setting: float(np.mean(scores[setting])))


def chosen(trained: Iterable[Trained], found: Iterable[Selection]) -> list[Trained]:
    """Everything trained, each with the setting that was chosen for it."""
    choices = {(one["dataset"], one["variant"], one["codes"]): one["chosen"] for one in found}
    keys = ((one, (one.facts["dataset"], one.facts["variant"], one.n_codes)) for one in trained)
    return [one._replace(chosen=choices.get(key, 0)) for one, key in keys]


def write_selections(path: Path, found: list[Selection], recommended: list[Recommendation]) -> None:
    """Write the choices of one dataset on one language model: settings of variants, and the variant that is recommended."""
    write_json(path, {"settings": found, "recommended": recommended})
