"""Rows of PCC from embedded words: which words, which halves, what stands beside a score, and at which step."""

import numpy as np
import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.dictionary import token_rows
from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.pcc import control_rows, evaluate_words, feature_rows, reading_rows, words_of
from shiftscope.metrics import pcc
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import Streamed

D = 16
CONCEPTS = ["plural", "past", "french"]
N = 40


class Relu(Streamed):
    """A stand-in for an autoencoder of activations."""

    @staticmethod
    def encode(arrays, inputs):
        return np.maximum(inputs @ arrays["encoder"].T + arrays["encoder_bias"], 0)


class TwoPaths(Relu):
    """One whose codes are a sum: the sparse path is that of `Relu`, the other reads activations densely."""

    @staticmethod
    def paths(arrays, inputs):
        return {"sparse": Relu.encode(arrays, inputs), "structured": inputs @ arrays["encoder"].T}


def words_data(untrained_of=None, **change):
    """Pairs of three concepts, each a direction of its own; every third held-out pair is turned round."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(D, 3)))[0].T
    concept = np.repeat(np.arange(3), N)
    held = np.tile(np.arange(N) % 2 == 1, 3)
    turned = held & (np.arange(3 * N) % 3 == 0)
    before = rng.normal(size=(3 * N, D))
    after = before + 4 * directions[concept]
    truth = np.zeros((3 * N, 3), np.float32)
    truth[np.arange(3 * N), concept] = np.where(turned, -1, 1)
    sides = np.where(turned[:, None], after, before), np.where(turned[:, None], before, after)
    order = np.argsort(held, kind="stable")
    facts = {"dataset": "words", "lm": "tiny", "untrained_of": untrained_of, "layer": "final_norm",
             "concepts": CONCEPTS, "truths": {"concepts": CONCEPTS}, "primary_truth": "concepts"}  # fmt: skip
    text = np.arange(6 * N).reshape(2, 3 * N)
    parts = {
        "embedding_0": sides[0][None, order].astype(np.float32),
        "embedding_1": sides[1][None, order].astype(np.float32),
        "split": held[order].astype(np.uint8), "group": np.arange(3 * N), "concept": concept[None, order],
        "sign": np.ones((1, 3 * N), np.int8), "truths": {"concepts": truth[None, order]}, "facts": facts, "text": text,
    }  # fmt: skip
    return PairEmbeddings(**parts | change)


def model(seed, step, steps=100, codes=24):
    rng = np.random.default_rng([seed, step])
    encoder = rng.normal(size=(codes, D)).astype(np.float32)
    if step:  # one latent per concept
        encoder[:3] = np.linalg.qr(np.random.default_rng(0).normal(size=(D, 3)))[0].T
    arrays = {"encoder": encoder, "encoder_bias": np.zeros(codes, np.float32), "decoder": encoder / 2,
              "decoder_bias": np.zeros(D, np.float32)}  # fmt: skip
    return Model(0, 0, seed, arrays, {"step": float(step)})


def trained(*steps):
    facts = {
        "lm": "tiny",
        "dataset": "docs",
        "codes": 24,
        "variant": "mine",
        "kind": "relu",
        "settings": [{"steps": 100}],
    }
    return Trained(facts, Relu, [model(seed, step) for seed in range(2) for step in steps])


def values(rows, metric, **keys):
    return [
        row["value"] for row in rows if row["metric"] == metric and all(row.get(k, "") == v for k, v in keys.items())
    ]


SAMPLE = np.random.default_rng(3).normal(size=(200, D)).astype(np.float32)


def test_words_of_a_concept_are_distinct_and_know_their_side_however_pairs_were_turned():
    data = words_data()
    words = words_of(data)
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(D, 3)))[0].T
    assert [one.name for one in words.concepts] == CONCEPTS
    assert words.embeddings.shape == (6 * N, D)
    for one, direction in zip(words.concepts, directions, strict=True):
        assert len(one.row) == 2 * N and one.after.sum() == N and one.second.sum() == N
        along = words.embeddings[one.row] @ direction
        assert along[one.after].mean() - along[~one.after].mean() == pytest.approx(4, abs=1)


def test_a_word_that_stands_in_two_pairs_counts_once():
    data = words_data()
    text = data.text.copy()
    first = data.rows("train")[:2]  # both pairs are of the first concept
    text[0, first[1]] = text[0, first[0]]
    words = words_of(words_data(text=text))
    assert len(words.concepts[0].row) == 2 * N - 1
    assert len(words.embeddings) == 6 * N - 1


def test_pairs_of_several_concepts_and_concepts_without_words_are_refused():
    truth = words_data().truths["concepts"].copy()
    truth[0, 0] = 1
    with pytest.raises(ShiftScopeError, match="words: probes need pairs that change one concept each, and 1 do not"):
        words_of(words_data(truths={"concepts": truth}))
    lonely = np.where(words_data().concept[0] == 1, 0, words_data().split).astype(np.uint8)
    with pytest.raises(ShiftScopeError, match="concept 'past' lacks words of one side in its held-out pairs"):
        words_of(words_data(split=lonely))


def test_latents_of_the_concepts_are_found(tmp_path):
    rows = evaluate_words(words_data(), "docs", [trained(0, 50, 100)], SAMPLE)
    write_part(tmp_path / "part.parquet", rows)
    final = [row for row in rows if row.get("step") is None and not row["control"] and row["variant"]]
    for metric in ("pcc", "pcc_heldout", "latent_f1"):
        assert len(values(final, metric)) == 2 * 3
        assert min(values(final, metric)) > 0.8
    assert np.mean(values(final, "pcc_heldout_coverage")) == 1
    assert {
        (row["split"], row["eval_dataset"], row["dataset"], row["lm"]) for row in final if row["metric"] == "pcc"
    } == {("train", "words", "docs", "tiny")}
    held = {row["concept"] for row in final if row["metric"] == "pcc_heldout"}
    assert held == set(CONCEPTS)


def test_controls_stand_beside_and_know_less():
    rows = evaluate_words(words_data(), "docs", [trained(0, 100)], SAMPLE)
    mean = {control: np.mean(values(rows, "pcc_heldout", control=control)) for control in
            ("", "neurons", "pca", "random_dictionary", "untrained_sae", "permuted_labels")}  # fmt: skip
    assert mean[""] == max(mean.values())
    assert mean["permuted_labels"] < mean["untrained_sae"] < mean[""]
    assert {row["seed"] for row in rows if row["control"] == "random_dictionary"} == set(range(5))
    assert {row["codes"] for row in rows if row["control"] == "random_dictionary"} == {24}
    assert {row["codes"] for row in rows if row["control"] in ("neurons", "pca", "ceiling")} == {0}
    assert min(values(rows, "latent_f1", control="ceiling")) > 0.9
    assert len(values(rows, "probe_accuracy")) == 3 and min(values(rows, "probe_accuracy")) > 0.9


def test_steps_on_the_way_have_the_headline_alone_and_step_0_is_a_control():
    rows = evaluate_words(words_data(), "docs", [trained(0, 50, 100)], SAMPLE)
    on_the_way = [row for row in rows if row.get("step") == 50]
    assert {row["metric"] for row in on_the_way} == {
        "pcc", "pcc_coverage", "pcc_heldout", "pcc_heldout_coverage", "mse_words", "fvu_words", "active_latents_words",
    }  # fmt: skip
    assert all(not row["control"] for row in on_the_way)
    assert {row["control"] for row in rows if row.get("step") == 0} == set()
    untrained = [row for row in rows if row["control"] == "untrained_sae"]
    assert {row["seed"] for row in untrained} == {0, 1} and all(row["variant"] == "mine" for row in untrained)


def test_of_an_untrained_twin_finished_models_alone_enter_as_its_control():
    rows = evaluate_words(words_data(untrained_of="tiny"), "docs", [trained(0, 50, 100)], SAMPLE)
    assert {(row["control"], row["lm"], row["variant"], row.get("step")) for row in rows} == {
        ("untrained_lm", "tiny", "mine", None)
    }


def test_all_readings_are_written_once():
    words = words_of(words_data())
    rows = [*feature_rows(words, words.embeddings), *reading_rows(words, words.embeddings)]
    for prefix in ("pcc_as_", "pcc_heldout_as_"):
        named = [row["metric"].removeprefix(prefix) for row in rows if row["metric"].startswith(prefix)]
        assert sorted(named) == sorted(one.name for one in pcc.READINGS[1:])
    free = values(rows, "pcc_as_free")[0]
    assert free >= np.mean(values(rows, "pcc"))  # no matching is above each concept's best


def test_principal_directions_are_of_the_sample_and_whole():
    """All of them: the embedding, turned; a random rotation of the words does not change them."""
    words = words_of(words_data())
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0].astype(np.float32)
    turned = words._replace(embeddings=words.embeddings @ turn)
    one, other = (
        {row["metric"]: row["value"] for row in control_rows(some, [], sample)
         if row.get("control") == "pca" and "concept" not in row}
        for some, sample in ((words, SAMPLE), (turned, SAMPLE @ turn))
    )  # fmt: skip
    keep = [name for name in one if "signed" not in name and "exp" not in name]
    assert [one[name] for name in keep] == pytest.approx([other[name] for name in keep], abs=1e-3)


def test_held_out_tokens_are_read_once_for_all_models(tmp_path):
    batches = [SAMPLE[:120], SAMPLE[120:]]
    rows = [*token_rows([trained(0, 100)], iter(batches))]
    found = {(row["seed"], row.get("control", ""), row["metric"]): row["value"] for row in rows}
    one = model(1, 100)
    codes = Relu.encode(one.arrays, SAMPLE)
    error = np.square(SAMPLE - codes @ one.arrays["decoder"])
    assert found[1, "", "mse"] == pytest.approx(error.mean(), rel=1e-5)
    assert found[1, "", "fvu"] == pytest.approx(error.sum() / np.square(SAMPLE - SAMPLE.mean(0)).sum(), rel=1e-5)
    assert found[1, "", "active_latents"] == pytest.approx((codes > 0).sum(1).mean())
    assert found[1, "", "dead_latents"] == found[1, "", "dead_share"] == 0
    assert (1, "untrained_sae", "mse") in found
    assert (1, "", "collapsed") not in found
    two = model(0, 100)._replace(facts={"step": 100.0, "l0_sparse": 0.5, "sparse_share": 0.01, "collapsed": 1.0})
    rows = [*token_rows([trained(100)._replace(models=[two])], batches)]
    paths = {row["metric"]: row["value"] for row in rows if row["split"] == "train"}
    assert paths == {"sparse_share": 0.01, "collapsed": 1.0}
    with pytest.raises(ShiftScopeError, match="no held-out tokens to measure on"):
        list(token_rows([trained(100)], []))


def test_each_path_of_a_sum_is_scored_as_a_variant_of_its_own():
    data, one = words_data(), trained(0, 100)
    alone = evaluate_words(data, "docs", [one], SAMPLE)
    both = evaluate_words(data, "docs", [one._replace(variant=TwoPaths)], SAMPLE)

    def scores(rows, name, metric):
        return values([row for row in rows if row["variant"] == name], metric, control="")

    for metric in ("pcc_heldout", "mse_words", "active_latents_words", "pcc_choosing"):
        assert scores(both, "mine (sparse path)", metric) == scores(alone, "mine", metric) != []
    assert set(scores(both, "mine", "active_latents_words")) == {24.0}
    assert len(scores(both, "mine (structured path)", "pcc_heldout")) == len(scores(both, "mine", "pcc_heldout"))
    batches = [np.random.default_rng(0).normal(size=(50, D)).astype(np.float32)] * 2
    tokens = [*token_rows([one._replace(variant=TwoPaths)], batches)]
    sparse, plain = [*scores(tokens, "mine (sparse path)", "fvu")], scores(token_rows([one], batches), "mine", "fvu")
    assert sparse == plain != scores(tokens, "mine", "fvu")
    assert scores(tokens, "mine", "active_latents_sparse") == scores(tokens, "mine (sparse path)", "active_latents")
    assert not [row for row in alone if "path" in row["variant"]]


def test_the_choosing_half_never_sees_the_other():
    data = words_data()
    words = words_of(data)
    spoilt = words.embeddings.copy()
    second = np.concatenate([one.row[one.second] for one in words.concepts])
    spoilt[second] = np.random.default_rng(1).normal(size=(len(second), D))

    def score(embeddings):
        logits = pcc.probe_logits(embeddings, words.concepts)
        return pcc.choosing(pcc.correlations(embeddings, words.concepts, logits))

    assert score(spoilt) == pytest.approx(score(words.embeddings))
    assert (score(words.embeddings) > 0.5).all()
