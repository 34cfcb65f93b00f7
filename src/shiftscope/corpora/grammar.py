"""Short documents in English, French and German whose concepts are known: the corpus of the embedded language model.

The nouns are those of the pair datasets, so that a pair changes concepts of which the text has consequences:

    language    every word after the noun
    gender      tag, emphatic, pronoun, possessive, French adjective; English and German professions only lean
    tense       verb and adverb
    valence     adjective and, words later, exclamation
    color, shape, object    after "red round lamp", one verb that belongs to one of the three
    bullet      none: the document begins with one of two signs and nothing follows from which (the NULL concept)

Frames are the same in all languages. What stands after a noun depends on one concept at a time, but for emphatics,
pronouns and French adjectives, so that the next word's log-probabilities are nearly additive in the concepts.
"""

from typing import Any

from pydantic import Field

from shiftscope.corpora._grammars import GrammarCorpus
from shiftscope.generative.grammar import Case, Choice, Concept, Grammar, case, choice, words
from shiftscope.word_lists import read_words

LANGUAGES, GENDERS = ("english", "french", "german"), ("masculine", "feminine")
TENSES, VALENCES, BULLETS = ("present", "past"), ("positive", "negative"), ("dash", "star")
LEANING = (0.2, 0.35, 0.5, 0.65, 0.8)
"""P(feminine) of professions whose word does not tell, one after the other down the list"""

# one column per language, in the order of LANGUAGES
OUR = ("our", "notre", "unser")
BE = {"present": ("is", "est", "ist"), "past": ("was", "était", "war")}
VERBS = {
    "present": ("sings laughs works sleeps travels waits", "chante rit travaille dort voyage attend", "singt lacht arbeitet schläft reist wartet"),
    "past": ("sang laughed worked slept travelled waited", "chanta riait travailla dormit voyagea attendit", "sang lachte arbeitete schlief reiste wartete"),
}  # fmt: skip
ADVERBS = {
    "present": ("today now often", "aujourd'hui maintenant souvent", "heute jetzt oft"),
    "past": ("yesterday once formerly", "hier jadis autrefois", "gestern einst damals"),
}
TAG = {"masculine": "(m)", "feminine": "(f)"}
EMPHATIC = {
    "masculine": ("himself", "lui-même", "seinerseits"),
    "feminine": ("herself", "elle-même", "ihrerseits"),
}
PRONOUN = {"masculine": ("he", "il", "er"), "feminine": ("she", "elle", "sie")}
POSSESSIVE = {"masculine": ("with his friends", "avec ses amis", "mit seinen Freunden"),
              "feminine": ("with her friends", "avec ses amis", "mit ihren Freunden")}  # fmt: skip
ADJECTIVES = {
    "positive": ("kind clever happy brave honest", "bon intelligent heureux courageux content", "gut klug froh mutig ehrlich"),
    "negative": ("cruel stupid unhappy lazy wicked", "mauvais bête malheureux paresseux méchant", "böse dumm traurig faul grausam"),
}  # fmt: skip
FRENCH_FEMININE = {
    "bon": "bonne", "intelligent": "intelligente", "heureux": "heureuse", "courageux": "courageuse", "content": "contente",
    "mauvais": "mauvaise", "bête": "bête", "malheureux": "malheureuse", "paresseux": "paresseuse", "méchant": "méchante",
}  # fmt: skip
QUALITIES = {"positive": ("useful splendid practical", "utile magnifique pratique", "nützlich prächtig praktisch"),
             "negative": ("useless horrible fragile", "inutile horrible fragile", "nutzlos schrecklich zerbrechlich")}  # fmt: skip
EXCLAMATION = {"positive": ("what joy !", "quelle joie !", "welche Freude !"),
               "negative": ("what pity !", "quel dommage !", "wie schade !")}  # fmt: skip
GERMAN_FEMININE = (
    "Kellnerin Hirtin Fischerin Jägerin Dichterin Bildhauerin Schauspielerin Polizistin Feuerwehrfrau Schneiderin "
    "Briefträgerin Verkäuferin Botschafterin Priesterin Nonne"
)
"""of the professions whose English or French word tells the gender"""
COLOR_VERBS = "glows shimmers gleams dazzles fades darkens flashes sparkles pales blazes"
SHAPE_VERBS = "rolls stands tilts wobbles stretches narrows bends unfolds spins leans"
OBJECT_VERBS = "burns opens empties creaks rings ticks shatters folds drips hums"


def by_language(column: tuple[Any, Any, Any]) -> Case:
    """The node that belongs to the document's language."""
    return case("language", dict(zip(LANGUAGES, column, strict=True)))


def one_of(text: str) -> Choice:
    """One word of a text."""
    return choice(text.split())


def by(concept: str, rows: dict[str, tuple[str, str, str]], node: Any = words) -> Case:
    """The node of each row, made by `node` of the text in the document's language."""
    return case(concept, {value: by_language(tuple(map(node, columns))) for value, columns in rows.items()})


def nouns() -> tuple[dict[str, dict[str, list[str]]], dict[str, list[str]]]:
    """Words for people: those that tell the gender `{language: {gender: words}}`, and professions that only lean.

    A profession that tells in one language tells in all, so that a change of language is no change of gender.
    """
    telling: dict[str, dict[str, list[str]]] = {name: {gender: [] for gender in GENDERS} for name in LANGUAGES}
    for row in read_words("gender_1_1", list(GENDERS)):
        for gender, word in zip(GENDERS, row, strict=True):
            telling["english"][gender].append(word)
    columns = ["english_masculine", "english_feminine", "french_masculine", "french_feminine"]
    for row in read_words("binary_2_2", columns):
        for column, word in zip(columns, row, strict=True):
            telling[column.split("_")[0]][column.split("_")[1]].append(word)
    masculine = {word for name in LANGUAGES for word in telling[name]["masculine"]}
    leaning: dict[str, list[str]] = {name: [] for name in LANGUAGES}
    for row in read_words("corr_2_1", list(LANGUAGES)):
        for name, word in zip(LANGUAGES, row, strict=True):
            (telling[name]["masculine"] if masculine & set(row) else leaning[name]).append(word)
    telling["german"]["feminine"] = GERMAN_FEMININE.split()
    unique = {name: {gender: sorted(set(found)) for gender, found in lists.items()} for name, lists in telling.items()}
    return unique, leaning


