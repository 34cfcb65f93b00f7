"""Cards of latents of which it is known what they fire on."""

import dataclasses
import logging

import numpy as np
import pytest
from helpers.card_worlds import FIRES_ON, make_autoencoder, make_text, make_words, token_of
from helpers.tiny_lms import make_model, make_tokenizer

from shiftscope.activations.next_tokens import next_tokens
from shiftscope.activations.windows import read_held_out
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.card_file import read_cards, write_cards
from shiftscope.evaluation.cards import TOKENS_SHOWN, describe, finished
from shiftscope.evaluation.pcc import feature_rows, words_of
from shiftscope.files import read_json, write_json
from shiftscope.report.latents import render_latents
from shiftscope.variants.structured import Structured

MODEL, TOKENIZER = make_model("llama"), make_tokenizer()


def cards_of(folder, trained=None, words=None):
    store = make_text(folder)
    files = folder / "windows.arrow", folder / "windows.json"
    return store, describe(
        store, trained or [make_autoencoder()], words or [make_words()], MODEL, TOKENIZER, *files, 64
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return cards_of(tmp_path_factory.mktemp("cards"))


def card_of(cards, concept):
    (found,) = [card for card in cards.variants[0].cards if card.matched[0].concept == concept]
    return found


def test_a_latent_that_fires_on_one_token_shows_that_token_marked(made):
    store, cards = made
    (held,) = store.chunks("test")
    for concept, latent in (("royal", 5), ("colour", 4)):
        card, token = card_of(cards, concept), token_of(FIRES_ON[concept])
        assert card.latent == latent
        assert card.active == (held.token == token).sum() and card.frequency == pytest.approx(card.active / 80)
        assert {one.token.strip() for one in card.contexts} == {FIRES_ON[concept]}
        codes = [one.code for one in card.contexts]
        assert codes == sorted(codes, reverse=True)
        assert codes == pytest.approx([0.5 + one.position / 100 for one in card.contexts], abs=1e-4)
        documents = [one.document for one in card.contexts]
        assert len(set(documents)) == len(documents) and {one.split for one in card.contexts} == {"train", "test"}
        assert {one.split == "test" for one in card.contexts if one.document >= 8} == {True}
        mine = [chunk for split in ("test", "train") for chunk in store.chunks(split)]
        positions = np.concatenate([chunk.position[chunk.token == token] for chunk in mine])
        assert card.size == pytest.approx(0.5 + positions.mean() / 100, rel=1e-4)
    assert cards.looked_at == {"test": 80, "train": 160}


def test_counts_of_the_histogram_are_those_of_the_frequency(made):
    for card in made[1].variants[0].cards:
        assert sum(card.histogram.counts) == card.active
        assert len(card.histogram.edges) == (len(card.histogram.counts) + 1 if card.active else 0)


def test_a_latent_that_never_fires_in_text_has_a_card_that_says_so(made):
    card = card_of(made[1], "gone")
    assert (card.latent, card.active, card.frequency, card.size) == (3, 0, 0, None)
    assert card.contexts == card.raised == card.lowered == card.histogram.counts == []
    assert card.matched[0].pcc_heldout > 0.8  # on words it does


def test_scores_are_those_of_the_table_and_the_nearest_concept_is_told(made):
    one, words = make_autoencoder(), words_of(make_words())
    features = one.variant.encode(one.models[0].arrays, words.embeddings)
    rows = [row for row in feature_rows(words, features) if row["metric"] == "pcc_heldout"]
    scores = {row["concept"]: row["value"] for row in rows}
    for concept, score in scores.items():
        card = card_of(made[1], concept)
        assert card.matched[0].pcc_heldout == pytest.approx(score, rel=1e-3)
        assert card.matched[0].correlation == pytest.approx(score, rel=1e-3)
        assert card.nearest.concept == concept and card.nearest.dataset == "words"
        assert card.nearest.words == card.matched[0].words == 30


def test_a_latent_that_falls_with_its_concept_has_a_correlation_below_zero(tmp_path):
    one = make_autoencoder(steps=(5,))
    arrays = one.models[0].arrays
    turned = arrays | {"encoder": -arrays["encoder"], "encoder_bias": np.full(6, 3, np.float32)}
    _, cards = cards_of(tmp_path, [one._replace(models=[one.models[0]._replace(arrays=turned)])])
    matched = card_of(cards, "royal").matched[0]
    assert matched.correlation == pytest.approx(-matched.pcc_heldout) and matched.pcc_heldout > 0.8


def test_next_tokens_are_those_of_the_unembedding_and_none_that_the_tokenizer_lacks(made):
    card = card_of(made[1], "royal")
    assert made[1].effect.model_dump() == {"unit": "logits", "tokens": 0}
    column = MODEL.get_output_embeddings().weight.detach().numpy()[: len(TOKENIZER), token_of("king")]
    up, down = np.argsort(-column)[:TOKENS_SHOWN], np.argsort(column)[:TOKENS_SHOWN]
    assert [one.id for one in card.raised] == [number for number in up if column[number] > 0]
    assert [one.id for one in card.lowered] == [number for number in down if column[number] < 0]
    assert [one.change for one in card.raised] == pytest.approx(
        card.size * column[[o.id for o in card.raised]], rel=1e-3
    )
    assert all(one.change < 0 for one in card.lowered)
    assert all(one.token.strip() == TOKENIZER.convert_ids_to_tokens(one.id) for one in card.raised if one.id > 2)


def test_of_an_autoencoder_of_two_paths_the_codes_are_those_of_the_sparse_one(made, tmp_path):
    one = make_autoencoder(steps=(5,))
    dense = {"structured_encoder": np.ones((6, 32), np.float32), "structured_encoder_bias": np.ones(6, np.float32)}
    both = one.models[0]._replace(arrays=one.models[0].arrays | dense)
    two = one._replace(variant=Structured, models=[both])
    _, cards = cards_of(tmp_path, [two])
    assert cards.variants[0].cards == made[1].variants[0].cards


def test_behind_a_block_the_effect_is_measured(tmp_path):
    store = make_text(tmp_path)
    store.facts["layer"] = "resid_post.1"
    files = tmp_path / "windows.arrow", tmp_path / "windows.json"
    cards = describe(store, [make_autoencoder()], [make_words()], MODEL, TOKENIZER, *files, 64)
    assert cards.effect.model_dump() == {"unit": "nats", "tokens": 80} and cards.layer == "resid_post.1"
    card, direction = card_of(cards, "royal"), np.eye(32, dtype=np.float32)[[token_of("king")]]
    change = next_tokens(MODEL, "resid_post.1", direction, [card.size], read_held_out(*files), 64).change[0]
    assert [one.id for one in card.raised] == np.argsort(-change[: len(TOKENIZER)])[:TOKENS_SHOWN].tolist()
    assert [one.change for one in card.raised] == pytest.approx(change[[one.id for one in card.raised]], rel=1e-2)


def test_words_of_several_datasets_may_have_one_latent(tmp_path):
    second = make_words(("colour", "gone"))
    second = dataclasses.replace(second, facts=second.facts | {"dataset": "again"})
    _, cards = cards_of(tmp_path, words=[make_words(), second])
    matched = {card.latent: [(one.dataset, one.concept) for one in card.matched] for card in cards.variants[0].cards}
    assert matched == {
        3: [("words", "gone"), ("again", "gone")], 4: [("words", "colour"), ("again", "colour")], 5: [("words", "royal")],
    }  # fmt: skip
    write_cards(tmp_path / "cards.json", cards)
    text = render_latents([tmp_path / "cards.json"], tmp_path / "latents.html", tmp_path / "index.html")
    assert "again: colour, words: colour" in text or "words: colour, again: colour" in text


def test_it_is_the_first_seed_at_the_chosen_setting_when_it_is_finished(caplog):
    one = make_autoencoder(steps=(0, 3, 5))
    second = [model._replace(setting=1, seed=7) for model in one.models]
    both = one._replace(facts=one.facts | {"settings": one.settings * 2}, models=one.models + second)
    ((_, model),) = finished([both])
    assert (model.setting, model.seed, model.facts["step"]) == (0, 0, 5)
    ((_, model),) = finished([both._replace(chosen=1)])
    assert (model.setting, model.seed, model.facts["step"]) == (1, 7, 5)
    with caplog.at_level(logging.WARNING):
        assert not [*finished([make_autoencoder("raw", steps=(0,))])]
    assert "raw was not trained (steps: 0): no latent of it is described" in caplog.text


def test_concepts_without_a_latent_are_named(tmp_path):
    _, cards = cards_of(tmp_path, [make_autoencoder(concepts=("royal", "colour"), n_codes=2)])
    assert cards.variants[0].unmatched == ["words: gone"] and len(cards.variants[0].cards) == 2


def test_the_same_cards_are_the_same_bytes_and_are_read_back(made, tmp_path):
    for name in ("one", "two"):
        write_cards(tmp_path / f"{name}.json", cards_of(tmp_path / name)[1])
    first = (tmp_path / "one.json").read_bytes()
    assert first == (tmp_path / "two.json").read_bytes()
    assert read_cards(tmp_path / "one.json") == made[1]


def test_what_is_no_file_of_cards_is_refused(tmp_path, made):
    file = tmp_path / "cards.json"
    write_cards(file, made[1])
    found = read_json(file)
    del found["variants"][0]["cards"][1]["latent"]
    write_json(file, found)
    with pytest.raises(
        ShiftScopeError, match=r"holds no cards of latents \(variants.0.cards.1.latent: Field required\)"
    ):
        read_cards(file)


def test_windows_of_another_run_and_a_store_without_held_out_tokens_are_refused(tmp_path):
    store = make_text(tmp_path)
    files = tmp_path / "windows.arrow", tmp_path / "windows.json"
    given = [make_autoencoder()], [make_words()], MODEL, TOKENIZER, *files, 64
    store.facts["shape"]["test"] = [0, 32]
    with pytest.raises(ShiftScopeError, match="no held-out tokens to describe latents on: set `held_out` above 0"):
        describe(store, *given)
    store.facts["windows_sha256"] = "other"
    with pytest.raises(ShiftScopeError, match="were read from other windows than"):
        describe(store, *given)
