"""The card of vectors on a tiny language model: what is measured is what it says, and doubts are said where there are any."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.stores import save_known_lm
from helpers.tiny_lms import WORDS, make_model, make_tokenizer

from shiftscope.activations.last_token import embed_layers
from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.vector_card import (
    DOSES,
    CardInputs,
    CardSlice,
    Effects,
    Removal,
    _rivals,
    _unfollowed,
    card_of,
    caveats,
)  # fmt: skip
from shiftscope.files import write_json, write_tensors
from shiftscope.pair_embeddings import PairEmbeddings, write_embeddings
from shiftscope.report.vector_readme import differing, markdown
from shiftscope.report.vectors import render_vectors
from shiftscope.steering import likelihood, next_law
from shiftscope.steering.next_law import NextLaw

LAYERS = ["final_norm", "resid_post.1"]
N, HELD_OUT = 40, 16


def texts_of(seed=0):
    """Pairs that end in `red`, then in `blue`, after the same words."""
    rng = np.random.default_rng(seed)
    begun = [" ".join(rng.choice(WORDS, 4)) for _ in range(N)]
    return [f"{text} red" for text in begun], [f"{text} blue" for text in begun]


def embedded(model, layer, back):
    """The pairs as the workflow has them: some held-out ones turned round, the rest as given."""
    first, second = texts_of()
    turned = np.zeros(N, bool)
    turned[-HELD_OUT:] = np.arange(HELD_OUT) % 3 == 0 if back else False
    texts = [[two if flag else one for one, two, flag in zip(first, second, turned, strict=True)],
             [one if flag else two for one, two, flag in zip(first, second, turned, strict=True)]]  # fmt: skip
    rows = embed_layers(model, make_tokenizer(), [*texts[0], *texts[1]], [layer], batch_tokens=64)[layer]
    split = np.repeat([0, 1], [N - HELD_OUT, HELD_OUT]).astype(np.uint8)
    facts = {
        "orientation": "given", "concepts": ["up"], "dataset": "mine", "lm": "tiny", "layer": layer, "primary_truth": None,
        "truths": {}, "untrained_of": None,
    }  # fmt: skip
    data = PairEmbeddings(
        rows[None, :N], rows[None, N:], split, np.arange(N), np.full((1, N), -1), np.zeros((1, N), np.int8), {}, facts,
        np.arange(2 * N).reshape(2, N), np.zeros((1, N), bool), turned,
    )  # fmt: skip
    return data, [*texts[0], *texts[1]]


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_texts_and_embeddings_of_held_out_pairs_belong_together_the_way_they_were_given(layer, back):
    model = make_model("llama")
    data, texts = embedded(model, layer, back)
    effects = Effects(data, texts, NextLaw(model, make_tokenizer(), layer, 64))
    assert all(first.endswith("red") and second.endswith("blue") for first, second in effects.texts)
    for side, z in enumerate((effects.before, effects.after)):
        read = embed_layers(model, make_tokenizer(), [pair[side] for pair in effects.texts], [layer], batch_tokens=64)
        assert z == pytest.approx(read[layer], abs=1e-4)
    assert all(first.endswith("red") for first, _ in effects.training_texts)
    mean = effects.training.mean(0)
    assert (effects.shifts @ mean > 0).mean() > 0.6 and effects.shifts.mean(0) @ mean > 0


def inputs(folder, layer, vectors, others=None, names=None, carried=12, truth=False):
    save_known_lm(folder, weights=True)
    model, _ = load(folder)
    data, texts = embedded(model, layer, back=True)
    arrays = {
        name: getattr(data, name)
        for name in ("embedding_0", "embedding_1", "split", "group", "concept", "sign", "text", "back", "odd")
    }
    write_embeddings(folder / "e.safetensors", folder / "e.json", arrays, data.facts, {})
    pq.write_table(pa.table({"text_0": texts[:N], "text_1": texts[N:]}), folder / "pairs.parquet")
    manifest = {"counts": {"train": N - HELD_OUT, "test": HELD_OUT, "single": 0}, "rejected": 2, "rows": N + 2, "rejected_reasons": ["2 rows: <b>the row is blank</b>"],
                "text_columns": ["plain", "blue"], "template": "{text}", "chat": False, "largest_group": 1, "orientation": "given"}  # fmt: skip
    write_json(folder / "pairs.json", manifest)
    names = names or list(vectors)
    about = {"lm": "tiny", "layer": layer, "dataset": "mine", "variant": "ssae", "kind": "ssae", "seed": 0, "names": names, "correlations": {},
             "pairs": dict.fromkeys(names, 24), "forward": dict.fromkeys(names, 1.0), "recommended": "explains best",
             "held_out": {name: {"pairs": carried, "forward": 1.0 if carried else None, "rows": list(range(carried))} for name in names}}  # fmt: skip
    (folder / "recommended").mkdir()
    file = folder / "recommended" / "steering_vectors.safetensors"
    write_tensors(file, vectors, about)
    write_tensors(folder / "others.safetensors", others or {}, {"seeds": [1, 2] if others else []})
    write_json(folder / "about.json", about)
    (folder / "neutral.txt").write_text("the king is a word .\n\na queen is in the vase\n")
    return CardInputs(
        folder / "e.safetensors", folder / "e.json", folder / "pairs.parquet", folder / "pairs.json", folder, file,
        folder / "others.safetensors", folder / "about.json", folder / "neutral.txt",
    ), data  # fmt: skip


def mean_of(layer):
    data, _ = embedded(make_model("llama"), layer, back=False)
    return (data.embedding_1 - data.embedding_0)[0, : N - HELD_OUT].mean(0).astype(np.float32)


ASKED = CardSlice(lm="tiny", dtype="float32", batch_tokens=64)


@pytest.fixture(params=LAYERS)
def card(request, tmp_path):
    mean = mean_of(request.param)
    other = np.roll(mean, 5)
    vectors = {"shared": mean, "copy": (1.02 * mean + 0.05 * other).astype(np.float32), "noise": other}
    others = {"seed_1.a": mean, "seed_2.a": other, "seed_2.b": -mean}
    found, _ = inputs(tmp_path, request.param, vectors, others)
    return card_of(ASKED, found, tmp_path / "state"), found, tmp_path


def test_the_shift_itself_removes_what_tells_the_second_texts_apart(card):
    shared = card[0]["vectors"][0]
    assert shared["carriers"] == shared["measured"] == 12 and shared["forward_held_out"] == 1.0
    assert set(shared["removed"]) == {str(dose) for dose in DOSES} and shared["removed_error"] > 0
    assert shared["to_mean"] == pytest.approx(1, abs=0.05)
    stability = {one["name"]: one["stability"] for one in card[0]["vectors"]}
    assert stability["shared"] is None  # it comes from no seed
    assert stability["copy"] > 0.9 and stability["noise"] == pytest.approx(0.5, abs=0.01)  # one of two seeds has it
    by_name = {rival["name"]: rival for rival in shared["rivals"]}
    assert by_name["mean difference"]["removed"] == pytest.approx(shared["removed"]["1.0"], abs=0.15)
    assert by_name["9 random directions"]["largest"] >= by_name["9 random directions"]["removed"]
    assert dict(shared["near"])["copy"] > 0.9 and shared["near"][0][0] == "copy"
    assert all(pair["text_0"].endswith("red") and pair["text_1"].endswith("blue") for pair in shared["strongest"])
    assert list(shared["perplexity"]) == [str(dose) for dose in DOSES] and all(
        value > 0 for value in shared["perplexity"].values()
    )
    assert len(shared["raises"]) == len(shared["lowers"]) == 8
    assert card[0]["held_out"] == HELD_OUT and card[0]["width"] == 32


@pytest.mark.parametrize("back", [False, True])
def test_where_the_second_text_is_the_first_plus_the_vector_it_removes_all(back):
    """After the final norm laws follow from activations, so that the exact answer is known: 1 at scale 1, 0 at scale 2."""
    model = make_model("llama")
    data, texts = embedded(model, "final_norm", back)
    vector = np.linspace(-0.2, 0.2, 32)
    turned = data.back[:, None]
    first = np.where(turned, data.embedding_0[0] + vector, data.embedding_0[0]).astype(np.float32)
    second = np.where(turned, data.embedding_0[0], data.embedding_0[0] + vector).astype(np.float32)
    exact = replace(data, embedding_0=first[None], embedding_1=second[None])
    effects = Effects(exact, texts, NextLaw(model, make_tokenizer(), "final_norm", 64))
    rows = list(range(HELD_OUT))
    goal = Removal(effects, rows)
    removed, error = goal.by(vector)
    assert removed == pytest.approx(1, abs=1e-4) and error == pytest.approx(0, abs=1e-4)
    assert goal.by(vector, 2.0)[0] == pytest.approx(0, abs=0.1)
    assert 0.7 < goal.by(vector, 0.5)[0] < 0.8  # a quarter of the divergence is left half-way, as of any small step
    assert goal.by(vector, -1.0)[0] < -2
    rivals = {one["name"]: one for one in _rivals(goal, effects, rows, float(np.linalg.norm(vector)), 0)}
    assert rivals["mean difference"]["removed"] == pytest.approx(1, abs=1e-4)
    assert rivals["mean difference"]["forward"] == 1 and rivals["9 random directions"]["largest"] < 0.5


def test_doubts_are_said_once(card):
    said = card[0]["caveats"]
    assert "shared is nearly the same as copy (1.00): they tell of one change, not of several." in said
    assert not any(line.startswith("copy is nearly the same") for line in said)
    assert any(line.startswith("noise ") for line in said)
    assert any(line.startswith("No vector has a name of its own") for line in said)


def test_the_readme_and_the_page_say_what_the_card_says(card):
    found, files, folder = card
    diagnosis = {
        "lm": "tiny",
        "dataset": "mine",
        "pairs": 24,
        "findings": [{"check": "rank", "sentence": "The shifts span <1> direction.", "advice": "Ask for fewer."}],
    }
    text = markdown(found, diagnosis, files.vectors)
    assert text.startswith("# Steering vectors of mine on tiny\n\n3 vectors of 32 numbers, read at `")
    assert "- 24 pairs to learn from and 16 held out (40%); the largest group has 1 row." in text
    assert "- The shifts span <1> direction. Ask for fewer." in text and text.count("### ") == 3
    assert f'shiftscope.steer(model, "{files.vectors.parent}", "shared", scale=1.0)' in text
    write_json(folder / "card.json", found)
    write_json(folder / "diagnosis.json", diagnosis)
    page = render_vectors(
        [folder / "card.json"],
        [folder / "diagnosis.json"],
        [files.vectors],
        [],
        folder / "page.html",
        folder / "index.html",
    )
    assert "<b>the row is blank" not in page and "&lt;b&gt;the row is blank" in page  # what users wrote is text
    assert "The shifts span &lt;1&gt; direction." in page and page.count('<article class="card"') == 3
    assert "http" not in page.replace("http-equiv", "")


def test_no_vector_and_few_held_out_pairs_are_said(tmp_path):
    found, _ = inputs(tmp_path, "final_norm", {})
    card = card_of(ASKED, found, tmp_path / "state")
    assert card["vectors"] == []
    said = caveats(card | {"held_out": 3})
    assert said[0] == "Only 3 pairs are held out: shares and effects on them say little."
    assert "No vector was exported" in markdown(card, {"findings": []}, found.vectors)
    assert json.dumps(card)


def test_a_vector_that_no_held_out_pair_carries(tmp_path):
    found, _ = inputs(tmp_path, "final_norm", {"far": (1000 * np.ones(32)).astype(np.float32)}, carried=0)
    (far,) = card_of(ASKED, found, tmp_path / "state")["vectors"]
    assert far["carriers"] == 0 and far["forward_held_out"] is None and far["rivals"] == []
    assert set(far["removed"].values()) == {None}


def test_what_a_model_does_not_allow_to_measure_is_said_and_all_else_is_there(tmp_path, monkeypatch):
    """Some models cap their logits, so that they are more than an unembedding."""
    found, _ = inputs(tmp_path, "final_norm", {"shared": mean_of("final_norm")})

    def capped(model, ids):
        raise ShiftScopeError("logits are capped")

    monkeypatch.setattr(likelihood, "check_linear", capped)
    monkeypatch.setattr(next_law, "check_linear", capped)
    card = card_of(ASKED, found, tmp_path / "state")
    assert card["caveats"][:2] == [
        "What vectors do to the next token was not measured: logits are capped.",
        "What vectors cost in perplexity was not measured: logits are capped.",
    ]
    (shared,) = card["vectors"]
    assert set(shared["removed"].values()) == set(shared["perplexity"].values()) == {None} and shared["strongest"]
    assert "| shared | 24 | 100% of 12 |" in markdown(card, {"findings": []}, found.vectors)


def test_labels_that_no_vector_follows_are_named_where_enough_pairs_tell(tmp_path):
    data, _ = embedded(make_model("llama"), "final_norm", back=False)
    truth = {"concepts": np.tile([[1.0, 0.0, 5.0], [0.0, 1.0, 5.0]], (N // 2, 1))[None]}
    facts = {**data.facts, "primary_truth": "concepts", "concepts": ["up", "down", "always"]}
    told = replace(data, truths=truth, facts=facts)
    assert _unfollowed(told, {"names": ["up", "code_1"]}) == ["down"]
    few = replace(told, split=np.repeat([0, 1], [N - 9, 9]).astype(np.uint8))
    assert _unfollowed(few, {"names": ["up"]}) == [] and _unfollowed(data, {"names": []}) == []


def test_pairs_stand_as_they_were_given_also_where_they_go_against_the_vector(tmp_path):
    found, _ = inputs(tmp_path, "final_norm", {"back": -mean_of("final_norm")})
    (back,) = card_of(ASKED, found, tmp_path / "state")["vectors"]
    assert all(pair["text_0"].endswith("red") and pair["text_1"].endswith("blue") for pair in back["strongest"])
    assert back["strongest"][0]["times"] < 0 and back["to_mean"] == pytest.approx(-1, abs=0.01) and back["along"] < 0.5


def test_a_vector_that_pairs_go_either_way_is_said_not_to_turn_first_texts_into_second_ones(card):
    found, _, _ = card
    told = {"manifest": {**found["manifest"], "orientation": "given"}}
    assert not any("test of flipped signs" in line for line in caveats(found | told))  # `shared` is among them
    copy = found["vectors"][1] | {"near": []}
    about = {**found["about"], "names": ["copy"], "correlations": {}}
    said = caveats(found | told | {"about": about, "vectors": [copy | {"forward": 0.52}]})
    assert said[0].startswith("By a test of flipped signs the pairs share no shift")
    assert any(
        line.startswith("copy goes one way in 52% of the training pairs that carry it and the other way in the rest")
        for line in said
    )


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("short red", "short blue", ("short red", "short blue")),
        ("x" * 100 + " red", "x" * 100 + " blue", ("…" + "x" * 24 + " red", "…" + "x" * 24 + " blue")),
        ("y" * 60, "y" * 60 + "!", ("…" + "y" * 25, "…" + "y" * 25 + "!")),
    ],
)
def test_what_two_long_texts_have_in_common_is_cut(first, second, shown):
    assert differing(first, second) == shown
