"""What the configuration accepts, and the one line with which it refuses: key, value, what is allowed, nearest name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.clone import ROOT
from helpers.configs import GOOD, WHEEL, refusal, truthfulqa_config, with_layers, with_value

from shiftscope import kinds
from shiftscope.config.read import parse_config, read_config
from shiftscope.config.sections import seeds_of
from shiftscope.errors import ShiftScopeError


def keys(section: str, kind: str, *own: str) -> str:
    """The keys of an entry in alphabetical order: the parameters of its module, and those of its section."""
    parameters = kinds.load(section, kind).model_fields
    return ", ".join(sorted([*parameters, *own]))


def modules(section: str) -> str:
    """The files of a section's folder that define an entry, in alphabetical order."""
    return ", ".join(kinds.names(section))


LM_KEYS = ("source", "layer", "layers", "layer_variants", "dtype", "batch_tokens", "device_map", "variants", "pairs")
DATASET_KEYS = ("kind", "codes", "variants")
VARIANT_KEYS = keys("variants", "ssae", "kind", "grid", "datasets", "shown_in")


def test_the_good_configuration_is_good():
    config = parse_config(GOOD)
    assert config.trained_on() == [
        ("m", "lang_1_1"), ("m", "mine"), ("twin", "lang_1_1"), ("twin", "mine"), ("synthetic", "tiny"),
    ]  # fmt: skip
    assert config.variants_on("m", "lang_1_1") == ["ssae", "ssae_paper", "mean_difference"]
    assert config.variants_on("m", "mine") == ["ssae", "ssae_paper"]  # nothing is labelled in these pairs
    assert config.blocks_of("ssae") == ["0-1"]
    assert config.blocks_of("mean_difference") == ["0"]
    assert [config.codes(*source) for source in config.trained_on()] == [[1], [2], [1], [2], [3]]


def test_a_code_size_may_be_for_some_variants_only():
    raw = with_value("synthetic.tiny.codes", {3: "all", 6: ["ssae"]})
    config = parse_config(raw)
    assert config.codes("synthetic", "tiny") == [3, 6]
    assert config.variants_on("synthetic", "tiny", 6) == ["ssae"]
    assert (
        config.variants_on("synthetic", "tiny", 3) == config.variants_on("synthetic", "tiny") == list(raw["variants"])
    )


def test_a_variant_may_be_for_some_datasets_only():
    config = parse_config(with_value("variants.ssae_paper.datasets", ["mine", "tiny"]))
    assert config.variants_on("m", "lang_1_1") == ["ssae", "mean_difference"]
    assert config.variants_on("m", "mine") == ["ssae", "ssae_paper"]
    assert config.variants_on("synthetic", "tiny") == ["ssae", "ssae_paper", "mean_difference"]
    assert config.variants["ssae_paper"].dumps == parse_config(GOOD).variants["ssae_paper"].dumps  # nothing is stale


def test_a_variant_may_be_for_some_tables_only():
    raw = with_value("variants.ssae_paper.shown_in", ["table_a6"])
    config = parse_config(raw)
    assert config.hidden_from("table_a6") == []
    assert config.hidden_from("table_a2") == ["ssae_paper"]
    assert ("m", "mine") in config.exported()
    assert config.vectors_of("m", "mine") == ["ssae"]
    assert not [place for place in config.exported() if "ssae_paper" in config.vectors_of(*place)]
    assert "twin" not in {lm for lm, _ in config.exported()}
    assert refusal(with_value("variants.ssae.shown_in", ["table_a66"])).endswith("did you mean 'table_a6'?")


def mapped(**entry) -> dict:
    return with_value("lms.mapped", {"source": "mapped", "of": "m", "variants": ["ssae"]} | entry)


