"""Pairs that break one assumption of the theory: the sentence about it appears, and no other."""

from dataclasses import replace

import numpy as np
import pytest

from shiftscope.evaluation.diagnosis import findings
from shiftscope.pair_embeddings import PairEmbeddings

N, D, HELD_OUT = 400, 64, 100


def pairs(truth=None, n=N, shared=1.0, noise=0.02, seed=0):
    """An affine world: a shift all pairs share, three concepts that vary, a little noise; a fourth of the pairs is held out."""
    rng = np.random.default_rng(seed)
    if truth is None:
        truth = rng.uniform(0.5, 1.5, (n, 3)) * (rng.random((n, 3)) < 0.5)
    directions = np.linalg.qr(rng.normal(size=(D, 8)))[0].T
    before = rng.normal(size=(n, D))
    shifts = shared * directions[7] + truth @ directions[: truth.shape[1]] + noise * rng.normal(size=(n, D))
    split = np.repeat([0, 1], [n - n // 4, n // 4]).astype(np.uint8)
    names = ["past", "plural", "formal"][: truth.shape[1]]
    return PairEmbeddings(
        before[None].astype(np.float32), (before + shifts)[None].astype(np.float32), split, np.arange(n),
        np.full((1, n), -1), np.zeros((1, n), np.int8), {"concepts": truth[None].astype(np.float32)},
        {"concepts": names, "dataset": "mine"}, np.arange(2 * n).reshape(2, n),
    )  # fmt: skip


def found(data, codes=(1, 2, 3), ends=None):
    return {one["check"]: one["sentence"] for one in findings(data, list(codes), ends)}


def with_shifts(data, change):
    shifts = change((data.embedding_1 - data.embedding_0)[0].astype(np.float64))
    return replace(data, embedding_1=(data.embedding_0[0] + shifts).astype(np.float32)[None])


def equal_ends(n=N, unequal=0):
    ends = np.full((2, n), 5)
    ends[1, :unequal] = 6
    return ends


@pytest.mark.parametrize("seed", range(5))
def test_where_all_is_as_presumed_nothing_is_found(seed):
    assert found(pairs(seed=seed), ends=equal_ends()) == {}
    assert found(pairs(seed=seed), ends=np.stack([np.arange(N), np.arange(N) + 1])) == {}  # all end in different tokens
    assert found(replace(pairs(seed=seed), truths={})) == {}


def changed(some=False):
    """Amplitudes of three concepts, of which the last changes with the second."""
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.5, 1.5, (N, 3)) * (rng.random((N, 3)) < 0.5)
    truth[:, 2] = rng.uniform(0.5, 1.5, N) * (truth[:, 1] != 0)
    if some:
        truth[:, 2] *= rng.random(N) < 0.5
    return truth


def same_ratio():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.5, 1.5, (N, 3)) * (rng.random((N, 3)) < 0.5)
    both = (truth[:, 0] != 0) & (truth[:, 1] != 0)
    truth[both, 1] = 2 * truth[both, 0]
    return truth


def test_concepts_that_always_change_together():
    sentence = found(pairs(changed()))
    assert list(sentence) == ["supports"]
    assert sentence["supports"].startswith("plural and formal change together in all ")


def test_a_concept_that_never_changes_without_another():
    sentence = found(pairs(changed(some=True)))
    assert list(sentence) == ["supports"]
    assert sentence["supports"].startswith("formal never changes without plural in the ")


def test_labels_of_a_few_values():
    rng = np.random.default_rng(1)
    truth = rng.choice([-1.0, 1.0], (N, 3)) * (rng.random((N, 3)) < 0.5)
    assert found(pairs(truth)) == {
        "amplitudes": "Labels are amplitudes of 1 value at most (past), where the theory asks for ones that vary continuously."
    }


