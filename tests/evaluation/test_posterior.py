"""The log-posterior test: representations that are known, and a tiny language model from corpus to tables."""

import logging

import numpy as np
import pytest
from helpers.grammars import hinting_lm
from helpers.tables import built

from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.corpora.hints import Hints
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation import posterior as evaluation
from shiftscope.evaluation.posterior import (
    PosteriorSlice,
    Representation,
    bag_of_tokens,
    draw_contexts,
    evaluate,
    known_of,
)
from shiftscope.files import read_json, write_json
from shiftscope.generative.grammar import Concept, Grammar, case, choice
from shiftscope.metrics.posterior import centred


@pytest.fixture(scope="module")
def grammar():
    return Hints().build()


@pytest.fixture(scope="module")
def contexts(grammar):
    return draw_contexts(grammar, 500, 0)


def means(rows: list[dict], control: str = "") -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.get("control", "") == control:
            found.setdefault(row["metric"], []).append(row["value"])
    return {name: float(np.mean(values)) for name, values in found.items()}


def scores(known, values: np.ndarray, contexts) -> list[dict]:
    """Rows of a representation that is given for the contexts that count."""
    everywhere = np.zeros((len(contexts.words), values.shape[1]))
    everywhere[known.rows] = values
    readings = [Representation({"layer": "final_norm"}, everywhere)]
    return list(evaluation._of_concepts(known, readings, bag_of_tokens(contexts), contexts))


def test_contexts_are_distinct_and_those_of_a_slot_are_followed_by_the_same_words(grammar, contexts):
    assert len(set(contexts.words)) == len(contexts.words) == 500
    for slot in np.unique(contexts.slot):
        following = {
            frozenset(grammar.next_words(contexts.words[row])) for row in np.flatnonzero(contexts.slot == slot)
        }
        assert len(following) == 1
    row = 7
    assert contexts.log_probability[row] == pytest.approx(grammar.log_probability(contexts.words[row]))


def test_only_contexts_count_in_which_every_value_is_possible():
    grammar = ShortDocuments().build()
    some = draw_contexts(grammar, 400, 0)
    known, excluded = known_of(grammar, some, ["gender"], one_slot=False)
    assert 0 < excluded < 1 and len(known.rows) == round((1 - excluded) * 400)
    assert (known.posterior > 0).all() and known.posterior.sum(1) == pytest.approx(1)
    for row, law in list(zip(known.rows, known.posterior, strict=True))[:20]:
        exact = grammar.posterior(some.words[row], ["gender"])
        assert law == pytest.approx([exact["masculine",], exact["feminine",]])


def test_a_half_has_half_of_every_slot(grammar, contexts):
    known, _ = known_of(grammar, contexts, ["mood"], one_slot=False)
    fit = known.half(0)
    for slot in np.unique(known.slot):
        assert abs(int(fit[known.slot == slot].sum()) * 2 - int((known.slot == slot).sum())) <= 1
    assert (fit != known.half(1)).any() and (fit == known.half(0)).all()


def test_a_joint_posterior_is_of_one_slot_and_an_unknown_concept_is_named(grammar, contexts):
    known, excluded = known_of(grammar, contexts, ["place", "mood"], one_slot=True)
    assert len(np.unique(known.slot)) == 1 and known.posterior.shape[1] == 6 and excluded > 0.1
    with pytest.raises(ShiftScopeError, match=r"the concept 'moood' of `joint` is unknown.*did you mean 'mood'"):
        known_of(grammar, contexts, ["place", "moood"], one_slot=True)


def test_a_representation_that_is_the_log_posterior_is_linear_in_it_and_its_square_is_not(grammar, contexts):
    known, _ = known_of(grammar, contexts, ["place", "mood"], one_slot=True)
    target = centred(known.posterior)
    found = scores(known, target @ np.random.default_rng(0).normal(size=(6, 16)), contexts)
    assert means(found)["posterior_r2"] > 0.999 and means(found)["representation_r2"] > 0.999
    permuted = means(found, "permuted_labels")
    assert max(permuted["posterior_r2"], permuted["representation_r2"]) < 0.1
    assert means(found)["posterior_calibration"] < permuted["posterior_calibration"] / 2
    assert means(found)["posterior_error_depth_high"] < 0.01
    square = means(scores(known, np.square(target), contexts))
    assert square["posterior_r2"] < 0.9 and square["representation_r2"] < 0.9