def test_mapped_embeddings_are_shown_beside_those_they_were_made_from():
    config = parse_config(mapped(pairs=["mine"]) | {"tables": ["table_a3"]})
    assert config.needed_by("mapped") == [("m", "mine"), ("mapped", "mine")]
    assert config.needed_by("language") == parse_config(GOOD).needed_by("language")
    assert ("mapped", "mine") not in config.needed_by("all")
    assert config.exported() == parse_config(GOOD).exported()
    raw = mapped()
    raw["pairs"]["mine"]["codes"] = [2, 4]
    assert parse_config(raw).codes("mapped", "mine") == [2]
    raw["lms"]["m"] = WHEEL | {"pairs": ["mine"]}
    assert parse_config(raw).needed_by("mapped") == [("m", "mine"), ("mapped", "mine")]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"of": "twin"}, "lms.mapped.of: trained language model 'twin' is unknown: allowed are m"),
        ({"of": "mm"}, "lms.mapped.of: trained language model 'mm' is unknown: allowed are m; did you mean 'm'?"),
        ({"layer": "final_norm"}, "lms.mapped.layer: embeddings are mapped as m reads them: remove this key"),
        ({"law": "uniform"}, "lms.mapped.law: 'uniform' is not allowed: Input should be 'gaussian' or 'log_uniform'"),
        ({"law": "log_uniform"}, "lms.mapped: "),
        ({"condition": 100}, "lms.mapped: "),
        ({"law": "log_uniform", "condition": 0.5}, "lms.mapped.condition: 0.5 is not allowed: Input should be greater"),
    ],
)
def test_maps_that_are_refused(entry, message):
    assert refusal(mapped(**entry)).startswith(message)


def test_a_table_of_mapped_embeddings_needs_some():
    assert refusal(GOOD | {"tables": ["table_a3"]}).startswith(
        "tables: 'table_a3' needs a model with `source: mapped` under `lms`, and there is none"
    )


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ({3: "all", 6: ["sae"]}, "synthetic.tiny.codes.6: 'sae' is unknown"),
        ({3: "all", 6: []}, "synthetic.tiny.codes.6"),
        ({0: "all"}, "synthetic.tiny.codes.0"),
        ({}, "synthetic.tiny.codes"),
        ([3, 3], "3 is listed twice"),
        ([0], "greater than or equal to 1"),
        ("3", "it must be a list"),
    ],
)
def test_code_sizes_that_are_refused(codes, message):
    assert message in refusal(with_value("synthetic.tiny.codes", codes))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("seed", "seed: this key is unknown: allowed are behaviour, corpora, figures, lms, pairs, seeds, synthetic, tables, variants; did you mean 'seeds'?"),
        ("metrics", "metrics: this key is unknown: allowed are behaviour, corpora, figures, lms, pairs, seeds, synthetic, tables, variants"),
        ("variants.ssae.shrinkages", f"variants.ssae.shrinkages: this key is unknown: allowed are {VARIANT_KEYS}; did you mean 'shrinkage'?"),
        ("variants.ssae.settings", f"variants.ssae.settings: this key is unknown: allowed are {VARIANT_KEYS}"),
        ("lms.m.layr", f"lms.m.layr: this key is unknown: allowed are {keys('lms', 'wheel', *LM_KEYS)}; did you mean 'layer'?"),
        ("lms.twin.off", f"lms.twin.off: this key is unknown: allowed are {keys('lms', 'untrained', *LM_KEYS)}; did you mean 'of'?"),
        ("pairs.lang_1_1.code", f"pairs.lang_1_1.code: this key is unknown: allowed are {keys('pairs', 'lang_1_1', *DATASET_KEYS)}; did you mean 'codes'?"),
        ("synthetic.tiny.n_vary", f"synthetic.tiny.n_vary: this key is unknown: allowed are {keys('synthetic', 'linear_shifts', *DATASET_KEYS)}; did you mean 'n_varying'?"),
    ],
)  # fmt: skip
def test_unknown_keys(path, expected):
    assert refusal(with_value(path, 1)) == expected


