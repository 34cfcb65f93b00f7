"""A·W of representations that are known: the identity where each concept has a direction of its own, and where none has."""

import logging

import numpy as np
import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.identity import HALVINGS, evaluate
from shiftscope.evaluation.parts import write_part
from shiftscope.metrics.identity import gap, probe_weights, top
from shiftscope.pair_embeddings import PairEmbeddings

CONCEPTS = ("up", "left", "red", "loud")


def words(before: np.ndarray, after: np.ndarray, concept: np.ndarray, text=None, **facts) -> PairEmbeddings:
    """Pairs `[n, d]` of the concepts with these numbers, half of them turned round."""
    n = len(concept)
    back = np.arange(n) % 2 == 1
    truth = np.zeros((1, n, len(CONCEPTS)), np.float32)
    truth[0, np.arange(n), concept] = np.where(back, -1, 1)
    both = np.where(back[:, None], after, before), np.where(back[:, None], before, after)
    about = {
        "lm": "m", "layer": "final_norm", "dataset": "words", "untrained_of": None, "primary_truth": "concepts",
        "truths": {"concepts": list(CONCEPTS)},
    } | facts  # fmt: skip
    half = (np.arange(n) // len(CONCEPTS) % 2).astype(np.uint8)
    return PairEmbeddings(
        both[0][None].astype(np.float32), both[1][None].astype(np.float32), half, np.arange(n), np.zeros((1, n), int),
        np.zeros((1, n), int), {"concepts": truth}, about, text,
    )  # fmt: skip


def linear(n: int = 40, d: int = 64, noise: float = 0.05, seed: int = 0) -> PairEmbeddings:
    """z = c D + e with orthogonal directions: what Corollary 4.3 describes."""
    generator = np.random.default_rng(seed)
    concept = np.arange(n * len(CONCEPTS)) % len(CONCEPTS)
    directions = np.linalg.qr(generator.normal(size=(d, len(CONCEPTS))))[0].T
    word = generator.normal(size=(len(concept), d)) * 0.3
    errors = noise * generator.normal(size=(2, len(concept), d))
    return words(word + errors[0], word + 2 * directions[concept] + errors[1], concept)


def arbitrary(n: int = 12, d: int = 512) -> PairEmbeddings:
    """Words without any concept: few words in many dimensions."""
    generator = np.random.default_rng(1)
    concept = np.arange(n * len(CONCEPTS)) % len(CONCEPTS)
    return words(*generator.normal(size=(2, len(concept), d)), concept)


def means(rows: list[dict], control: str = "") -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["control"] == control and "concept_2" not in row:
            found.setdefault(row["metric"], []).append(row["value"])
    return {name: float(np.mean(values)) for name, values in found.items()}


def test_directions_of_a_linear_representation_are_read_by_their_own_probe_alone():
    rows = evaluate(linear())
    found, permuted = means(rows), means(rows, "permuted_labels")
    assert found["identity_top"] == found["identity_top_heldout"] == 1
    assert found["identity_gap"] > 0.9 and found["identity_gap_heldout"] > 0.7
    assert permuted["identity_gap_heldout"] < 0.2


def test_in_sample_the_identity_is_found_where_there_is_none():
    found = means(evaluate(arbitrary()))
    assert found["identity_top"] == 1 and found["identity_gap"] > 0.85
    assert found["identity_top_heldout"] < 0.7 and abs(found["identity_gap_heldout"]) < 0.15


def test_rows_have_every_pair_of_concepts_and_every_half_and_can_be_written(tmp_path):
    rows = evaluate(linear(n=10))
    cells = [row for row in rows if "concept_2" in row]
    assert len(cells) == 16 * (1 + HALVINGS)
    assert {row["seed"] for row in rows if row["metric"] == "identity_top_heldout"} == set(range(HALVINGS))
    assert {row["split"] for row in rows if row["metric"] == "identity_heldout"} == {"test"}
    write_part(tmp_path / "part.parquet", rows)


def test_an_untrained_twin_is_a_control_of_its_model():
    data = linear(n=6)
    rows = evaluate(
        words(data.embedding_0[0], data.embedding_1[0], np.arange(24) % 4, lm="m_untrained", untrained_of="m")
    )
    assert {(row["lm"], row["control"]) for row in rows} == {("m", "untrained_lm")}


def test_a_concept_of_one_pair_is_left_out_of_what_is_held_out_with_a_warning(caplog):
    data = linear(n=8)
    concept = np.array([3] + [number % 3 for number in range(31)])
    with caplog.at_level(logging.WARNING):
        rows = evaluate(words(data.embedding_0[0], data.embedding_1[0], concept))
    assert "concept loud: all of its pairs share words" in caplog.text
    assert {row["concept"] for row in rows if row["metric"] == "identity_gap"} == set(CONCEPTS)
    assert {row["concept"] for row in rows if row["metric"] == "identity_gap_heldout"} == set(CONCEPTS[:3])


def test_pairs_that_share_a_word_are_never_on_both_sides():
    """Each word stands in two pairs of its concept: with halves of pairs the probe would have seen half of what it reads."""
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 16, 256))
    concept = np.repeat(np.arange(16) % 4, 2)
    before, after = np.repeat(one, 2, 0), np.repeat(other, 2, 0)
    text = np.stack([np.repeat(np.arange(16), 2), 16 + np.repeat(np.arange(16), 2)])
    found = means(evaluate(words(before, after, concept, text)))
    assert abs(found["identity_gap_heldout"]) < 0.25


@pytest.mark.parametrize("change", ["none", "two", "no pair"])
def test_what_is_no_concept_is_refused(change):
    data = linear(n=4)
    truth = data.truths["concepts"]
    if change == "no pair":
        truth[0, truth[0, :, 2] != 0] = [1, 0, 0, 0]
    else:
        truth[0, 0] = 0 if change == "none" else [1, 1, 0, 0]
    with pytest.raises(
        ShiftScopeError, match="'red' has no pairs" if change == "no pair" else "change one concept each"
    ):
        evaluate(data)


def test_equal_words_and_words_that_no_line_can_tell_apart_give_numbers():
    same = np.ones((6, 8))
    assert np.isfinite(probe_weights(same, same, np.arange(6))).all()
    line = np.arange(6.0)[:, None] * np.ones((6, 8))
    assert np.isfinite(probe_weights(line, line[::-1], np.arange(6))).all()
    assert np.isfinite(probe_weights(line, line + 100, None)).all()  # separable


def test_scores_of_a_matrix():
    products = np.array([[1.0, -0.5, 0.1], [0.2, 0.1, 0.9], [0.0, 0.0, 0.3]])
    assert gap(products) == pytest.approx([1 - 0.3, 0.1 - 0.55, 0.3])
    assert top(products).tolist() == [True, False, True]
    assert gap(np.eye(5)) == pytest.approx(np.ones(5))
