"""Metric rows such as an evaluation writes, for tests of tables and of the report."""

import csv
import json
import random

import numpy as np

from shiftscope.files import write_json, write_tensors
from shiftscope.metrics import correlation, sparsity, steering, udr  # noqa: F401  whose metrics the rows are of

LANGUAGE = {"lang_1_1": 1, "gender_1_1": 1, "binary_2_2": 2, "corr_2_1": 2, "cat_135_3": 27}
SYNTHETIC = {"synth_3_2": 3, "synth_4_3": 4, "synth_10_7": 10}
SPARSE = ("ssae", "ssae_paper", "ssae_paper_repaired")
FREE = ("affine", "affine_paper")
LEVELS = {"ssae": 1.0, "ssae_paper": 0.8, "ssae_paper_repaired": 0.93, "affine": 0.57, "affine_paper": 0.55}


KINDS = {"ssae_paper_grid": "ssae_paper", "ssae_pairs": "ssae", "affine_pairs": "affine"}
"""of variants that are not called as their kind"""


def row(dataset, variant, metric, value, codes, **other):
    return {
        "dataset": dataset, "eval_dataset": dataset, "lm": "smollm2_135m", "layer": "final_norm", "variant": variant,
        "kind": KINDS.get(variant, variant),
        "codes": codes, "params": '{"lr":0.01}', "selected": True, "data_seed": 0, "split": "test", "control": "",
        "metric": metric, "value": value,
    } | other  # fmt: skip


def synthetic_rows(seeds=4, data_seeds=3):
    draw = random.Random(1)
    rows = []
    for dataset, codes in SYNTHETIC.items():
        for variant, level in LEVELS.items():
            for data_seed in range(data_seeds):
                rows += _synthetic(draw, dataset, codes, variant, level, data_seed, seeds)
    return [row | {"lm": "synthetic", "layer": ""} for row in rows]


def _synthetic(draw, dataset, codes, variant, level, data_seed, seeds):
    rows = []
    for seed in range(seeds):
        here = {"data_seed": data_seed, "seed": seed}
        value = min(1.0, level - draw.uniform(0, 0.06) * (1.02 - level) * 3)
        rows += [
            row(dataset, variant, "mcc_truth", value, codes, **here),
            row(dataset, variant, "mcc_truth", 0.1, codes, **here, selected=False, params='{"lr":9}'),
            row(dataset, variant, "linear_r2", draw.uniform(0.99, 1), codes, **here),
            row(dataset, variant, "mcc_truth", draw.uniform(0.1, 0.2), codes, **here, control="permuted_labels"),
            row(dataset, variant, "reconstruction", 0.02 if variant != "ssae_paper" else 0.95, codes, **here),
        ]
        rows += [
            row(dataset, variant, "mcc_seeds_decoder", value**2, codes, **here, seed_2=other, split="train")
            for other in range(seed + 1, seeds)
        ]
    for control, value in (("ceiling", 1.0), ("random_dictionary", 0.3)):
        rows.append(row(dataset, "", "mcc_truth", value, codes, data_seed=data_seed, control=control))
    return rows


def language_rows(seeds=4):
    draw = random.Random(2)
    rows = []
    for place, (dataset, codes) in enumerate(LANGUAGE.items()):
        for variant in (*SPARSE, *FREE):
            level = LEVELS[variant] if codes > 1 else 0.995
            rows += _agreement(draw, dataset, codes, variant, level, seeds)
            rows += _steering(draw, dataset, codes, variant, 0.55 + 0.05 * place + 0.1 * level, seeds)
        rows += _steering(draw, dataset, codes, "pca", 0.5, 1)
        if codes < 27:
            rows += _steering(draw, dataset, codes, "mean_difference", 0.62, 1)
    return rows


def layer_rows(layers=("resid_post.2", "resid_post.10", "resid_post.26", "final_norm"), seeds=3):
    """What several layers of one language model score: best in the middle, with an untrained twin at the same layers."""
    draw = random.Random(3)
    rows = []
    for dataset, codes in (("lang_1_1", 1), ("cat_135_3", 27)):
        for place, layer in enumerate(layers):
            for variant, drop in (("ssae", 0), ("affine", 0.3)):
                level = (0.6, 0.95, 0.8, 0.7)[place] - drop
                here = _agreement(draw, dataset, codes, variant, level, seeds)
                here += _steering(draw, dataset, codes, variant, 0.3 + 0.5 * level, seeds)
                rows += [row | {"layer": layer} for row in here]
    return rows


