"""Metric rows of autoencoders of activations, such as an evaluation writes, and classes of the source's systems."""

import json
from types import SimpleNamespace

import pytest
from helpers.fake_metrics import row

from shiftscope.metrics import dictionary, matched, pcc  # noqa: F401  whose metrics the rows are of
from shiftscope.tables import tidy

SYSTEMS = ("structured", "p_annealing", "topk", "batch_topk")
GOOD = {"structured": 0.67, "p_annealing": 0.6, "topk": 0.4, "batch_topk": 0.35}
CONTROLS = {"neurons": 0.2, "pca": 0.2, "random_dictionary": 0.25}
OF_MODELS = {"permuted_labels": 0.1, "untrained_sae": 0.3, "untrained_lm": 0.2}
UNTRAINED_FVU = 0.8
COSTS = (16, 64)
"""active latents of two settings, the first is chosen"""
CONCEPTS = ("verb_ved", "male_female")


@pytest.fixture
def systems(monkeypatch):
    """Kinds called `kind_of_{system}` are of the source's systems; others are as they are."""
    real = tidy.class_of

    def class_of(kind):
        if not kind.startswith("kind_of_"):
            return real(kind)
        about = {"recipe": "", "supervised": False, "without_sparsity": "", "reads": "activations"}
        return SimpleNamespace(system=kind.removeprefix("kind_of_"), **about)

    monkeypatch.setattr(tidy, "class_of", class_of)


def sae_rows(levels, costs=COSTS, fvu=0.2, steps=(), batch_size=10_000, **other):
    """Rows of three seeds by system: PCC is `level` and .1 less held out, at every cost .05 more than at the last.

    Words are `words`, tokens those of `docs`; `steps` are points on the way, and the untrained have `OF_MODELS`.
    """
    rows = []
    for system, level in levels.items():
        for place, cost in enumerate(costs[system] if isinstance(costs, dict) else costs):
            for seed in range(3):
                here = {
                    "kind": f"kind_of_{system}",
                    "params": json.dumps({"cost": cost, "steps": 20_000, "batch_size": batch_size}),
                    "seed": seed,
                }
                here |= {"selected": place == 0} | other
                score = level + 0.05 * place + 0.001 * (seed - 1)
                rows += _model(f"my_{system}", score, cost, fvu / (1 + place), here)
                for step in steps:
                    rows += _words(f"my_{system}", score - 0.2, here | {"step": step})
                if "control" not in other:
                    for control, value in OF_MODELS.items():
                        rows += _words(f"my_{system}", value, here | {"control": control})
                        if control != "permuted_labels":
                            tokens = {"fvu": UNTRAINED_FVU, "active_latents": cost}
                            about = here | {"control": control}
                            rows += [row("docs", f"my_{system}", *one, 512, **about) for one in tokens.items()]
    return rows


def _model(name, score, cost, fvu, here):
    tokens = {"fvu": fvu, "active_latents": cost, "mse": 2 * fvu, "dead_share": 0.1}
    rows = [row("docs", name, metric, value, 512, **here) for metric, value in tokens.items()]
    return rows + _words(name, score, here)


def _words(name, score, here):
    on = here | {"eval_dataset": "words"}
    rows = []
    for sign, concept in zip((1, -1), CONCEPTS, strict=True):
        for metric, value, split in (("pcc", score, "train"), ("pcc_heldout", score - 0.1, "test")):
            rows.append(row("docs", name, metric, value + 0.1 * sign, 512, **on | {"concept": concept, "split": split}))
    if not here.get("control"):
        rows.append(row("docs", name, "pcc_choosing", score, 512, **on | {"split": "train"}))
    if here.get("control") != "permuted_labels":
        rows.append(row("docs", name, "mse_words", 1 - score, 512, **on))
        if name:
            rows.append(row("docs", name, "active_latents_words", json.loads(here["params"])["cost"], 512, **on))
    rows.append(row("docs", name, "pcc_coverage", 0.5, 512, **on | {"split": "train"}))
    return rows


def control_rows(levels=CONTROLS):
    """What no training made scores, in sample, and .1 less held out."""
    return [
        one | {"codes": 512 if control == "random_dictionary" else 0}
        for control, level in levels.items()
        for one in _words("", level, {"control": control, "kind": "", "params": "{}"})
    ]
