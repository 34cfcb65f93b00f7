"""What an entry may be, and the one line with which a wrong value or key is refused."""

import pytest
import yaml
from helpers.configs import keys, refusal, with_value

from shiftscope.config.read import parse_config
from shiftscope.config.sections import seeds_of

LM_KEYS = (
    "source",
    "layer",
    "layers",
    "layer_variants",
    "dtype",
    "batch_tokens",
    "causal",
    "device_map",
    "posterior",
    "variants",
    "pairs",
)
DATASET_KEYS = ("kind", "codes", "variants")
VARIANT_KEYS = keys("variants", "ssae", "kind", "grid", "datasets", "shown_in", "trained_with")


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
        ("seed", "seed: this key is unknown: allowed are activations, behaviour, corpora, figures, lms, pairs, seeds, simulations, synthetic, tables, variants; did you mean 'seeds'?"),
        ("metrics", "metrics: this key is unknown: allowed are activations, behaviour, corpora, figures, lms, pairs, seeds, simulations, synthetic, tables, variants"),
        ("variants.ssae.shrinkages", f"variants.ssae.shrinkages: this key is unknown: allowed are {VARIANT_KEYS}; did you mean 'shrinkage'?"),
        ("variants.ssae.settings", f"variants.ssae.settings: this key is unknown: allowed are {VARIANT_KEYS}"),
        ("lms.m.layr", f"lms.m.layr: this key is unknown: allowed are {keys('lms', 'wheel', *LM_KEYS)}; did you mean 'layer'?"),
        ("lms.twin.off", f"lms.twin.off: this key is unknown: allowed are {keys('lms', 'untrained', *LM_KEYS)}; did you mean 'of'?"),
        ("pairs.lang_1_1.code", f"pairs.lang_1_1.code: this key is unknown: allowed are {keys('pairs', 'lang_1_1', *DATASET_KEYS, 'choose_codes', 'embedded_with')}; did you mean 'codes'?"),
        ("synthetic.tiny.n_vary", f"synthetic.tiny.n_vary: this key is unknown: allowed are {keys('synthetic', 'linear_shifts', *DATASET_KEYS)}; did you mean 'n_varying'?"),
    ],
)  # fmt: skip
def test_unknown_keys(path, expected):
    assert refusal(with_value(path, 1)) == expected


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
        ("variants.ssae.lr", "fast", "variants.ssae.lr: 'fast' is not allowed: it must be a number"),
        ("variants.ssae.lr", True, "variants.ssae.lr: True is not allowed: it must be a number"),
        ("variants.ssae.lr", float("nan"), "variants.ssae.lr: nan is not allowed: Input should be a finite number"),
        ("variants.ssae.lr", float("inf"), "variants.ssae.lr: inf is not allowed: Input should be a finite number"),
        ("variants.ssae.lr", 0, "variants.ssae.lr: 0 is not allowed: Input should be greater than 0"),
        ("variants.ssae.steps", -1, "variants.ssae.steps: -1 is not allowed: Input should be greater than or equal to 0"),
        ("variants.ssae.steps", 1.5, "variants.ssae.steps: 1.5 is not allowed: it must be a whole number"),
        ("variants.ssae.grid", {"n_pairs": [9, None]}, "variants.ssae.grid.n_pairs: a curve over numbers of pairs is a variant of its own"),
        ("variants.curve", {"kind": "ssae", "grid": {"n_pairs": [9], "lr": [1]}, "shown_in": ["table_a6"]}, "nothing else in its grid"),
        ("variants.curve", {"kind": "ssae", "grid": {"n_pairs": [9, 99]}}, "and `shown_in: [figure_pairs]` beside it"),
        ("variants.ssae_paper.batch_size", -32, "variants.ssae_paper.batch_size: -32 is not allowed: Input should be greater than or equal to 2"),
        ("variants.ssae_paper.sparsity_level", 0, "variants.ssae_paper.sparsity_level: 0 is not allowed: Input should be greater than 0"),
        ("variants.ssae_paper.sparsity_level", 1.001, "variants.ssae_paper.sparsity_level: 1.001 is not allowed: Input should be less than or equal to 1"),
        ("synthetic.tiny.n_varying", "three", "synthetic.tiny.n_varying: 'three' is not allowed: it must be a whole number"),
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
        ("lms.m.layer", "block.3", "lms.m.layer: 'block.3' is not allowed: a layer is final_norm, or resid_post.L"),
        ("lms.m.dtype", "float64", "lms.m.dtype: 'float64' is not allowed: Input should be 'float32', 'float16' or 'bfloat16'"),
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
    assert "seed 7 is in two blocks" in refusal(with_value("seeds", ["0-99", "7"]))


def test_the_maximum_of_beta_holds_in_a_grid_too():
    for level in (0, 1.5):
        message = refusal(with_value("variants.ssae_paper.grid", {"sparsity_level": [0.1, level]}))
        assert message.startswith(f"variants.ssae_paper.grid.sparsity_level: {level} is not allowed: ")


@pytest.mark.parametrize("device_map", ["auto", "cuda:1", {"": "disk"}, {"model.layers": 0, "": "cpu"}])
def test_a_device_map_is_part_of_an_entry(device_map):
    assert parse_config(with_value("lms.m.device_map", device_map)).lms["m"].device_map == device_map


@pytest.mark.parametrize("device_map", ["gpu", {}, {"model": "gpu"}, {"model": -1}, {"model": True}, 0])
def test_a_device_map_of_another_kind_is_refused(device_map):
    said = refusal(with_value("lms.m.device_map", device_map))
    assert said.startswith("lms.m.device_map: ") and "it must be auto, balanced," in said