def noun() -> Case:
    """A word for a person, by language and gender."""
    telling, leaning = nouns()
    shares = {"masculine": [1 - share for share in LEANING], "feminine": LEANING}

    def of(language: str, gender: str) -> Choice:
        weights = {word: shares[gender][place % len(LEANING)] for place, word in enumerate(leaning[language])}
        return choice({choice(telling[language][gender]): 0.6, choice(weights): 0.4})

    return case(
        "language", {name: case("gender", {gender: of(name, gender) for gender in GENDERS}) for name in LANGUAGES}
    )


def sentence_about_a_person() -> Any:
    """What follows a noun or pronoun, up to the full stop."""
    adjective = case("valence", {
        valence: case("language", {
            "english": one_of(english),
            "french": case("gender", {
                "masculine": one_of(french),
                "feminine": choice([FRENCH_FEMININE[word] for word in french.split()]),
            }),
            "german": one_of(german),
        })
        for valence, (english, french, german) in ADJECTIVES.items()
    })  # fmt: skip
    ends = choice({".": 0.4, (",", by("valence", EXCLAMATION)): 0.6})
    verb = (
        by("tense", VERBS, one_of),
        choice({by_gender(POSSESSIVE): 0.25, (): 0.75}),
        by("tense", ADVERBS, one_of),
        ".",
    )
    return choice({(by("tense", BE), adjective, ends): 0.6, verb: 0.4})


def by_gender(rows: dict[str, tuple[str, str, str]]) -> Case:
    """The words of each gender, in the document's language."""
    return by("gender", rows)


def person() -> Any:
    """A document about a person: noun, perhaps what tells the gender, a sentence, perhaps another with a pronoun."""
    article = choice({(): 0.6, by_language(OUR): 0.4})
    telling = choice({case("gender", TAG): 0.3, by_gender(EMPHATIC): 0.15, (): 0.55})
    again = choice({(by_gender(PRONOUN), sentence_about_a_person()): 0.5, (): 0.5})
    return article, noun(), telling, sentence_about_a_person(), again


def thing() -> Any:
    """A document about a household object, in English or French; in German about a person."""
    rows = read_words("lang_1_1", ["english", "french"])
    article = choice({(): 0.6, by_language(OUR): 0.4})
    noun = case(
        "language",
        {"english": choice([row[0] for row in rows]), "french": choice([row[1] for row in rows]), "german": ()},
    )
    ends = choice({(by("tense", ADVERBS, one_of), "."): 0.5, (",", by("valence", EXCLAMATION)): 0.5})
    about = (article, noun, by("tense", BE), by("valence", QUALITIES, one_of), ends)
    return case("language", {"english": about, "french": about, "german": person()})


def phrase(noise: float) -> Any:
    """ "red round lamp" and a verb that belongs to its color, its shape or its object, or, by `noise`, to nothing."""
    values = dict(zip(("color", "shape", "object"), attributes(), strict=True))
    verbs = dict(zip(values, map(str.split, (COLOR_VERBS, SHAPE_VERBS, OBJECT_VERBS)), strict=True))
    told = {case(name, dict(zip(values[name], verbs[name], strict=True))): (1 - noise) / 3 for name in values}
    any_verb = choice([verb for names in verbs.values() for verb in names])
    article = choice({(): 0.7, "one": 0.3})
    return article, *(case(name, {word: word for word in values[name]}) for name in values), Choice((*told.values(), noise), (*told, any_verb)), by("tense", ADVERBS, one_of), "."  # fmt: skip


def attributes() -> list[tuple[str, ...]]:
    """The values of color, shape and object."""
    return list(zip(*read_words("cat_135_3", ["color", "shape", "object"]), strict=True))


class ShortDocuments(GrammarCorpus):
    """`documents` are about 8 words long; `noise` is the share of verbs after "red round lamp" that belong to nothing."""

    word_lists = ("lang_1_1", "gender_1_1", "binary_2_2", "corr_2_1", "cat_135_3")
    null = ("bullet",)

    documents: int = Field(200_000, ge=100)
    noise: float = Field(0.05, gt=0, lt=1)

    def build(self) -> Grammar:
        """The grammar: concepts, all independent, and the document."""
        names = {"language": LANGUAGES, "gender": GENDERS, "tense": TENSES, "valence": VALENCES, "bullet": BULLETS}
        names |= dict(zip(("color", "shape", "object"), attributes(), strict=True))
        weights = {"language": (0.5, 0.3, 0.2)}
        concepts = {
            name: Concept(values, {(): weights.get(name, (1.0,) * len(values))}) for name, values in names.items()
        }
        bullet = choice({(): 0.8, case("bullet", {"dash": "-", "star": "*"}): 0.2})
        body = case("language", {
            "english": Choice((0.4, 0.2, 0.4), (person(), thing(), phrase(self.noise))),
            "french": Choice((0.6, 0.4), (person(), thing())),
            "german": person(),
        })  # fmt: skip
        return Grammar(concepts, (bullet, body))
