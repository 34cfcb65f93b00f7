"""Language and gender of professions and persons vary jointly: one or both of two concepts change in a pair.

Paper A, Sec. 3 and B.1.3, binary(2,2); the word list is ours. A group is one person in four forms, English or French,
masculine or feminine, all different, so that a text determines its concepts.
"""

from shiftscope.pairs._word_pairs import WordPairs


class Binary22(WordPairs):
    """All twelve ordered pairs of each person's four forms."""

    n_varying = 2
    word_lists = ("binary_2_2",)
    concepts = ("french", "feminine")
    forms = (
        ("english_masculine", 0, 0),
        ("english_feminine", 0, 1),
        ("french_masculine", 1, 0),
        ("french_feminine", 1, 1),
    )
    every_pair = True