def test_groups_that_share_texts_count_once():
    """Of as many rows, but in six groups that share a text, the mean is known as well as of six."""
    rng = np.random.default_rng(0)
    noise = 0.5 * rng.normal(size=(6, D))
    data = with_shifts(
        pairs(np.zeros((N, 0))), lambda shifts: np.eye(D)[0] + np.repeat(noise, [67, 67, 67, 67, 66, 66], axis=0)
    )
    text = np.stack([np.repeat(np.arange(6), [67, 67, 67, 67, 66, 66]), 10 + np.arange(N)])
    sentence = found(replace(data, truths={}, text=text), codes=[1])
    assert sentence["number of pairs"].startswith("5 groups of training pairs that share texts tell ")


def test_amplitudes_that_always_have_the_same_ratio():
    sentence = found(pairs(same_ratio()))
    assert list(sentence) == ["amplitudes"]
    assert "past and plural change together, their amplitudes span 1 dimension, not 2" in sentence["amplitudes"]


def test_shifts_that_span_less_than_the_codes_that_are_asked_for():
    data = with_shifts(pairs(shared=0.0, noise=0.0), lambda shifts: np.outer(shifts[:, 0] + 2, np.ones(D)))
    assert found(replace(data, truths={})) == {"rank": "The shifts span 1 direction, and 3 codes are asked for."}
    assert found(replace(data, truths={}), codes=[1]) == {}


def test_pairs_that_repeat():
    data = pairs()
    text = data.text.copy()
    text[:, 1:101] = text[:, [0]]
    assert found(replace(data, text=text)) == {"duplicates": "100 of 300 training pairs repeat others."}


def test_texts_on_both_sides():
    data = pairs()
    text = data.text.copy()
    text[0, -30:] = text[0, :30]
    assert found(replace(data, text=text)) == {"leaks": "30 of 200 held-out texts stand in training pairs, too."}


def test_a_few_pairs_that_end_in_other_tokens():
    assert found(pairs(), ends=equal_ends(unequal=12)) == {
        "last tokens": "12 of 300 training pairs end in different tokens, the others in the same."
    }


def test_a_few_pairs_that_hold_the_energy():
    def longer(shifts):
        shifts[:10] *= 15
        return shifts

    sentence = found(with_shifts(pairs(), longer))
    assert list(sentence) == ["energy"] and sentence["energy"].startswith("The longest 15 of 300 shifts hold 8")


def test_shifts_that_no_affine_map_of_a_few_concepts_makes():
    """What is added depends on the pair by more than its concepts: as long as all of them together, in every direction."""
    rng = np.random.default_rng(3)
    sentence = found(with_shifts(pairs(), lambda shifts: shifts + 2.5 * np.sign(rng.normal(size=shifts.shape)) / 8))
    assert list(sentence) == ["affine"]
    assert sentence["affine"].startswith("The leading 8 directions hold 4")


def test_too_few_pairs_and_how_many_would_do():
    few = pairs(n=20, noise=0.0, seed=4)
    wild = with_shifts(few, lambda shifts: shifts - shifts[:15].mean(0))
    sentence = found(replace(wild, truths={}))
    assert list(sentence) == ["number of pairs"]
    assert sentence["number of pairs"].startswith("15 training pairs tell the leading direction to a cosine of ")


@pytest.mark.parametrize("n", [100, 160])
def test_the_number_of_pairs_that_is_advised_is_enough(n):
    """Of pairs that share a shift in much noise: with as many as are advised the mean is known as well as was promised."""
    rng = np.random.default_rng(0)
    mean = np.zeros(D)
    mean[0] = 1.0

    def world(n):
        shifts = mean + 0.9 * rng.normal(size=(n, D))
        data = pairs(np.zeros((n, 0)), n=n)
        return replace(with_shifts(data, lambda _: shifts), truths={}), shifts[: n - n // 4].mean(0)

    data, _ = world(n)
    advice = next(one["advice"] for one in findings(data, [1]) if one["check"] == "number of pairs")
    advised = int(advice.split()[1])
    _, estimated = world(advised * 4 // 3)
    assert estimated[0] / np.linalg.norm(estimated) == pytest.approx(0.95, abs=0.03)
