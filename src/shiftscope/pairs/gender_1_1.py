"""Masculine → feminine English nouns: one concept, the gender, changes in every pair.

Paper A, Sec. 3 and B.1.3, gender(1,1); the word list is ours. A group is one noun.
"""

from shiftscope.pairs._word_pairs import WordPairs


class Gender11(WordPairs):
    """Masculine and feminine nouns."""

    n_varying = 1
    word_lists = ("gender_1_1",)
    concepts = ("feminine",)
    forms = (("masculine", 0), ("feminine", 1))
