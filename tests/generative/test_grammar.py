"""The grammar: everything it says exactly, checked by hand where a hand can."""

import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.generative.grammar import END, Concept, Grammar, case, choice, words

COIN = Concept(("heads", "tails"), {(): (0.25, 0.75)})
# of the light nothing is said but by the siren, and of the siren only when there is a light
LIGHT = Concept(("on", "off"), {(): (0.5, 0.5)})
SIREN = Concept(("loud", "mute"), {("on",): (0.9, 0.1), ("off",): (0.2, 0.8)}, ("light",))


def by_hand() -> Grammar:
    """ "it is" one of two words or, half of the time, a third that does not tell."""
    told = case("coin", {"heads": "up", "tails": "down"})
    return Grammar({"coin": COIN}, (words("it is"), choice({told: 0.5, "hidden": 0.5})))


def sirens() -> Grammar:
    return Grammar({"light": LIGHT, "siren": SIREN}, case("siren", {"loud": "wail", "mute": choice(["hum", ()])}))


def test_what_a_hand_can_compute():
    grammar = by_hand()
    assert grammar.next_words([]) == {"it": 1.0}
    assert grammar.next_words(["it", "is"]) == pytest.approx({"up": 0.125, "down": 0.375, "hidden": 0.5})
    assert grammar.posterior(["it", "is", "hidden"], ["coin"]) == pytest.approx({("heads",): 0.25, ("tails",): 0.75})
    assert grammar.posterior(["it", "is", "up"], ["coin"]) == {("heads",): 1.0}
    assert grammar.next_words(["it", "is", "up"]) == {END: 1.0}


def test_a_concept_with_a_parent():
    grammar = sirens()
    assert grammar.next_words([]) == pytest.approx({"wail": 0.55, "hum": 0.225, END: 0.225})
    # Bayes: P(on | wail) = .5 · .9 / .55
    assert grammar.posterior(["wail"], ["light"]) == pytest.approx({("on",): 9 / 11, ("off",): 2 / 11})
    joint = grammar.posterior(["hum"], ["siren", "light"])
    assert joint == pytest.approx({("mute", "on"): 1 / 9, ("mute", "off"): 8 / 9})


@pytest.mark.parametrize(
    ("concepts", "document", "message"),
    [
        ({"siren": SIREN}, "x", "its parent 'light' must stand before it"),
        ({"coin": COIN}, case("con", {}), "needs the concept 'con', which the grammar does not have"),
        ({"coin": COIN}, case("coin", {"heads": "x"}), "must have a node for each of heads, tails"),
        ({"coin": Concept(("a", "b"), {(): (1.0,)})}, "x", "needs 2 weights"),
        ({"light": LIGHT, "siren": Concept(("a",), {("on",): (1.0,)}, ("light",))}, "x", "a key for each of"),
        ({}, choice([]), "needs at least one node"),
    ],
)
def test_a_grammar_that_cannot_be_is_refused(concepts, document, message):
    with pytest.raises(ShiftScopeError, match=message):
        Grammar(concepts, document)


def test_a_beginning_that_cannot_be_is_named():
    with pytest.raises(ShiftScopeError, match="no document of the grammar has 'was' after 'it'"):
        by_hand().beliefs(["it", "was"])
