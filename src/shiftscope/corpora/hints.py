"""Documents whose words hint at concepts without ever telling them: the corpus of the log-posterior test (docs/theory.md).

A document is an opening and up to `units` words, some of them after `not`, each drawn from a law of its own for every joint value of two concepts, so
that each word moves the posterior of both and none settles it. After `not` the other mood's law holds: what a word says
depends on the one before it, and counts of words do not tell the posterior. No word is impossible: 0 < p < 1 everywhere.

    place    city, forest or sea
    mood     bright or dark, by the place
    tone     none: the opening hints at it, and nothing follows (the NULL concept)
"""

import math
from typing import Any, ClassVar

from pydantic import Field

from shiftscope.corpora._grammars import GrammarCorpus
from shiftscope.generative.grammar import Concept, Grammar, case, choice

PLACES, MOODS, TONES = ("city", "forest", "sea"), ("bright", "dark"), ("calm", "wild")
MOOD_BY_PLACE = {("city",): (0.35, 0.65), ("forest",): (0.5, 0.5), ("sea",): (0.7, 0.3)}
WORDS = ["tower", "market", "lamp", "stone", "garden", "moss", "bird", "river", "cloud", "wave", "sand", "shell"]
OPENINGS = {"calm": (0.4, 0.3, 0.2, 0.1), "wild": (0.1, 0.2, 0.3, 0.4)}
"""weights of `OPENING_WORDS`"""
OPENING_WORDS = ("well", "so", "now", "oh")
FLIP, END = 0.3, 0.06
"""shares of words that stand after `not`, and of documents that end after each word"""
MOOD, OWN = 1.1, 0.6
"""how much a word hints at the mood, relative to the place, and how much of that is each place's own: without any the laws of the
joint values would be sums, and span fewer dimensions than there are values"""


class Hints(GrammarCorpus):
    """`strength` is how much a word hints, in nats; `units` the most words of a document behind its opening, not
    counting `not`."""

    null: ClassVar[tuple[str, ...]] = ("tone",)

    documents: int = Field(40_000, ge=100)
    units: int = Field(20, ge=1, le=30)
    strength: float = Field(1.2, gt=0, le=5)

    def build(self) -> Grammar:
        """The grammar: three concepts, of which the mood depends on the place, and the document."""
        concepts = {
            "place": Concept(PLACES, {(): (1.0, 1.0, 1.0)}),
            "mood": Concept(MOODS, MOOD_BY_PLACE, ("place",)),
            "tone": Concept(TONES, {(): (1.0, 1.0)}),
        }
        opening = case("tone", {
            tone: choice(dict(zip(OPENING_WORDS, weights, strict=True))) for tone, weights in OPENINGS.items()
        })  # fmt: skip
        unit = choice({self._word(MOODS): 1 - FLIP, ("not", self._word(MOODS[::-1])): FLIP})
        rest: Any = unit
        for _ in range(self.units - 1):
            rest = (unit, choice({(): END, rest: 1 - END}))
        return Grammar(concepts, (opening, rest))

    def _word(self, moods: tuple[str, ...]) -> Any:
        """A word by place and mood; `moods` are those that stand for the two."""
        return case("place", {
            place: case("mood", {
                mood: choice(dict(zip(WORDS, self._weights(number, MOODS.index(other)), strict=True)))
                for mood, other in zip(MOODS, moods, strict=True)
            })
            for number, place in enumerate(PLACES)
        })  # fmt: skip

    def _weights(self, place: int, mood: int) -> list[float]:
        """Weights of `WORDS`: of the place, and of the mood in a way that is partly the place's own."""
        third, sign = 2 * math.pi * place / len(PLACES), (MOOD, -MOOD)[mood]
        wave, way = ((4, 1), (5, 1), (4, -1))[place]
        angles = [2 * math.pi * number / len(WORDS) for number in range(len(WORDS))]
        moods = [sign * (math.cos(3 * angle) + OWN * way * math.cos(wave * angle)) for angle in angles]
        return [
            math.exp(self.strength * (math.cos(angle - third) + hint))
            for angle, hint in zip(angles, moods, strict=True)
        ]
