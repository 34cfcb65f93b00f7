"""Steering as a causal test: known shifts remove what they must, what is chosen is not scored, and the grammar judges texts."""

import logging

import numpy as np
import pytest
from helpers.tables import built
from helpers.tiny_lms import make_model, make_tokenizer

from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation import causal as evaluation
from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.causal import evaluate
from shiftscope.evaluation.causal_pairs import CausalSlice, Laws, concepts_of, kinship
from shiftscope.evaluation.causal_texts import judge
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.steering.next_law import NextLaw
from shiftscope.variants.mean_difference import MeanDifference
from shiftscope.variants.topk import TopK

D = 32
SHIFTS = {"feminine": 0, "french": 1}
ASKED = CausalSlice(
    lm="m", dtype="float32", batch_tokens=64, device_map=None, recommended_on=[], datasets=["mine"], variants=["mean_difference", "topk"], others=["mine"],
    doses=[0.5, 1.0, 2.0], pairs=8, written=4, samples=1, seed=0,
)  # fmt: skip


def shift(concept: str) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(7).normal(size=(D, D)))[0][SHIFTS[concept]].astype(np.float32) * 6


def pairs(n: int = 32, noise: float = 0.0, groups: int = 16) -> tuple[PairEmbeddings, tuple[list[str], list[str]]]:
    """Single-concept pairs of two concepts, half of them turned round, whose shifts are known."""
    generator = np.random.default_rng(0)
    concept, back = np.arange(n) % 2, np.arange(n) // 2 % 2 == 1
    before = generator.normal(size=(n, D)).astype(np.float32)
    after = before + np.stack([shift(name) for name in SHIFTS])[concept]
    after += noise * generator.normal(size=after.shape).astype(np.float32)
    both = np.where(back[:, None], after, before), np.where(back[:, None], before, after)
    facts = {
        "dataset": "mine", "lm": "m", "layer": "final_norm", "untrained_of": None, "concepts": list(SHIFTS), "truths": {},
        "primary_truth": None,
    }  # fmt: skip
    data = PairEmbeddings(
        both[0][None], both[1][None], np.full(n, 2, np.uint8), np.arange(n) // 2 % groups, concept[None],
        np.where(back, -1, 1)[None].astype(np.int8), {}, facts,
    )  # fmt: skip
    texts = [[f"{side} {number}" for number in range(n)] for side in ("before", "after")]
    turned = [[texts[int(turn) ^ side][row] for row, turn in enumerate(back)] for side in (0, 1)]
    return data, (turned[0], turned[1])


def model_of(directions: np.ndarray, seed: int = 0) -> Trained:
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    arrays = {"decoder": unit.astype(np.float32), "alive": np.ones(len(unit), bool)}
    facts = {
        "dataset": "mine", "variant": "mean_difference", "kind": "mean_difference", "codes": len(unit), "settings": [{}], "lm": "m",
    }  # fmt: skip
    return Trained(facts, MeanDifference, [Model(0, 0, seed, arrays, {})])


@pytest.fixture(scope="module")
def laws():
    return Laws(NextLaw(make_model("gpt_neox"), make_tokenizer(), "final_norm", 64), None)