VARIANTS = modules("variants")
TABLES = ", ".join(sorted(path.stem for path in (ROOT / "src/shiftscope/tables").glob("table_*.py")))
FIGURES = ", ".join(sorted(path.stem for path in (ROOT / "src/shiftscope/tables").glob("figure_*.py")))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("variants.mine", {"kind": "ssea"}, f"variants.mine: kind 'ssea' is unknown: allowed are {VARIANTS}; did you mean 'ssae'?"),
        ("variants.ssea", {}, f"variants.ssea: kind 'ssea' (its name, for it has no `kind`) is unknown: allowed are {VARIANTS}; did you mean 'ssae'?"),
        ("variants.mine", {"kind": [3]}, f"variants.mine: kind [3] is unknown: allowed are {VARIANTS}"),
        ("variants.mine", {"kind": None}, f"variants.mine: kind None is unknown: allowed are {VARIANTS}"),
        ("pairs.lang", {}, f"pairs.lang: kind 'lang' (its name, for it has no `kind`) is unknown: allowed are {modules('pairs')}; did you mean 'lang_1_1'?"),
        ("synthetic.tiny.kind", "linear_shift", f"synthetic.tiny: kind 'linear_shift' is unknown: allowed are {modules('synthetic')}; did you mean 'linear_shifts'?"),
        ("lms.m.source", "weel", f"lms.m: source 'weel' is unknown: allowed are {modules('lms')}; did you mean 'wheel'?"),
        ("lms.twin.of", "n", "lms.twin.of: trained language model 'n' is unknown: allowed are m"),
        ("lms.twin.of", "twin", "lms.twin.of: trained language model 'twin' is unknown: allowed are m"),
        ("lms.m.variants", ["sae"], "lms.m.variants: 'sae' is unknown: allowed are mean_difference, ssae, ssae_paper; did you mean 'ssae'?"),
        ("lms.m.pairs", ["lang"], "lms.m.pairs: 'lang' is unknown: allowed are lang_1_1, mine; did you mean 'lang_1_1'?"),
        ("pairs.lang_1_1.variants", ["pca"], "pairs.lang_1_1.variants: 'pca' is unknown: allowed are mean_difference, ssae, ssae_paper"),
        ("variants.ssae.datasets", ["tinny"], "variants.ssae.datasets: 'tinny' is unknown: allowed are lang_1_1, mine, tiny; did you mean 'tiny'?"),
        ("synthetic.tiny.variants", ["pca"], "synthetic.tiny.variants: 'pca' is unknown: allowed are mean_difference, ssae, ssae_paper"),
        ("tables", ["tabel_a6"], f"tables: 'tabel_a6' is unknown: allowed are {TABLES}; did you mean 'table_a6'?"),
        ("tables", ["mcc_truth"], f"tables: 'mcc_truth' is unknown: allowed are {TABLES}"),
        ("figures", ["figur_a2"], f"figures: 'figur_a2' is unknown: allowed are {FIGURES}; did you mean 'figure_a2'?"),
    ],
)  # fmt: skip
def test_unknown_names(path, value, expected):
    assert refusal(with_value(path, value)) == expected


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("seeds", [], "seeds: [] is not allowed: List should have at least 1 item"),
        ("seeds", None, "seeds: None is not allowed: it must be a list, such as [a, b]"),
        ("seeds", "0-4", "seeds: '0-4' is not allowed: it must be a list, such as [a, b]"),
        ("seeds", ["a"], """seeds: ['a'] is not allowed: seeds 'a' is neither a number such as "10" nor a range such as "0-9\""""),
        ("seeds", [-1], "seeds '-1' is neither"),
        ("seeds", [1.5], "seeds '1.5' is neither"),
        ("seeds", [True], "seeds 'True' is neither"),
        ("seeds", [["0-1"]], "is neither a number"),
        ("seeds", ["²"], "seeds '²' is neither"),
        ("seeds", ["3-1"], """seeds: ['3-1'] is not allowed: seeds "3-1" ends before it begins: write "1-3\""""),
        ("seeds", ["0-3", "2"], "seeds: ['0-3', '2'] is not allowed: seed 2 is in two blocks: write each seed once"),
        ("seeds", [5, "05"], "seed 5 is in two blocks"),
        ("variants", {}, "variants: {} is not allowed: Dictionary should have at least 1 item"),
        ("variants", None, "variants: None is not allowed: it must be a block of `key: value` lines"),
        ("variants", ["ssae"], "variants: ['ssae'] is not allowed: it must be a block of `key: value` lines"),
        ("variants.ssae", 3, "variants.ssae: 3 is not allowed: it must be a block of `key: value` lines"),
        ("variants.ssae.lr", "fast", "variants.ssae.lr: 'fast' is not allowed: Input should be a valid number"),
        ("variants.ssae.lr", True, "variants.ssae.lr: True is not allowed: it must be a number"),
        ("variants.ssae.lr", float("nan"), "variants.ssae.lr: nan is not allowed: Input should be a finite number"),
        ("variants.ssae.lr", float("inf"), "variants.ssae.lr: inf is not allowed: Input should be a finite number"),
        ("variants.ssae.lr", 0, "variants.ssae.lr: 0 is not allowed: Input should be greater than 0"),
        ("variants.ssae.steps", 0, "variants.ssae.steps: 0 is not allowed: Input should be greater than or equal to 1"),
        ("variants.ssae.steps", 1.5, "variants.ssae.steps: 1.5 is not allowed: Input should be a valid integer"),
        ("variants.ssae.grid", {"n_pairs": [9, None]}, "variants.ssae.grid.n_pairs: a curve over numbers of pairs is a variant of its own"),
        ("variants.curve", {"kind": "ssae", "grid": {"n_pairs": [9], "lr": [1]}, "shown_in": ["table_a6"]}, "nothing else in its grid"),
        ("variants.curve", {"kind": "ssae", "grid": {"n_pairs": [9, 99]}}, "and `shown_in: [figure_pairs]` beside it"),
        ("variants.ssae_paper.batch_size", -32, "variants.ssae_paper.batch_size: -32 is not allowed: Input should be greater than or equal to 2"),
        ("variants.ssae_paper.sparsity_level", 0, "variants.ssae_paper.sparsity_level: 0 is not allowed: Input should be greater than 0"),
        ("variants.ssae_paper.sparsity_level", 1.001, "variants.ssae_paper.sparsity_level: 1.001 is not allowed: Input should be less than or equal to 1"),
        ("synthetic.tiny.n_varying", "three", "synthetic.tiny.n_varying: 'three' is not allowed: Input should be a valid integer"),
        ("synthetic.tiny.n_varying", -1, "synthetic.tiny.n_varying: -1 is not allowed: Input should be greater than or equal to 1"),
        ("synthetic.tiny.n_train", -5, "synthetic.tiny.n_train: -5 is not allowed: Input should be greater than or equal to 2"),
        ("synthetic.tiny.noise", -0.1, "synthetic.tiny.noise: -0.1 is not allowed: Input should be greater than or equal to 0"),
        ("synthetic.tiny.data_seeds", 0, "synthetic.tiny.data_seeds: 0 is not allowed: Input should be greater than or equal to 1"),
        ("synthetic.tiny.support", "subsets", "synthetic.tiny.support: 'subsets' is not allowed: Input should be 'subset', 'exact' or 'together'"),
        ("synthetic.tiny.max_changed", 4, "max_changed is 4, but only n_varying = 3 concepts vary"),
        ("synthetic.tiny.d_model", 2, "d_model is 2: it must be at least n_varying = 3"),
        ("synthetic.tiny", None, "synthetic.tiny.n_varying: this key is missing"),
        ("pairs.lang_1_1.codes", [0], "pairs.lang_1_1.codes.0: 0 is not allowed: Input should be greater than or equal to 1"),
        ("pairs.lang_1_1.codes", [3, 3], "pairs.lang_1_1.codes: [3, 3] is not allowed: 3 is listed twice"),
        ("pairs.lang_1_1.codes", [], "pairs.lang_1_1.codes: [] is not allowed: List should have at least 1 item"),
        ("pairs.lang_1_1.codes", 3, "pairs.lang_1_1.codes: 3 is not allowed: it must be a list"),
        ("variants.ssae.datasets", [], "variants.ssae.datasets: [] is not allowed: Value should have at least 1 item"),
        ("lms.m.variants", [], "lms.m.variants: [] is not allowed: Value should have at least 1 item"),
        ("lms.m.variants", ["ssae", "ssae"], "lms.m.variants: ['ssae', 'ssae'] is not allowed: 'ssae' is listed twice"),
        ("lms.m.layer", "block.3", "lms.m.layer: 'block.3' is not allowed: String should match pattern '^(final_norm|resid_post\\.\\d+)$'"),
        ("lms.m.dtype", "float64", "lms.m.dtype: 'float64' is not allowed: String should match pattern '^(float32|float16|bfloat16)$'"),
        ("lms.m.batch_tokens", 0, "lms.m.batch_tokens: 0 is not allowed: Input should be greater than or equal to 1"),
        ("lms.m.batch_tokens", True, "lms.m.batch_tokens: True is not allowed: it must be a number"),
        ("lms.m.package", "--index-url", "lms.m.package: '--index-url' is not allowed: String should match pattern"),
        ("lms.twin", {"source": "untrained", "of": "m"}, "lms.twin.seed: this key is missing"),
        ("tables", "table_a6", "tables: 'table_a6' is not allowed: it must be a list"),
        ("tables", ["table_a6", "table_a6"], "tables: ['table_a6', 'table_a6'] is not allowed: 'table_a6' is listed twice"),
    ],
)  # fmt: skip
def test_values_that_are_not_allowed(path, value, expected):
    assert expected in refusal(with_value(path, value))