def test_counts_of_tokens_do_not_tell_what_a_word_before_turns(grammar, contexts):
    mood, _ = known_of(grammar, contexts, ["mood"], one_slot=False)
    tone, _ = known_of(grammar, contexts, ["tone"], one_slot=False)
    bag = {one.name: means(scores(one, np.ones((len(one.rows), 2)), contexts), "bag_of_tokens") for one in (mood, tone)}
    assert bag["tone"]["posterior_r2"] > 0.95 > 0.85 > bag["mood"]["posterior_r2"]


def test_a_posterior_that_never_varies_is_left_out_and_said(caplog):
    grammar = ShortDocuments().build()
    some = draw_contexts(grammar, 400, 0)
    known, excluded = known_of(grammar, some, ["bullet"], one_slot=False)
    with caplog.at_level(logging.WARNING):
        assert not evaluation._testable(known, excluded, "grammar")
    assert "bullet is not tested: its log-posterior is the same wherever it is uncertain" in caplog.text


def test_a_concept_that_is_always_on_and_one_that_is_always_told_are_left_out_and_said(caplog):
    told = case("told", {"yes": "y", "no": "n"})
    hinted = case("on", {"on": choice({"a": 3, "b": 1}), "off": choice({"a": 1, "b": 3})})
    concepts = {"on": Concept(("on", "off"), {(): (1.0, 0.0)}), "told": Concept(("yes", "no"), {(): (1.0, 1.0)})}
    grammar = Grammar(concepts, (told, *(choice({(hinted,): 1, (): 1}) for _ in range(8))))
    some = draw_contexts(grammar, 200, 0)
    with caplog.at_level(logging.WARNING):
        for name in concepts:
            known, excluded = known_of(grammar, some, [name], one_slot=False)
            assert excluded == 1 and not evaluation._testable(known, excluded, "mine")
    assert "on is not tested: only 0 contexts count (100 % left out)" in caplog.text
    assert "told is not tested: only 0 contexts count (100 % left out)" in caplog.text


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return hinting_lm(tmp_path_factory.mktemp("lm"))


ASKED = PosteriorSlice(
    lm="h", dtype="float32", batch_tokens=2048, device_map=None, contexts=400, joint=[["place", "mood"]], seed=0
)


def test_a_language_model_with_its_checkpoints_and_its_twin(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "FEWEST", 20)
    folder, corpus, twin = trained
    rows = evaluate(ASKED, folder, corpus, twin)
    assert {row["layer"] for row in rows} == {"resid_post.0", "final_norm"}
    assert {row.get("step") for row in rows} == {None, 10}  # step 0 is the untrained network
    assert {row["control"] for row in rows} == {"", "untrained_lm", "bag_of_tokens", "permuted_labels"}
    assert {row["concept"] for row in rows} == {"place", "mood", "tone (NULL)", "place × mood"}
    table = built("table_posterior", rows, tmp_path)
    assert (table.loc[table["metric"] != "posterior_excluded", "n"] == evaluation.HALVES).all()
    assert table["excluded"].between(0, 1).all()
    assert "place × mood, after 10 steps" in set(table["variant"])
    figure = built("figure_posterior", rows, tmp_path)
    assert figure["epsilon"].nunique() > 2 and set(figure["series"]) == {"c"}
    assert evaluate(ASKED, folder, corpus, twin) == rows  # a seed fixes all of it


def test_another_corpus_or_twin_is_refused(trained, tmp_path):
    folder, corpus, twin = trained
    write_json(tmp_path / "other.json", read_json(corpus) | {"sha256": "0"})
    with pytest.raises(ShiftScopeError, match="is not the corpus that h learned from"):
        evaluate(ASKED, folder, tmp_path / "other.json", twin)
    with pytest.raises(ShiftScopeError, match="is not the untrained twin of other"):
        evaluate(ASKED.model_copy(update={"lm": "other"}), folder, corpus, twin)
