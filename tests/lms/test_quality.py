"""What a language model is said to have learned: 1 for the exact law, 0 for that of who does not know the concept."""

import numpy as np
import pytest
import torch
from helpers.grammars import SIZES, drawn_texts

from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.errors import ShiftScopeError
from shiftscope.generative.grammar import END, Concept, Grammar, case, choice
from shiftscope.lms._quality import beginnings, check, counterfactuals, divergence, law_of, learned
from shiftscope.lms.train import Train
from shiftscope.training.language_model import new_model, train_tokenizer

SURE = {"left": {"west": 0.9, "east": 0.1}, "right": {"west": 0.1, "east": 0.9}}
"""of `two_step`: the law of the last word given `side`"""


def two_step(weights=(1, 1), hint=()) -> Grammar:
    """ "left|right then west|east": only attention to the first word tells the last; of `shade` nothing follows."""
    laws = {"side": (("left", "right"), weights), "shade": (("pale", "dark"), (1, 1))}
    concepts = {name: Concept(values, {(): shares}) for name, (values, shares) in laws.items()}
    side, shade = (case(name, {value: value for value in concept.values}) for name, concept in concepts.items())
    end = case("side", {value: choice(law) for value, law in SURE.items()})
    return Grammar(concepts, (shade, hint, side, "then", end))


def mixed(left: float) -> dict[str, float]:
    """The law of the last word for who believes in `left` so much."""
    return {word: left * SURE["left"][word] + (1 - left) * SURE["right"][word] for word in SURE["left"]}


@pytest.mark.parametrize(("weights", "left"), [((1, 1), 0.5), ((3, 1), 0.75)])
def test_learned_is_one_for_the_exact_law_and_zero_for_that_of_who_is_blind_to_the_concept(weights, left):
    grammar = two_step(weights)
    pairs = beginnings(grammar, ["shade"])

    def exact(texts):
        return [grammar.next_words(words) for words in texts]

    def other(texts):
        turned = {"left": "right", "right": "left"}
        return exact([[turned.get(word, word) for word in words] for words in texts])

    def blind(texts):
        return [mixed(left) if words[-1] == "then" else law for words, law in zip(texts, exact(texts), strict=True)]

    found = learned(pairs, ["shade"], exact)
    assert found["side"]["learned"] == pytest.approx(1)
    assert found["side"]["same_word"]
    assert found["shade"] == {"pairs": 60, "same_word": True, "effect": pytest.approx(0)}
    sides = [pair.texts[1][-2] for pair in pairs["side"]]
    effect = np.mean([divergence(SURE[side], mixed(left)) for side in sides])
    assert found["side"]["effect"] == pytest.approx(effect)
    assert learned(pairs, ["shade"], other)["side"]["learned"] == pytest.approx(1 - 0.8 * np.log(9) / effect)
    quality = learned(pairs, ["shade"], blind)
    assert quality["side"]["learned"] == pytest.approx(0)
    with pytest.raises(ShiftScopeError, match=r"learned too little .*'side'"):
        check(quality, Train(corpus="c").gate, "blind")


def test_what_all_beginnings_share_is_known_to_who_is_blind():
    """After a word that leans to `left` by .8 against .2, the mixture is that of its posterior, not of the prior."""
    hint = case("side", {"left": choice({"so": 0.8, "thus": 0.2}), "right": choice({"so": 0.2, "thus": 0.8})})
    for pair in counterfactuals(two_step(hint=hint), "side", 20, 0):
        shared = [one for one, two in zip(*pair.texts, strict=True) if one == two]
        assert shared[-1] == "then"
        if pair.texts[0][1] == pair.texts[1][1]:
            assert pair.marginal == pytest.approx(mixed(0.8 if shared[1] == "so" else 0.2))
        else:  # the hint itself differs: nothing before it tells
            assert pair.marginal == pytest.approx(mixed(0.5))


def test_the_last_word_rules_values_out_that_have_another_one_there():
    ends = {"one": "west", "two": "east", "three": "north"}
    grammar = Grammar(
        {"way": Concept(tuple(ends), {(): (1, 2, 5)})},
        case("way", {way: (way, "else" if way == "three" else "then", end) for way, end in ends.items()}),
    )
    found = counterfactuals(grammar, "way", 20, 0)
    assert len(found) == 20
    for pair in found:
        assert "three" not in pair.texts[0] + pair.texts[1]
        assert pair.marginal == pytest.approx({"west": 1 / 3, "east": 2 / 3})


@pytest.mark.parametrize("concept", ["gender", "valence", "color"])
def test_beginnings_of_the_corpus_end_with_the_same_word_and_the_concept_tells_of_the_next(concept):
    grammar = ShortDocuments().build()
    found = counterfactuals(grammar, concept, 20, 0)
    assert len(found) == 20
    for (first, second), law, marginal, same_word in found:
        assert same_word
        assert first[-1] == second[-1]
        assert first != second
        assert law == grammar.next_words(second)
        assert divergence(law, marginal) > 0.05


def test_of_one_color_in_ten_the_blind_know_that_it_is_one_of_ten():
    grammar = ShortDocuments().build()
    pair = counterfactuals(grammar, "color", 1, 0)[0]
    place = next(place for place, words in enumerate(zip(*pair.texts, strict=True)) if words[0] != words[1])
    colors = [
        [*pair.texts[1][:place], color, *pair.texts[1][place + 1 :]] for color in grammar.concepts["color"].values
    ]
    laws = [grammar.next_words(text) for text in colors]
    assert pair.marginal == pytest.approx({word: np.mean([law.get(word, 0) for law in laws]) for word in laws[0]})


def test_a_concept_that_only_the_next_word_depends_on_is_judged_right_after_its_own():
    grammar = ShortDocuments().build()
    objects = grammar.concepts["object"].values
    for pair in counterfactuals(grammar, "object", 5, 0):
        assert not pair.same_word
        assert pair.texts[0][:-1] == pair.texts[1][:-1]
        assert {pair.texts[0][-1], pair.texts[1][-1]} < set(objects)


def test_a_concept_of_which_nothing_follows_is_refused_unless_it_is_null():
    with pytest.raises(ShiftScopeError, match=r"concept shade: in 6000 pairs .* name it in the corpus's `null`"):
        beginnings(two_step(), [])
    assert len(beginnings(two_step(), ["shade"])["shade"]) == 60


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