def test_values_that_yaml_spells_its_own_way_are_allowed():
    config = parse_config(with_value("variants.ssae.lr", yaml.safe_load("1e-3")))
    assert config.variants["ssae"].settings[0].lr == 0.001  # YAML 1.1 reads 1e-3 as a string
    assert parse_config(with_value("seeds", [3, "5-6"])).blocks == ["3", "5-6"]
    assert parse_config(with_value("variants.ssae_paper.sparsity_level", 1)).variants["ssae_paper"].dumps[0][
        "sparsity_level"
    ] == 1.0  # fmt: skip


def test_seeds_of_a_block():
    assert (seeds_of("0-3"), seeds_of("10"), seeds_of("7-7")) == ([0, 1, 2, 3], [10], [7])
    assert "seed 7 is in two blocks" in refusal(with_value("seeds", ["0-99999", "7"]))


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ([0.1], "variants.ssae.grid must give each parameter a list of values, e.g. {lr: [0.01, 0.02]}"),
        (None, "variants.ssae.grid must give each parameter a list of values"),
        ({"lr": 0.1}, "variants.ssae.grid must give each parameter a list of values"),
        ({"lr": []}, "variants.ssae.grid must give each parameter a list of values"),
        ({"lrs": [1]}, f"variants.ssae.grid.lrs: this key is unknown: allowed are {keys('variants', 'ssae')}; did you mean 'lr'?"),
        ({"kind": ["ssae"]}, f"variants.ssae.grid.kind: this key is unknown: allowed are {keys('variants', 'ssae')}"),
        ({"lr": [0.1, -1]}, "variants.ssae.grid.lr: -1 is not allowed: Input should be greater than 0"),
        ({"lr": [0.1, 0.2, 0.1]}, "variants.ssae.grid: {'lr': 0.1} is there twice: list each value once"),
        ({"slack": [0.1]}, "variants.ssae.grid.slack: slack is also set outside the grid: remove one"),
    ],
)  # fmt: skip
def test_grids_that_are_not_allowed(grid, expected):
    assert expected in refusal(with_value("variants.ssae", {"slack": 0.05, "grid": grid}))


