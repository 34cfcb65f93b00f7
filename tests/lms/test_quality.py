"""What a language model is said to have learned: 1 for the exact law, 0 for that of the other value."""

import numpy as np
import pytest
import torch
from helpers.grammars import SIZES, drawn_texts

from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.errors import ShiftScopeError
from shiftscope.generative.grammar import END, Concept, Grammar, case, choice
from shiftscope.lms._quality import check, counterfactuals, divergence, law_of, learned
from shiftscope.training.language_model import new_model, train_tokenizer


def two_step() -> Grammar:
    """ "left|right then west|east": only attention to the first word tells the last; of `shade` nothing follows."""
    concepts = {name: Concept(values, {(): (1, 1)}) for name, values in
                {"side": ("left", "right"), "shade": ("pale", "dark")}.items()}  # fmt: skip
    side, shade = (case(name, {value: value for value in concept.values}) for name, concept in concepts.items())
    end = case("side", {"left": choice({"west": 0.9, "east": 0.1}), "right": choice({"west": 0.1, "east": 0.9})})
    return Grammar(concepts, (shade, side, "then", end))


def test_learned_is_one_for_the_exact_law_and_zero_for_the_other_value():
    grammar = two_step()

    def exact(beginnings):
        return [grammar.next_words(words) for words in beginnings]

    def other(beginnings):
        turned = {"left": "right", "right": "left"}
        return exact([[turned.get(word, word) for word in words] for words in beginnings])

    def blind(beginnings):
        return [{word: (one[word] + two[word]) / 2 for word in one} if len(words) == 3 else one for words, one, two in
                zip(beginnings, exact(beginnings), other(beginnings), strict=True)]  # fmt: skip

    assert learned(grammar, ["shade"], exact)["side"]["learned"] == pytest.approx(1)
    assert learned(grammar, ["shade"], other)["side"]["learned"] == pytest.approx(0)
    effect = 0.8 * np.log(9)
    half = 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)
    found = learned(grammar, ["shade"], blind)["side"]
    assert found["effect"] == pytest.approx(effect)
    assert found["learned"] == pytest.approx(1 - half / effect)
    assert learned(grammar, ["shade"], exact)["shade"]["effect"] == pytest.approx(0)


def test_counterfactual_beginnings_end_with_the_same_word_and_differ_in_law():
    grammar = ShortDocuments().build()
    for concept in ("gender", "valence", "color"):
        found = counterfactuals(grammar, concept, 20, 0)
        assert len(found) == 20
        for (first, second), laws in found:
            assert first[-1] == second[-1]
            assert first != second
            assert divergence(laws[1], laws[0]) > 0.05


def test_a_model_that_learned_too_little_is_refused():
    quality = {"side": {"learned": 0.7}, "end": {"learned": 0.9}, "shade": {"effect": 3.0}}
    check(quality, 0.6, "mine")
    with pytest.raises(ShiftScopeError, match=r"LM mine has learned too little .*\{'side': 0.7\}, gate 0.8"):
        check(quality, 0.8, "mine")


def test_the_models_law_is_its_softmax_over_words():
    tokenizer = train_tokenizer(drawn_texts(), 8192)
    model = new_model(SIZES, len(tokenizer)).eval()
    law = law_of(model, tokenizer, ["king", "."])([["our", "king"]])[0]
    with torch.inference_mode():
        ids = torch.tensor([tokenizer("our king")["input_ids"]])
        shares = model(input_ids=ids).logits[0, -1].softmax(0)
    assert set(law) == {"king", ".", END}
    assert law[END] == pytest.approx(float(shares[tokenizer.eos_token_id]), rel=1e-4)
