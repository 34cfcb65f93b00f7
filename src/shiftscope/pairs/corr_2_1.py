"""English → French or English → German professions: one of two correlated concepts changes in every pair.

Paper A, Sec. 3 and B.1.3, corr(2,1); the word list is ours. A group is one profession with both its pairs.
"""

from shiftscope.pairs._word_pairs import WordPairs


class Corr21(WordPairs):
    """From English to French and from English to German."""

    n_varying = 2
    word_lists = ("corr_2_1",)
    concepts = ("french", "german")
    forms = (("english", 0, 0), ("french", 1, 0), ("german", 0, 1))