def test_the_maximum_of_beta_holds_in_a_grid_too():
    for level in (0, 1.5):
        message = refusal(with_value("variants.ssae_paper.grid", {"sparsity_level": [0.1, level]}))
        assert message.startswith(f"variants.ssae_paper.grid.sparsity_level: {level} is not allowed: ")


def test_an_unknown_key_beside_a_grid_is_not_blamed_on_the_grid():
    message = refusal(with_value("variants.ssae", {"lrr": 1, "grid": {"slack": [0.1]}}))
    assert message.startswith("variants.ssae.lrr: this key is unknown")


def test_a_grid_is_every_combination_of_its_values():
    config = parse_config(with_value("variants.ssae", {"steps": 9, "grid": {"lr": [0.1, 0.2], "slack": [0.3, 0.4]}}))
    settings = [(setting.steps, setting.lr, setting.slack) for setting in config.variants["ssae"].settings]
    assert settings == [(9, 0.1, 0.3), (9, 0.1, 0.4), (9, 0.2, 0.3), (9, 0.2, 0.4)]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("pairs.tiny", {"kind": "lang_1_1"}, "tiny is both under `pairs` and under `synthetic`: rename one"),
        ("lms.synthetic", WHEEL, "lms.synthetic: this name is taken by synthetic data, choose another"),
        ("variants.a/b", {"kind": "ssae"}, "variants.a/b: a name has letters, digits, '_', '-' and '.' only, a letter or digit first"),
        ("variants._a", {"kind": "ssae"}, "variants._a: a name has letters"),
        ("pairs.été", {"kind": "lang_1_1"}, "pairs.été: a name has letters"),
        ("lms", {}, "`pairs` need a language model: name one under `lms`"),
        ("pairs.mine", {"kind": "own", "path": "mine.csv"}, "pairs.mine.codes is missing: say how many concepts vary in these pairs, e.g. [5]; several sizes can be compared"),
        ("pairs.mine", {"kind": "own", "codes": [2]}, "pairs.mine.path: this key is missing"),
        ("pairs.mine", {"kind": "own", "codes": [2], "path": 3}, "pairs.mine.path: 3 is not allowed: it must be the path of a file"),
        ("pairs.mine.variants", ["mean_difference"], "no variant is left to train on mine with m: "),
    ],
)  # fmt: skip
def test_names_and_sections_that_do_not_fit(path, value, expected):
    assert refusal(with_value(path, value)).startswith(expected)


