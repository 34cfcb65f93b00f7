"""What rules ask of a config: what is trained on what, and where it is shown."""

import json

import pytest
from helpers.configs import GOOD, WHEEL, mapped, refusal, with_layers, with_value

from shiftscope.config.read import parse_config


def test_the_good_configuration_is_good():
    config = parse_config(GOOD)
    assert config.trained_on() == [
        ("m", "lang_1_1"), ("m", "mine"), ("twin", "lang_1_1"), ("twin", "mine"), ("synthetic", "tiny"),
    ]  # fmt: skip
    assert config.variants_on("m", "lang_1_1") == ["ssae", "ssae_paper", "mean_difference"]
    assert config.variants_on("m", "mine") == ["ssae", "ssae_paper"]  # nothing is labelled in these pairs
    assert config.blocks_of("ssae", "lang_1_1") == ["0-1"]
    several = parse_config(with_value("seeds", ["3-4", "0-1"]))
    assert several.blocks_of("ssae", "lang_1_1") == ["3-4", "0-1"]
    assert several.blocks_of("mean_difference", "lang_1_1") == ["3-4"]  # no seed enters: once is enough
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


def test_variants_share_a_job_where_they_are_trained():
    raw = with_value("variants.ssae_paper.trained_with", "ssae")
    raw["synthetic"]["tiny"]["codes"] = {3: "all", 6: ["ssae_paper"]}
    raw["variants"]["ssae_paper"]["datasets"] = ["mine", "tiny"]
    config = parse_config(raw)
    assert config.trained_together(config.trained_on()) == {
        ("ssae", "ssae_paper"): [("m", "mine", 2), ("twin", "mine", 2), ("synthetic", "tiny", 3)]
    }
    assert parse_config(GOOD).trained_together(config.trained_on()) == {}
    raw["variants"] = dict(reversed(raw["variants"].items()))
    assert list(parse_config(raw).trained_together(config.trained_on())) == [
        ("ssae", "ssae_paper")
    ]  # the job is called after its host


@pytest.mark.parametrize(
    ("name", "host", "says"),
    [
        ("ssae_paper", "ssea", "did you mean 'ssae'?"),
        ("ssae_paper", "ssae_paper", "other variant 'ssae_paper'"),
        ("affine", "ssae_paper", "ssae_paper is itself trained with ssae: write ssae"),
    ],
)
def test_variants_that_cannot_share_a_job_are_refused(name, host, says):
    raw = with_value(f"variants.{name}", {"trained_with": host})
    if name == "affine":
        raw["variants"]["ssae_paper"]["trained_with"] = "ssae"
    said = refusal(raw)
    assert f"variants.{name}.trained_with: " in said and says in said


def test_datasets_share_a_job_where_they_are_embedded():
    raw = with_value("pairs.lang_1_1", {"embedded_with": "mine"})
    raw["pairs"]["gender_1_1"] = {"embedded_with": "mine"}
    raw["lms"]["m"]["pairs"] = ["lang_1_1", "gender_1_1", "mine"]
    raw["lms"]["twin"]["pairs"] = ["lang_1_1", "gender_1_1"]
    config = parse_config(raw)
    assert config.embedded_together("m") == [("mine", "lang_1_1", "gender_1_1")]
    assert config.embedded_together("twin") == [("lang_1_1", "gender_1_1")]  # the host's place is taken
    assert parse_config(GOOD).embedded_together("m") == []


@pytest.mark.parametrize(("host", "says"), [("lang_1_1", "other dataset 'lang_1_1'"), ("mien", "did you mean 'mine'?"), ("gender_1_1", "gender_1_1 is itself embedded with mine: write mine"), ("corr_2_1", "lang_1_1 and corr_2_1 each name the other: remove one of the two keys")])  # fmt: skip
def test_datasets_that_cannot_share_a_job_are_refused(host, says):
    raw = with_value("pairs.lang_1_1", {"embedded_with": host})
    raw["pairs"] |= {"gender_1_1": {"embedded_with": "mine"}, "corr_2_1": {"embedded_with": "lang_1_1"}}
    said = refusal(raw)
    assert "pairs.lang_1_1.embedded_with: " in said and says in said


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


def test_words_that_tell_concepts_apart_are_embedded_and_trained_on_only_where_their_entry_says_so():
    raw = with_layers()
    raw["pairs"]["bat27"] = {}
    raw["lms"]["mapped"] = {"source": "mapped", "of": "m", "pairs": ["mine"], "variants": ["ssae"]}
    config, without = parse_config(raw), parse_config(with_layers())
    assert without.words_on() == []
    assert config.words_on() == [(lm, "bat27") for lm in ("m", "m@final_norm", "twin", "twin@final_norm")]
    assert config.variants_on("m", "bat27") == config.vectors_of("m", "bat27") == []
    assert [place for place in config.trained_on() if place[0] != "mapped"] == without.trained_on()
    for kind in ("language", "layers", "all", "synthetic"):
        assert config.needed_by(kind) == without.needed_by(kind)
    assert not any(dataset == "bat27" for _, dataset in config.exported())
    raw["lms"]["m"]["pairs"] = ["lang_1_1"]
    assert parse_config(raw).words_on() == [("twin", "bat27"), ("twin@final_norm", "bat27")]

    asked = with_value("pairs.bat27", {"variants": ["mean_difference", "ssae"]})
    config = parse_config(asked)
    assert [place for place in config.trained_on() if place[1] == "bat27"] == [("m", "bat27"), ("twin", "bat27")]
    assert (config.codes("m", "bat27"), config.variants_on("m", "bat27")) == ([27], ["ssae", "mean_difference"])
    assert ("m", "bat27") in config.words_on()


def test_latents_are_described_where_words_are_read_and_not_of_twins_or_what_is_there_for_some_tables():
    raw = with_layers(layer_variants=["ssae", "topk"])
    raw["corpora"] = {"docs": {"kind": "docstrings"}}
    raw["activations"] = {"docs": {"lms": ["m", "twin"], "tokens": 1000, "held_out": 200, "codes": [64]}}
    raw["variants"]["topk"] = {"batch_size": 100}
    assert parse_config(raw).described() == []
    raw["pairs"]["bat27"] = {}
    assert parse_config(raw).described() == [("m", "docs"), ("m@final_norm", "docs")]
    raw["lms"]["m"]["layer_variants"] = ["ssae"]
    assert parse_config(raw).described() == [("m", "docs")]
    raw["variants"]["topk"]["shown_in"] = ["figure_b6"]
    assert parse_config(raw).described() == []


def test_concepts_of_words_are_tried_on_no_other_dataset():
    raw = with_value("pairs.words", {"kind": "bat27", "variants": ["ssae"]})
    raw["pairs"]["again"] = {"kind": "bat27", "variants": ["ssae"], "seed": 1}
    raw["pairs"]["mine"] |= {"concepts": ["male_female"]}
    raw["pairs"]["more"] = raw["pairs"]["mine"]
    assert parse_config(raw).transfers("m") == [("mine", "more"), ("more", "mine")]


def test_the_resolved_configuration_holds_every_default_and_does_not_depend_on_order():
    config = parse_config(GOOD)
    resolved = json.loads(json.dumps(config.resolved))
    assert resolved["variants"]["ssae"]["settings"][0]["max_rank"] == 200
    assert resolved["lms"]["m"]["layer"] == "final_norm"
    turned = GOOD | {"variants": dict(reversed(GOOD["variants"].items()))}
    assert parse_config(turned).resolved == config.resolved
