"""English → French words of household objects: one concept, the language, changes in every pair.

Paper A, Sec. 3 and B.1.3, lang(1,1); the word list is ours. A group is one object.
"""

from shiftscope.pairs._word_pairs import WordPairs


class Lang11(WordPairs):
    """English and French words."""

    n_varying = 1
    word_lists = ("lang_1_1",)
    concepts = ("french",)
    forms = (("english", 0), ("french", 1))