def test_lists_of_variants_that_leave_nothing_to_train():
    raw = with_value("lms.m.variants", ["ssae"])
    raw["pairs"]["lang_1_1"] = {"variants": ["ssae_paper"]}
    assert refusal(raw).startswith("no variant is left to train on lang_1_1 with m: ")


def test_nothing_to_train_on():
    assert refusal({"seeds": ["0"], "variants": {"ssae": {}}}).startswith(
        "there is nothing to train on: name a dataset"
    )


def test_a_table_that_needs_what_is_not_there():
    synthetic_only = {key: GOOD[key] for key in ("seeds", "synthetic", "variants")}
    assert refusal(synthetic_only | {"tables": ["table_a2"]}) == (
        "tables: 'table_a2' needs a dataset under `pairs` and a model under `lms`, and there is none: "
        "add one or leave table_a2 out"
    )
    language_only = {key: GOOD[key] for key in ("seeds", "lms", "pairs", "variants")}
    assert refusal(language_only | {"tables": ["table_a6"]}) == (
        "tables: 'table_a6' needs a dataset under `synthetic`, and there is none: add one or leave table_a6 out"
    )


# --- layers


def test_each_further_layer_is_a_source_with_the_first_variant_and_code_size():
    raw = with_layers()
    raw["pairs"]["mine"]["codes"] = [2, 4]
    config = parse_config(raw)
    assert config.layers_of("m") == {"m": "resid_post.4", "m@final_norm": "final_norm"}
    assert config.layers_of("twin") == {"twin": "resid_post.4", "twin@final_norm": "final_norm"}
    assert [lm for lm, dataset in config.trained_on() if dataset == "mine"] == [
        "m",
        "m@final_norm",
        "twin",
        "twin@final_norm",
    ]
    assert config.variants_on("m", "mine", 2) == ["ssae", "ssae_paper"]
    assert config.variants_on("m@final_norm", "mine", 2) == config.variants_on("twin@final_norm", "mine", 2) == ["ssae"]
    assert (config.codes("m", "mine"), config.codes("m@final_norm", "mine")) == ([2, 4], [2])


def test_layer_variants_and_the_main_layer_can_be_named():
    config = parse_config(with_layers(layer="final_norm", layer_variants=["ssae_paper", "mean_difference"]))
    assert config.layers_of("m") == {"m": "final_norm", "m@resid_post.4": "resid_post.4"}
    assert config.variants_on("m@resid_post.4", "lang_1_1") == ["ssae_paper", "mean_difference"]
    assert config.variants_on("m@resid_post.4", "mine") == ["ssae_paper"]  # nothing is labelled in these pairs
    assert config.variants_on("twin@resid_post.4", "lang_1_1") == ["ssae_paper", "mean_difference"]


