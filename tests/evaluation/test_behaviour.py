"""Doses of steering vectors: chosen on half of the questions and scored on the others, with random directions beside them."""

import numpy as np
import pytest
from helpers.answers import BASE, direction, outcome_of
from helpers.questions import question, save

from shiftscope.evaluation.behaviour import (
    Outcome,
    answer_texts,
    best_column,
    directions_of,
    measure,
    rows_of,
    steerings_of,
)
from shiftscope.metrics.steering import halves
from shiftscope.pairs.truthfulqa_1_1 import Truthfulqa11


def test_measure_finds_every_answer_of_every_question(tmp_path):
    file = save(tmp_path / "mc_task.json", [question(number) for number in range(20)])
    dataset = Truthfulqa11(path=file)
    questions = dataset.read_questions()[0][:2]
    answers = answer_texts(questions, dataset.template)
    assert len(answers) == 12  # mc2's answers hold those of mc1
    assert all(text.text[text.start :] == f" {answer}" for _, answer, text in answers)
    # the first question's best right answer is the likeliest, the second's is beaten by one wrong answer
    likely = {
        0: {"the blue": 0.5, "a word": 0.25, "the green": 0.25},
        1: {"the green": 0.2, "a word": 0.6, "the king": 0.2},
    }
    table = np.log([[likely[index].get(answer, 1e-9)] for index, answer, _ in answers])
    outcome = measure(questions, answers, table, np.log([[0.5], [0.125]]), np.array([1, 1]))
    assert outcome.mc1[:, 0].tolist() == [1, 0]
    assert outcome.mc2[:, 0] == pytest.approx([0.75, 0.4])
    assert outcome.perplexity[0] == pytest.approx(4)  # √(2 · 8)


def test_vectors_point_to_right_answers_and_random_ones_have_their_lengths():
    about = {"variant": "ssae", "kind": "ssae", "codes": 2, "seed": 3, "names": ["truthful", "code_1"]}
    right = np.array([1, 2, 0, 0], np.float32)
    vectors = {"truthful": np.array([0, 2, 0, 0], np.float32), "code_1": np.array([-3, 0, 0, 4], np.float32)}
    others = {"seed_0.code_0": np.array([0, -1, 0, 0], np.float32)}
    found = directions_of(about, "{}", vectors, others, right, random=2)
    assert [(one.control, one.seed, one.concept) for one in found] == [
        ("", 3, "truthful"), ("", 3, "code_1"), ("", 0, "code_0"),
        *[("random_dictionary", draw, f"random_{index}") for draw in (0, 1) for index in (0, 1)],
    ]  # fmt: skip
    assert [one.vector.tolist() for one in found[:3]] == [[0, 2, 0, 0], [3, 0, 0, -4], [0, 1, 0, 0]]
    assert [float(np.linalg.norm(one.vector)) for one in found[3:]] == pytest.approx([2, 5, 2, 5], rel=1e-5)
    assert all(one.vector @ right > 0 for one in found)
    table = steerings_of(found, [-1, 0.5])
    assert table.shape == (1 + 7 * 2, 4)
    assert not table[0].any()
    assert table[3].tolist() == [-3, 0, 0, 4]


def test_a_dose_is_chosen_for_mc2_within_the_allowed_perplexity():
    outcome = outcome_of([0.4, 0.45, 0.9, 0.45], [10, 10, 12, 10])
    fit = np.arange(40) < 20
    assert best_column(outcome, [0, 1, 2, 3], fit, rise=1.1) == 1  # the first, weakest, of two equal ones
    assert best_column(outcome, [0, 1, 2, 3], fit, rise=1.3) == 2
    assert best_column(outcome, [0, 2], fit, rise=1.0) == 0  # rather none than a broken model


def value(rows, metric, dose=None, **keys):
    found = [row["value"] for row in rows if row["metric"] == metric and row.get("dose") == dose
             and all(row.get(name) == one for name, one in keys.items())]  # fmt: skip
    assert len(found) == 1, found
    return found[0]


def test_no_dose_is_scored_on_questions_it_was_chosen_on():
    """A steering that helps only the questions that choose scores, on the others, exactly what it loses there."""
    outcome = outcome_of([0.4, 0.4], [10, 10])
    fit = np.zeros(40, bool)
    for seed in range(3):
        rows = rows_of(BASE, [direction()], [1.0], outcome, seed, 1.1)
        assert value(rows, "dose_chosen", control="") == 0
        fit = truthful_halves(seed)
        outcome.mc2[:, 1] = np.where(fit, 0.9, 0.1)
        rows = rows_of(BASE, [direction()], [1.0], outcome, seed, 1.1)
        assert value(rows, "dose_chosen", control="") == 1
        assert value(rows, "mc2_chosen", control="") == pytest.approx(0.1)
        assert value(rows, "mc2_chosen", control="no_steering") == pytest.approx(0.4)
        assert value(rows, "mc2", dose=1.0, control="") == pytest.approx(0.5)
        outcome.mc2[:, 1] = 0.4


def truthful_halves(seed):
    return halves(np.arange(40), seed)


def test_rows_have_the_curve_of_every_vector_and_one_choice_per_model():
    directions = [direction(), direction(concept="code_1"), direction(seed=1), direction(control="random_dictionary")]
    doses = [-1.0, 2.0]
    generator = np.random.default_rng(0)
    outcome = Outcome(
        generator.integers(0, 2, (40, 9)).astype(float), generator.random((40, 9)), np.full(9, 20.0) + np.arange(9)
    )
    rows = rows_of(BASE, directions, doses, outcome, 0, 9.0)
    for number, one in enumerate(directions):
        keys = {"control": one.control, "seed": one.seed, "concept": one.concept}
        assert value(rows, "mc2", dose=-1.0, **keys) == pytest.approx(outcome.mc2[:, 1 + 2 * number].mean())
        assert value(rows, "mc1_accuracy", dose=2.0, **keys) == pytest.approx(outcome.mc1[:, 2 + 2 * number].mean())
        assert value(rows, "perplexity", dose=0.0, **keys) == 20  # dose 0 is the unsteered model, to the bit
        assert value(rows, "mc2", dose=0.0, **keys) == value(rows, "mc2", dose=0.0, control="no_steering")
    fit = truthful_halves(0)
    best = max(range(5), key=lambda column: outcome.mc2[fit, column].mean())
    assert value(rows, "mc2_chosen", control="", seed=0) == pytest.approx(outcome.mc2[~fit, best].mean())
    gains = outcome.mc2[~fit, best] - outcome.mc2[~fit, 0]
    expected = gains.std(ddof=1) / np.sqrt(20)
    assert value(rows, "mc2_gain_se", control="", seed=0) == pytest.approx(expected)
    assert sum(row["metric"] == "perplexity_chosen" for row in rows) == 1 + 2 + 1  # unsteered, two seeds, one draw
    assert sum(row["metric"] == "dose_chosen" for row in rows) == 2