def _agreement(draw, dataset, codes, variant, level, seeds):
    rows = []
    for control, drop in (("", 0.02), ("untrained_lm", 0.05)):
        for seed in range(seeds):
            value = level - draw.uniform(0, drop)
            rows += [
                row(dataset, variant, metric, value, codes, seed=seed, seed_2=other, control=control)
                for metric in ("mcc_seeds_decoder", "mcc_seeds_codes")
                for other in range(seed + 1, seeds)
            ]
            if dataset in ("binary_2_2", "cat_135_3"):
                known = value * (0.65 if dataset == "binary_2_2" else 0.98) - (0.1 if control else 0)
                rows.append(row(dataset, variant, "mcc_truth", known, codes, seed=seed, control=control))
    if dataset in ("binary_2_2", "cat_135_3"):
        rows.append(row(dataset, "", "mcc_truth", 0.985 if codes == 27 else 0.66, codes, control="ceiling"))
    return rows


def _steering(draw, dataset, codes, variant, level, seeds):
    rows = []
    for concept in ("first", "second"):
        for seed in range(seeds):
            here = {"seed": seed, "concept": concept, "split": "single"}
            for metric, drop in (("cosine_published", 0.0), ("cosine_heldout", 0.04)):
                value = level - drop - draw.uniform(0, 0.02)
                rows += [
                    row(dataset, variant, metric, value, codes, **here),
                    row(dataset, variant, f"{metric}_sd", 0.08, codes, **here),
                    row(dataset, variant, metric, level - 0.2, codes, **here, control="random_dictionary"),
                    row(dataset, variant, metric, 0.47, codes, **here, control="no_steering"),
                    row(dataset, variant, metric, value - 0.05, codes, **here, control="untrained_lm"),
                ]
    return rows


GRID = {
    (lr, level): (0.9 + 0.01 * place, 0.5 + 0.05 * place)
    for place, (lr, level) in enumerate((lr, level) for lr in (0.005, 0.01) for level in (0.4, 0.5, 0.6))
}
BEST = (0.01, 0.6)


def grid_rows(scores, chosen, dataset="binary_2_2", variant="ssae_paper_grid", codes=2, rival=0.4, **other):
    """A grid of `scores`, `{(lr, sparsity_level): (MCC across seeds, MCC with the truth)}`, and its affine twin."""
    rows = []
    for (lr, level), (agreement, truth) in scores.items():
        here = {
            "params": json.dumps({"lr": lr, "sparsity_level": level, "steps": 9}),
            "selected": (lr, level) == chosen,
        }
        rows += _seeds(dataset, variant, codes, agreement, truth, **here, **other)
        rows.append(row(dataset, variant, "udr", agreement, codes, data_seed=None, **here, **other))
    return rows + _seeds(dataset, "affine_paper", codes, rival, rival, **other)


def _seeds(dataset, variant, codes, agreement, truth, seeds=3, **other):
    """MCC across seeds and with the truth, both .001 lower from seed to seed."""
    rows = []
    for seed in range(seeds):
        rows.append(row(dataset, variant, "mcc_truth", truth - 0.001 * seed, codes, seed=seed, **other))
        rows += [
            row(
                dataset,
                variant,
                "mcc_seeds_decoder",
                agreement - 0.001 * seed,
                codes,
                seed=seed,
                seed_2=seed_2,
                **other,
            )
            for seed_2 in range(seed + 1, seeds)
        ]
    return rows


def truth_rows(levels, dataset, codes=10, **other):
    """MCC with the truth of three seeds, by variant."""
    return [
        row(dataset, variant, "mcc_truth", level, codes, seed=seed, **other)
        for variant, level in levels.items()
        for seed in range(3)
    ]


MAPPED = "final_norm, mapped (gaussian, seed 0, condition 900)"


def mapped_rows(before, after, dataset="cat_135_3"):
    """`before` and `after` the map: `{variant: (MCC across seeds, MCC with the truth)}`."""
    return [
        row
        for layer, levels in (("final_norm", before), (MAPPED, after))
        for variant, (agreement, truth) in levels.items()
        for row in _seeds(dataset, variant, 27, agreement, truth, layer=layer)
    ]


def size_rows(levels, dataset="cat_135_3"):
    """Code sizes: `{codes: {variant: (MCC across seeds, MCC with the truth)}}`."""
    return [
        row
        for codes, variants in levels.items()
        for variant, (agreement, truth) in variants.items()
        for row in _seeds(dataset, variant, codes, agreement, truth)
    ]


def write_vectors(folder, variants=("ssae", "affine")):
    """Vectors such as the export writes below `folder`, and what it writes beside them: the paths of the latter."""
    paths = []
    for dataset, codes in LANGUAGE.items():
        for variant in variants:
            paths.append(folder / "smollm2_135m" / dataset / variant / "steering_vectors.json")
            names = [f"concept_{code}" for code in range(codes)]
            write_tensors(paths[-1].with_suffix(".safetensors"), {name: np.ones(8, np.float32) for name in names})
            write_json(paths[-1], {"names": names, "layer": "final_norm"})
    return paths


BENCHMARK = {"s": "12.5", "h:m:s": "0:00:12", "max_rss": "512.5"}


def write_benchmark(path, **change):
    """A file such as Snakemake writes of a job, with some values changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, BENCHMARK, delimiter="\t")
        writer.writeheader()
        writer.writerow(BENCHMARK | change)