def test_a_twin_may_be_read_elsewhere():
    raw = with_layers()
    raw["lms"]["twin"]["layer"] = "final_norm"
    assert parse_config(raw).layers_of("twin") == {"twin": "final_norm"}


def test_what_cannot_be_read_is_refused():
    assert refusal(with_value("lms.m.layers", ["embedding"])).startswith("lms.m.layers.0: 'embedding' is not allowed")
    assert "'final_norm' is listed twice" in refusal(with_value("lms.m.layers", ["final_norm", "final_norm"]))
    assert "add some, or leave it out" in refusal(with_value("lms.m.layer_variants", ["ssae"]))
    assert "did you mean 'ssae'?" in refusal(with_layers(layer_variants=["sae"]))
    assert "no variant is left to train" in refusal(with_layers(layer_variants=["mean_difference"]))
    assert "needs a model under `lms` with several `layers`" in refusal(with_value("figures", ["figure_layers"]))


@pytest.mark.parametrize("device_map", ["auto", "cuda:1", {"": "disk"}, {"model.layers": 0, "": "cpu"}])
def test_a_device_map_is_part_of_an_entry(device_map):
    assert parse_config(with_value("lms.m.device_map", device_map)).lms["m"].device_map == device_map


@pytest.mark.parametrize("device_map", ["gpu", {}, {"model": "gpu"}, {"model": -1}, {"model": True}, 0])
def test_a_device_map_of_another_kind_is_refused(device_map):
    said = refusal(with_value("lms.m.device_map", device_map))
    assert said.startswith("lms.m.device_map: ") and "it must be auto, balanced," in said


# --- behaviour


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"behaviour": {"truthfulqa": {}}}, "dataset 'truthfulqa' with questions is unknown: .*'truthfulqa_1_1'"),
        ({"behaviour": {"lang_1_1": {}}}, "dataset 'lang_1_1' with questions is unknown: allowed are truthfulqa_1_1"),
        ({"behaviour": {"truthfulqa_1_1": {"dose": [1]}}}, "dose: this key is unknown.*did you mean 'doses'"),
        ({"behaviour": {"truthfulqa_1_1": {"doses": [0, 1]}}}, "dose 0, the unsteered model, is always measured"),
        ({"behaviour": {"truthfulqa_1_1": {"doses": [1, 1]}}}, "listed twice"),
        ({"behaviour": {"truthfulqa_1_1": {"variants": ["sae"]}}}, "'sae' is unknown.*did you mean 'ssae'"),
        ({"behaviour": {}}, "'table_truthfulqa' needs a dataset under `behaviour`, and there is none"),
    ],
)
def test_mistakes_in_the_config_are_named(changes, message):
    with pytest.raises(ShiftScopeError, match=message):
        parse_config(truthfulqa_config(**changes))


def test_a_variant_that_no_vector_comes_from_is_an_error():
    pairs = {"truthfulqa_1_1": {"path": "mc_task.json", "variants": ["ssae"]}}
    asked = {"truthfulqa_1_1": {"variants": ["mean_difference"]}}
    with pytest.raises(ShiftScopeError, match="none of them is trained on truthfulqa_1_1 with tiny"):
        parse_config(truthfulqa_config(pairs=pairs, behaviour=asked))
    assert parse_config(truthfulqa_config()).steered("tiny", "truthfulqa_1_1") == ["ssae", "mean_difference"]


# --- files


