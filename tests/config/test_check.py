"""What sections must agree on, and the one line that says where they do not."""

import pytest
from helpers.clone import ROOT
from helpers.configs import GOOD, WHEEL, mapped, modules, refusal, truthfulqa_config, with_layers, with_value

from shiftscope.config.read import parse_config
from shiftscope.errors import ShiftScopeError


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
        ("pairs.tiny", {"kind": "lang_1_1"}, "tiny is both under `pairs` and under `synthetic`: rename one"),
        ("lms.synthetic", WHEEL, "lms.synthetic: this name is taken by synthetic data, choose another"),
        ("variants.a/b", {"kind": "ssae"}, "variants.a/b: a name has letters, digits, '_', '-' and '.' only, a letter or digit first"),
        ("variants._a", {"kind": "ssae"}, "variants._a: a name has letters"),
        ("pairs.été", {"kind": "lang_1_1"}, "pairs.été: a name has letters"),
        ("lms", {}, "`pairs` need a language model: name one under `lms`"),
        ("pairs.mine", {"kind": "own", "path": "mine.csv"}, "pairs.mine.codes is missing: say how many concepts vary in these pairs, e.g. [5]; several sizes can be compared"),
        ("pairs.mine", {"kind": "own", "codes": [2]}, "pairs.mine: {} is not allowed: give either `path` or `hub`"),
        ("pairs.mine", {"kind": "own", "codes": [2], "path": 3}, "pairs.mine.path.0: 3 is not allowed: it must be the path of a file"),
        ("pairs.mine.variants", ["mean_difference"], "no variant is left to train on mine with m: "),
    ],
)  # fmt: skip
def test_names_and_sections_that_do_not_fit(path, value, expected):
    assert refusal(with_value(path, value)).startswith(expected)


def test_lists_of_variants_that_leave_nothing_to_train():
    raw = with_value("lms.m.variants", ["ssae"])
    raw["pairs"]["lang_1_1"] = {"variants": ["ssae_paper"]}
    assert refusal(raw).startswith("no variant is left to train on lang_1_1 with m: ")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("pairs.words.codes", [9], "pairs.words.codes: nothing is trained on these pairs unless `variants` beside it says"),
        ("variants.ssae.datasets", ["words"], "variants.ssae.datasets: nothing is trained on words unless pairs.words.variants"),
    ],
)  # fmt: skip
def test_words_that_nothing_is_trained_on_take_no_part_in_training(path, value, expected):
    raw = with_value(path, value)
    raw["pairs"]["words"] = {"kind": "bat27"} | raw["pairs"].get("words", {})
    assert refusal(raw).startswith(expected)
    raw["pairs"]["words"]["variants"] = ["ssae"]
    parse_config(raw)


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


def test_what_cannot_be_read_is_refused():
    assert refusal(with_value("lms.m.layers", ["embedding"])).startswith("lms.m.layers.0: 'embedding' is not allowed")
    assert "'final_norm' is listed twice" in refusal(with_value("lms.m.layers", ["final_norm", "final_norm"]))
    assert "add some, or leave it out" in refusal(with_value("lms.m.layer_variants", ["ssae"]))
    assert "did you mean 'ssae'?" in refusal(with_layers(layer_variants=["sae"]))
    assert "no variant is left to train" in refusal(with_layers(layer_variants=["mean_difference"]))
    assert "needs a model under `lms` with several `layers`" in refusal(with_value("figures", ["figure_layers"]))


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


TRAINED = {"source": "train", "corpus": "words"}


@pytest.mark.parametrize(
    ("corpora", "message"),
    [
        ({"words": {"kind": "text", "path": "x"}}, "lms.own.corpus: grammar 'words' is unknown: allowed are none: a language model is trained on text "
         "whose concepts are known"),
        ({"words": {"kind": "text", "path": "x"}, "word": {"kind": "grammar"}}, "lms.own.corpus: grammar 'words' is unknown: allowed are word; did you mean 'word'?"),
        ({}, "lms.own.corpus: corpus 'words' is unknown: allowed are none"),
        ({"docs": {}}, f"corpora.docs: kind 'docs' (its name, for it has no `kind`) is unknown: allowed are {modules('corpora')}"),
        ({"text": {}}, "corpora.text.path: this key is missing"),
        ({"pile": {}}, "corpora.pile: {} is not allowed: give either repo_id with revision (a commit of 40 digits), or path"),
        ({"pile": {"repo_id": "a/b", "revision": "main"}}, "corpora.pile.revision: 'main' is not allowed: String should match pattern"),
        ({"docstrings": {"packages": []}}, "corpora.docstrings.packages: [] is not allowed: "),
        ({"docstrings": {"documents": 0}}, "corpora.docstrings.documents: 0 is not allowed: Input should be greater than or equal to 1"),
        ({"docstrings": {"character": 9}}, "corpora.docstrings.character: this key is unknown: allowed are characters, deduplicate, documents, "
         "kind, least, packages; did you mean 'characters'?"),
    ],
)  # fmt: skip
def test_corpora_that_are_refused(corpora, message):
    assert refusal(with_value("lms.own", TRAINED) | {"corpora": corpora}).startswith(message)


def test_a_corpus_that_is_read_may_stand_beside_a_grammar():
    raw = with_value("lms.own", TRAINED) | {"corpora": {"words": {"kind": "grammar"}, "docstrings": {}}}
    assert set(parse_config(raw).corpora) == {"words", "docstrings"}
