"""`posterior` and `causal` of a language model: what a config must say for them to have something to do, and what rules get."""

import copy

import pytest
from helpers.configs import GOOD, refusal

from shiftscope.config.read import parse_config

HERE = {"source": "train", "corpus": "hints"}


def config(lms: dict, **changes) -> dict:
    raw = copy.deepcopy(GOOD) | {"corpora": {"hints": {}, "grammar": {}}, "tables": []}
    raw["lms"] |= lms
    return raw | changes


@pytest.mark.parametrize(
    ("lms", "says"),
    [
        ({"m2": GOOD["lms"]["m"] | {"posterior": {}}}, "lms.m2.posterior: nobody knows the posterior of what m2 reads"),
        ({"h": HERE | {"posterior": {"joint": [["place", "moood"]]}}},
         "lms.h.posterior.joint: concept 'moood' of which something follows is unknown: allowed are mood, place; did you mean 'mood'?"),
        ({"h": HERE | {"posterior": {"joint": [["place", "tone"]]}}}, "concept 'tone' of which something follows is unknown"),
        ({"h": HERE | {"posterior": {"joint": [["place"]]}}}, "lms.h.posterior.joint.0"),
        ({"h": HERE | {"posterior": {"context": 9}}}, "lms.h.posterior.context: this key is unknown"),
        ({"h": HERE | {"pairs": [], "causal": {}}}, "lms.h.causal: variants are trained on no dataset of labelled pairs with h"),
        ({"m2": GOOD["lms"]["m"] | {"causal": {"datasets": ["gender_1_1"]}}},
         "lms.m2.causal.datasets: 'gender_1_1', as m2 has it, is unknown: allowed are lang_1_1"),
        ({"m2": GOOD["lms"]["m"] | {"causal": {"datasets": ["mine"]}}}, "lms.m2.causal.datasets: 'mine', as m2 has it, is unknown"),
        ({"m2": GOOD["lms"]["m"] | {"causal": {"others": ["bat27"]}}}, "lms.m2.causal.others: 'bat27', as m2 has it, is unknown"),
        ({"m2": GOOD["lms"]["m"] | {"causal": {"variants": ["sae"]}}}, "lms.m2.causal.variants: 'sae', as m2 has it, is unknown"),
        ({"twin2": {"source": "untrained", "of": "m", "seed": 1, "causal": {}}}, "lms.twin2.causal: twin2 is there to be compared with another"),
        ({"m2": GOOD["lms"]["m"] | {"causal": {"doses": [0, 1]}}}, "dose 0, the unsteered model, is always measured"),
    ],
)  # fmt: skip
def test_what_would_have_nothing_to_do_is_refused(lms, says):
    assert says in refusal(config(lms))


def test_a_variant_that_is_not_trained_there_is_refused():
    raw = config({"m2": GOOD["lms"]["m"] | {"variants": ["ssae"], "causal": {"variants": ["ssae_paper"]}}})
    assert "lms.m2.causal.variants: none of them is trained on lang_1_1" in refusal(raw)


def test_rules_get_datasets_variants_and_whether_the_recommendation_is_the_usual_one():
    variants = {"ssae": {}, "shared": {}, "mean_difference": {}, "affine": {"shown_in": ["table_a2"]}}
    lms = {
        "all": GOOD["lms"]["m"] | {"causal": {}},
        "some": GOOD["lms"]["m"] | {"causal": {"variants": ["ssae"], "others": ["lang_1_1"]}},
    }
    study = parse_config(config(lms, variants=variants))
    assert study.causal_on("all") == ["lang_1_1"]  # the pairs of `mine` are not labelled
    assert study.causal_variants("all") == ["ssae", "shared", "mean_difference"]
    assert study.recommended_in_causal("all") == ["lang_1_1"] and study.recommended_in_causal("some") == []
    assert study.needed_by("causal") == [("all", "lang_1_1"), ("some", "lang_1_1")]


def test_the_tables_need_what_they_show():
    raw = config({}, tables=["table_posterior"])
    assert "'table_posterior' needs a model with `source: train` and `posterior` under `lms`" in refusal(raw)
    raw = config({}, figures=["figure_causal"])
    assert "'figure_causal' needs a model with `causal` under `lms`" in refusal(raw)
    study = parse_config(config({"h": HERE | {"posterior": {}}}, tables=["table_posterior"]))
    assert study.posterior["h"].contexts == 2000


def test_a_language_model_may_read_no_pairs():
    study = parse_config(config({"h": HERE | {"pairs": []}}))
    assert not [place for place in study.trained_on() if place[0] == "h"]
