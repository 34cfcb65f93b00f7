"""What every evaluation starts from: the models of a dataset, what their rows share, and random directions beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shiftscope import kinds
from shiftscope.files import canonical_json
from shiftscope.models import BlockFacts, Model, read_facts, read_models
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import Variant, decode
from shiftscope.vocabulary import path_of

if TYPE_CHECKING:
    from shiftscope.activations.store import Chunk, Store

Row = dict[str, Any]
"""a metric row, or a part of one: columns of `shiftscope.evaluation.parts.SCHEMA`"""

BATCH = 1024
"""activations whose codes in a whole dictionary are held at once"""
RANDOM_DICTIONARIES = 5
"""random dictionaries of equal size behind each chance level"""


class Trained(NamedTuple):
    """A variant's replicas on one dataset, with its class and what was selected."""

    facts: BlockFacts
    variant: type[Variant]
    models: list[Model]
    chosen: int = 0
    """the setting that UDR chose, 0 where there is no choice"""

    @property
    def n_codes(self) -> int:
        """Code size k."""
        return self.facts["codes"]

    @property
    def settings(self) -> list[dict[str, Any]]:
        """All settings as JSON values."""
        return self.facts["settings"]


def read_trained(weights: list[Path], sidecars: list[Path]) -> dict[str, list[Trained]]:
    """Everything that was trained, by dataset; the blocks of seeds of a variant and code size are one `Trained`."""
    blocks: dict[tuple[str, str, int], tuple[BlockFacts, list[tuple[Path, Path]]]] = {}
    for path, sidecar in zip(weights, sidecars, strict=True):
        facts = read_facts(sidecar)
        key = facts["dataset"], facts["variant"], facts["codes"]
        blocks.setdefault(key, (facts, []))[1].append((path, sidecar))
    trained: dict[str, list[Trained]] = {}
    for facts, files in blocks.values():
        one = Trained(facts, kinds.load("variants", facts["kind"]), read_models(*zip(*files, strict=True)))
        trained.setdefault(facts["dataset"], []).append(one)
    return trained


def worlds(data: PairEmbeddings, trained: list[Trained]) -> Iterator[tuple[list[str], PairEmbeddings, list[Trained]]]:
    """The worlds of a synthetic dataset, each as a dataset of its own with what was trained on it; any other as it is.

    So settings are chosen for every world by itself, and every world has rows of its own: under the first of the names
    that come with it. A world that stands on several axes has several names.
    """
    named = data.facts.get("worlds")
    if not named:
        yield [data.facts["dataset"]], data, trained
        return
    names: dict[int, list[str]] = {}
    for name, first in named.items():
        names.setdefault(first, []).append(f"{data.facts['dataset']}, {name}")
    draws = data.data_seeds // len(names)
    for first, datasets in names.items():
        some = range(first, first + draws)
        models = [_of_data_seeds(one, some, datasets[0]) for one in trained]
        yield datasets, data.of_data_seeds(first, first + draws, datasets[0]), models


def _of_data_seeds(one: Trained, some: range, dataset: str) -> Trained:
    models = [model._replace(data_seed=model.data_seed - some.start) for model in one.models if model.data_seed in some]
    return one._replace(facts={**one.facts, "dataset": dataset}, models=models)


def common(data: PairEmbeddings | Store, eval_dataset: str, split: str) -> Row:
    """What all rows of one dataset on one language model share, tried on `eval_dataset`.

    A language model's untrained twin gives the same rows under its trained model's name, with `control` set.
    """
    facts = data.facts
    return {
        "dataset": facts["dataset"],
        "eval_dataset": eval_dataset,
        "lm": facts["untrained_of"] or facts["lm"],
        "layer": facts["layer"] or "",
        "control": "untrained_lm" if facts["untrained_of"] else "",
        "split": split,
        "variant": "",
        "kind": "",
        "params": "{}",
        "selected": True,
    }


def described(one: Trained, model: Model) -> Row:
    """What rows of one model share."""
    return {
        "variant": one.facts["variant"],
        "kind": one.facts["kind"],
        "codes": one.n_codes,
        "params": canonical_json(one.settings[model.setting]),
        "selected": model.setting == one.chosen,
        "data_seed": model.data_seed,
        "seed": model.seed,
    }


def step_of(one: Trained, model: Model) -> Row:
    """What a row says of when in training its model stands: `step` of one on the way, `control` of one before it."""
    step = int(model.facts["step"])
    if step == 0:
        return {"control": "untrained_sae"}
    return {"step": step} if step < one.settings[model.setting]["steps"] else {}


class ScoredCodes(NamedTuple):
    """Codes of an autoencoder of activations that are scored: all, or those of one of the paths whose sum they are."""

    described: Row
    """what its rows share: a path is a variant of its own, called `structured (sparse path)`"""
    codes: np.ndarray
    """`[n, F]`"""
    outputs: np.ndarray
    """`[n, d]`, what these codes alone make of the activations"""


def scored_codes(one: Trained, model: Model, inputs: np.ndarray) -> Iterator[ScoredCodes]:
    """All codes of activations `[n, d]`, and, where they are a sum of paths, those of each path alone."""
    paths = one.variant.paths(model.arrays, inputs)
    codes = sum(paths.values()) if paths else one.variant.encode(model.arrays, inputs)
    about = described(one, model)
    yield ScoredCodes(about, codes, decode(model.arrays, codes))
    for name, found in paths.items():
        yield ScoredCodes(about | {"variant": path_of(about["variant"], name)}, found, decode(model.arrays, found))


def few_at_a_time(store: Store, split: str) -> Iterator[Chunk]:
    """All activations of a split, so few at a time that their codes in a large dictionary fit into the memory."""
    for chunk in store.chunks(split):
        for start in range(0, len(chunk.token), BATCH):
            yield chunk._replace(**{name: column[start : start + BATCH] for name, column in chunk._asdict().items()})


def random_directions(n_codes: int, seed: int, data_seed: int, width: int) -> np.ndarray:
    """Random unit directions `[n_codes, width]`."""
    directions = np.random.default_rng([seed, data_seed]).normal(size=(n_codes, width))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)