def values(rows: list[dict], metric: str, concept: str, **keys) -> list[float]:
    wanted = {"metric": metric, "concept": concept, "control": "", "dose": None, "concept_2": None} | keys
    return [row["value"] for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def test_pairs_are_turned_so_that_the_concept_changes_as_named():
    data, texts = pairs()
    for one in concepts_of(data, texts):
        assert (one.after - one.before) == pytest.approx(np.tile(shift(one.concept), (len(one.before), 1)), abs=1e-5)
        assert all(text.startswith("before") for text in one.texts[0])
        assert all(text.startswith("after") for text in one.texts[1])


def test_the_true_shifts_remove_all_leave_the_other_concept_alone_and_random_directions_do_not(laws):
    data, texts = pairs()
    true = np.stack([shift(name) for name in SHIFTS])
    rows, samples = evaluate(ASKED, {"mine": data}, {"mine": texts}, {"mine": [model_of(true)]}, laws)
    assert samples == []  # without a grammar nothing is judged
    for concept, other in (("feminine", "french"), ("french", "feminine")):
        assert values(rows, "kl_removed", concept) == pytest.approx([1], abs=1e-4)
        assert values(rows, "kl_removed", concept, control="ceiling") == pytest.approx([1], abs=1e-4)
        curve = [values(rows, "kl_removed", concept, dose=dose)[0] for dose in ASKED.doses]
        assert curve[1] == pytest.approx(1, abs=1e-4) and max(curve[0], curve[2]) < 1
        assert values(rows, "probe_moved", concept) == pytest.approx([1], abs=0.01)
        random = values(rows, "kl_removed", concept, control="random_dictionary")
        assert len(random) == 5 and max(random) < 0.5
        assert len(values(rows, "law_moved_others", concept, concept_2=other, eval_dataset="mine")) == 1
        assert values(rows, "law_moved", concept, concept_2=concept, eval_dataset="mine") == pytest.approx(
            [1], abs=1e-4
        )


def test_what_is_scored_was_not_chosen_on(laws, monkeypatch):
    data, texts = pairs(noise=0.3)
    asked = []
    real = evaluation.fit_direction

    def spied(before, after, directions):
        asked.append(before.tobytes())
        return real(before, after, directions)

    monkeypatch.setattr(evaluation, "fit_direction", spied)
    one = concepts_of(data, texts)[0]
    fit, scored = evaluation._halved(one, ASKED)
    assert not set(fit.group) & set(scored.group) and len(fit.before) <= ASKED.pairs
    evaluate(ASKED, {"mine": data}, {"mine": texts}, {"mine": [model_of(shift("feminine")[None])]}, laws)
    assert fit.before.tobytes() in asked and scored.before.tobytes() not in asked


def test_of_an_autoencoder_the_latent_steers_that_tells_the_sides_apart(laws):
    data, texts = pairs()
    decoder = np.eye(D, dtype=np.float32)[:6]
    decoder[4] = shift("french") / np.linalg.norm(shift("french"))
    arrays = {
        "decoder": decoder,
        "encoder": decoder,
        "encoder_bias": np.zeros(6, np.float32),
        "k": np.array(6),
        "alive": np.ones(6, bool),
    }
    facts = {"dataset": "store", "variant": "topk", "kind": "topk", "codes": 6, "settings": [{"steps": 5}], "lm": "m"}

    class Linear(TopK):
        @staticmethod
        def encode(arrays, inputs):
            return inputs @ arrays["encoder"].T

    streamed = Trained(facts, Linear, [Model(0, 0, 0, arrays, {"step": 5})])
    trained = {"mine": [model_of(shift("feminine")[None])], "store": [streamed]}
    rows, _ = evaluate(ASKED, {"mine": data}, {"mine": texts}, trained, laws)
    assert values(rows, "kl_removed", "french", variant="topk") == pytest.approx([1], abs=1e-4)
    assert len(values(rows, "kl_removed", "french", control="random_dictionary", codes=6)) == 5


def test_pairs_of_one_group_or_too_few_are_not_steered(laws, caplog):
    data, texts = pairs(groups=1)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ShiftScopeError, match="no dataset of m has a concept with 4 pairs"),
    ):
        evaluate(ASKED, {"mine": data}, {"mine": texts}, {"mine": [model_of(shift("french")[None])]}, laws)
    assert "the pairs of feminine are of one group, so it is not steered" in caplog.text
    assert concepts_of(*pairs(n=4)) == []


def test_a_concept_that_changes_no_next_token_is_not_steered(laws, caplog):
    data, texts = pairs()
    same = PairEmbeddings(
        data.embedding_0, data.embedding_0, data.split, data.group, data.concept, data.sign, {}, data.facts
    )
    with caplog.at_level(logging.WARNING), pytest.raises(ShiftScopeError, match="no dataset of m"):
        evaluate(ASKED, {"mine": same}, {"mine": texts}, {"mine": [model_of(shift("french")[None])]}, laws)
    assert "feminine hardly changes the next token, so it is not steered" in caplog.text


def test_rows_make_tables(laws, tmp_path):
    data, texts = pairs()
    trained = {"mine": [model_of(np.stack([shift(name) for name in SHIFTS]))]}
    rows, _ = evaluate(ASKED, {"mine": data}, {"mine": texts}, trained, laws)
    table = built("table_causal", rows, tmp_path)
    shown = table[table["metric"] == "kl_removed"].iloc[0]
    assert shown["mean"] == pytest.approx(1, abs=1e-4) and shown["ceiling"] == pytest.approx(1, abs=1e-4)
    assert shown["random_dictionary"] < 0.5
    figure = built("figure_causal", rows, tmp_path)
    assert set(figure["dose"].dropna()) == set(ASKED.doses)
    assert set(figure.loc[figure["changed"] != "", "changed"]) == {"feminine (mine)", "french (mine)"}


@pytest.mark.parametrize(
    ("steered", "changed", "kin"),
    [
        ("feminine", "gender", "same"), ("french", "language", "same"), ("german", "language", None), ("french", "gender", "other"),
        ("color:red->blue", "color", "same"), ("color:blue->red", "color", None), ("color:red->blue", "shape", "other"),
        ("french", "french", "same"), ("mine", "gender", "other"),
    ],
)  # fmt: skip
def test_which_concepts_are_one(steered, changed, kin):
    assert kinship(steered, changed, ShortDocuments().build()) == kin


@pytest.mark.parametrize(
    ("written", "way"),
    [
        ("(f) is kind .\n", "target"), ("(m) is kind .\n", "source"), ("is kind .\n", "either"), ("is is\n", "neither"),
        ("herself", "target"), ("", "either"), ("est bon .\n", "neither"),
    ],
)  # fmt: skip
def test_the_grammar_judges_what_was_written(written, way):
    grammar = ShortDocuments().build()
    found, value = judge(grammar, "hero", "heroine", written)
    assert found == way
    assert (value is None) == (way in ("neither", "source") or not written)
    if way == "target" and written.startswith("(f)"):
        words = written.split()
        exact = grammar.log_probability([*words, ""], ["heroine"]) / (len(words) + 1)
        assert value == pytest.approx(exact)


def test_a_text_that_noise_allows_everywhere_is_judged_by_its_odds():
    grammar = ShortDocuments().build()
    assert judge(grammar, "red round lamp", "red round box", "opens")[0] == "target"  # the verb of boxes
    assert judge(grammar, "red round lamp", "red round box", "glows")[0] == "either"  # that of red
