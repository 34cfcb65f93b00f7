"""Metric rows of answers such as the measurement of a steered model writes, of made-up outcomes."""

import numpy as np

from shiftscope.evaluation.behaviour import Direction, Outcome, rows_of

BASE = {"dataset": "truthfulqa_1_1", "eval_dataset": "truthfulqa_1_1", "lm": "tiny", "layer": "final_norm",
        "selected": True, "data_seed": 0, "split": "test"}  # fmt: skip


def outcome_of(mc2_by_column, perplexity, questions=40):
    """Every question has the same mc2, by column."""
    scores = np.tile(np.array(mc2_by_column, float), (questions, 1))
    return Outcome((scores > 0.5).astype(float), scores, np.array(perplexity, float))


def direction(variant="ssae", control="", seed=0, concept="truthful"):
    """A vector of one code."""
    return Direction(variant, variant, 1, "{}", control, seed, concept, np.ones(4, np.float32))


def part_rows(climb=0.1, random_climb=0.0, cosine=0.7, heldout=0.7):
    """Two seeds of ssae and affine, mc2 rising by `climb` per dose; cosines of all variants and their controls."""
    rows = []
    for variant, own in (("ssae", climb), ("affine", 0.0), ("mean_difference", 0.0), ("pca", 0.0)):
        for control, slope in (("", own), ("random_dictionary", random_climb)):
            for seed in range(2 if control or variant in ("ssae", "affine") else 1):
                at = 0.4 + slope * np.array([0, -1, 1]) + 0.001 * seed
                outcome = outcome_of([0.4, *at[1:]], [20, 21, 21])
                one = direction(variant, control, seed)
                rows += [row for row in rows_of(BASE, [one], [-1.0, 1.0], outcome, 0, 1.1) if row["variant"]]
        for metric, ours in (("cosine_published", cosine), ("cosine_heldout", heldout)):
            for seed in range(2 if variant in ("ssae", "affine") else 1):
                level = ours if variant == "ssae" else 0.5
                row = BASE | {
                    "variant": variant,
                    "kind": variant,
                    "codes": 1,
                    "params": "{}",
                    "control": "",
                    "split": "single",
                }
                rows.append(row | {"metric": metric, "value": level + 0.001 * seed, "seed": seed})
    rows += [
        row for row in rows_of(BASE, [direction()], [1.0], outcome_of([0.4, 0.4], [20, 20]), 0, 1) if not row["variant"]
    ]
    none = BASE | {"variant": "", "kind": "", "codes": 1, "params": "{}", "metric": "cosine_heldout", "split": "single"}
    return [
        *rows,
        none | {"control": "no_steering", "value": 0.45},
        none | {"control": "random_dictionary", "value": 0.46},
    ]