def read(folder: Path, text: str | bytes, name: str = "c.yaml") -> str:
    """The message with which a file of this content is refused, without the folder's name."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ShiftScopeError) as caught:
        read_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{folder}/")


def test_malformed_yaml_names_file_and_line(tmp_path):
    message = read(tmp_path, 'seeds: ["0"]\nvariants:\n  ssae: {lr: [0.1}\n')
    assert message.startswith("c.yaml is not valid YAML: ")
    assert "line 3, column 18" in message
    assert "unicode string" not in message


def test_a_tab_in_yaml_names_its_line(tmp_path):
    assert "line 2, column 1" in read(tmp_path, "variants:\n\tssae: {}\n")


def test_a_key_that_is_given_twice_is_refused_and_not_dropped(tmp_path):
    text = 'seeds: ["0"]\nvariants:\n  ssae: {steps: 1}\n  ssae: {steps: 2}\n'
    assert (
        read(tmp_path, text)
        == "c.yaml is not valid YAML: key 'ssae' is given more than once line 3, column 3: ssae: {steps: 1} ^"
    )


def test_merged_yaml_blocks_are_no_repetition(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        'seeds: ["0"]\nsynthetic:\n  a: &a {n_varying: 3, max_changed: 2}\n  b: {<<: *a, max_changed: 1}\n'
        "variants: {ssae: {}}\n"
    )
    config = read_config(path)
    assert [config.synthetic[name].dump["max_changed"] for name in ("a", "b")] == [2, 1]
    assert config.synthetic["b"].dump["n_varying"] == 3


def test_latin_1_names_the_file_and_the_byte(tmp_path):
    text = "# caf\xe9\nseeds: []\n".encode("latin-1")
    assert read(tmp_path, text) == "c.yaml is not UTF-8 (byte 5): save it as UTF-8"


def test_an_empty_config_lacks_seeds(tmp_path):
    assert read(tmp_path, "") == "c.yaml: seeds: this key is missing"
    assert read(tmp_path, "# nothing\n") == "c.yaml: seeds: this key is missing"


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "list"), ("seeds\n", "str"), ("3\n", "int")])
def test_a_config_without_sections(tmp_path, text, kind):
    expected = f"c.yaml must hold sections such as `seeds:` and `variants:`, not a {kind}"
    assert read(tmp_path, text) == expected


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"cannot read the config .*nowhere\.yaml: No such file"):
        read_config(tmp_path / "nowhere.yaml")


def test_an_override_replaces_whole_sections_and_values_come_last(tmp_path):
    base, override = tmp_path / "base.yaml", tmp_path / "override.yaml"
    base.write_text(yaml.safe_dump(GOOD))
    override.write_text("variants: {ssae_paper: {}}\nseeds: [7]\n")
    config = read_config(base, [override], {"seeds": ["8-9"]})
    assert (list(config.variants), config.blocks, list(config.pairs)) == (["ssae_paper"], ["8-9"], ["lang_1_1", "mine"])


def test_an_error_names_every_source(tmp_path):
    base, override = tmp_path / "base.yaml", tmp_path / "override.yaml"
    base.write_text(yaml.safe_dump(GOOD))
    override.write_text("figures: []\n")
    with pytest.raises(ShiftScopeError) as caught:
        read_config(base, [override], {"seeds": 3})
    assert str(caught.value).startswith(f"{base} + {override} + --config: seeds: 3 is not allowed: ")


@pytest.mark.parametrize(
    "name",
    ["config.yaml", "config/test.yaml", "config/own_pairs.yaml", "config/full.yaml", "config/truthfulqa.yaml"],
)
def test_the_configs_of_this_repository_are_good(name):
    config = read_config(ROOT / "config.yaml", [] if name == "config.yaml" else [ROOT / name])
    assert config.trained_on()


def test_the_resolved_configuration_holds_every_default_and_does_not_depend_on_order():
    config = parse_config(GOOD)
    resolved = json.loads(config.resolved)
    assert resolved["variants"]["ssae"]["settings"][0]["max_rank"] == 200
    assert resolved["lms"]["m"]["layer"] == "final_norm"
    turned = GOOD | {"variants": dict(reversed(GOOD["variants"].items()))}
    assert parse_config(turned).resolved == config.resolved


def test_parsing_loads_nothing_heavy():
    """Everything that the Snakefile imports and reads while it is parsed, in a fresh process; numpy Snakemake itself has."""
    program = """
import sys
from pathlib import Path
exec("".join(line for line in Path("rules/common.smk").open() if line.startswith("from shiftscope")))
config = read_config("config.yaml")
for section in kinds.BASES:
    assert [kinds.load(section, name) for name in kinds.names(section)]
for name in catalogue.names():
    catalogue.entry(name)
heavy = {"torch", "transformers", "pandas", "matplotlib", "pyarrow", "scipy", "sklearn", "safetensors"}
print(*sorted(heavy & set(sys.modules)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
