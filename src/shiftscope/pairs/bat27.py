"""Pairs of words for 27 concepts, such as tense, number or language: what sparse autoencoders are held against.

Paper B, App. G.2, Table 1, after Park et al. (arXiv 2311.03658), who took most from the Bigger Analogy Test Set. In a pair
one concept changes, by +1 from its first word to its second. A group is the words of one concept that pairs link, and each
concept is split by itself, so that both halves hold words of all 27; a word may stand in two concepts.

Our own lists have as many pairs as Table 1 counts, but for `country_capital` (156 of 158: the other names are two words).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from shiftscope.downloads import downloaded
from shiftscope.errors import ShiftScopeError
from shiftscope.files import check_sha256
from shiftscope.kinds import UserPath
from shiftscope.pairs._split import held_out_rows, linked, split_by_group
from shiftscope.pairs.base import Pair, PairDataset, Pairs, Rejected
from shiftscope.word_lists import read_word_pairs

logger = logging.getLogger(__name__)
Words = tuple[str, str]
REPOSITORY = "github.com/KihoPark/linear_rep_geometry"
COMMIT = "40bee00b50a6fafcf2ee4db2c01602023aa366cc"
URL = f"https://raw.githubusercontent.com/KihoPark/linear_rep_geometry/{COMMIT}/word_pairs/"
CONCEPTS = {
    "verb_3psg": ("verb - 3pSg", "cb6726f4262f0e202c49707983cd18cae0e3c26c37fd3c15aa73f490230fb878"),
    "verb_ving": ("verb - Ving", "2002ea3917fb578cecd1a38998075bcf0d6cc1ce598198e9bc76d3e609cb89ae"),
    "verb_ved": ("verb - Ved", "0397eb83d6d12f2c86084dfa8522e2270b0bb2fe946d47800de8e932c25ed8e6"),
    "ving_3psg": ("Ving - 3pSg", "16409fae45eea60d0b7433eba9a9b74f5985ff572ff7f8174623ccdd044b263f"),
    "ving_ved": ("Ving - Ved", "0f75a20573e68b8a181b0387f5f827bcf98f9380279b2941a635a13974814e9f"),
    "3psg_ved": ("3pSg - Ved", "8ce48ac01e360bfc6fff4e5e59ffcc7289815f4c0d00eea7b0fa4039a27a56e5"),
    "verb_v_able": ("verb - V + able", "293d7d86810bfbf5e5d104cd702f6171cfb42623510b577ac06a7c526020f2b2"),
    "verb_v_er": ("verb - V + er", "ca10f7428edc6ef5b8c34bccd8883f8f830b1e7072d548bacb89ec4d0d5efed2"),
    "verb_v_tion": ("verb - V + tion", "bc270503a05162c6b033eed55f1d1937eac2d88bd3f8bbef253d0b85848c758e"),
    "verb_v_ment": ("verb - V + ment", "454df5fffc41641852fc8c30cd6b1182dbca6084632c20d5646514619c530b49"),
    "adj_un_adj": ("adj - un + adj", "314a153805b279a91fd5f37ee6108d21ab6c09722e159fbfb4ebfaf150d7f5fc"),
    "adj_adj_ly": ("adj - adj + ly", "1f17b894054f2eaa5e4acd993174b5ab0fa96a38bf5bf7e6f5c75272e2a9bd5c"),
    "small_big": ("small - big", "106f7719df4d965139c0ac99322752cb69f297c24696e22d9b613f90d1d90f5c"),
    "thing_color": ("thing - color", "535b5f5d956a0d331c4fdae458d4183be806af8a755a3e52a8a17f025a4074e0"),
    "thing_part": ("thing - part", "45315f748dbcff40907fc3052926bea9770419b7bca675339cbc7dbd33bdd8f7"),
    "country_capital": ("country - capital", "d31b453725b6693448e53469f314e7439353b148b0a698ab59f34bcbcb53cd6a"),
    "pronoun_possessive": ("pronoun - possessive", "ca68c76520392603ce35d784fd32d6ca058bcf95ff66145659d68d1b619c1cac"),
    "male_female": ("male - female", "3bb8ee2a9c6ba58776035f9d2b3c5e140ff39a8cc2b05e9c3f974a2f5c1f4ab7"),
    "lower_upper": ("lower - upper", "3e703d4e7c767a62c7fde853790b294e9bed8816f0f56944aedb09b6660bf569"),
    "noun_plural": ("noun - plural", "9a8ae033619669285f500eaa8a4a121970bf73305d380423cc275ec77ffe3a15"),
    "adj_comparative": ("adj - comparative", "8be274edce9294889e0fa044c9c40f9afac11b7dbc3bcd84f37306d6dfe1f133"),
    "adj_superlative": ("adj - superlative", "26ffdbff6a2e62d0bda5549f5b8c994869e51cc47e8ef03743bd192c504398c7"),
    "frequent_infrequent": (
        "frequent - infrequent",
        "9f4362cfc03997fd451d2ea3b221a66a6caebf3208a0ca8e26bbcda3b81a6b4d",
    ),
    "english_french": ("English - French", "3c59832474e70b416687375a0320eb9c7b32be5b0a80db7286b94e14ad22c639"),
    "french_german": ("French - German", "24c84eeb235b6e50fb9dd085d4097066ce5bf20ccbf7bcc01c702d99fecb1f2f"),
    "french_spanish": ("French - Spanish", "aa8ac2120054367c06defab7a2b295abd16f7705bf7f64538b5f6a927c3e6d69"),
    "german_spanish": ("German - Spanish", "972ac9dac829a97cd209662554868a2b34bd00e427d4d37f60efe454e55838e8"),
}
"""in the order of Table 1, under the names of Table 2: the published file `[name].txt`, and its sha256"""


class Bat27(PairDataset):
    """Which lists: our own (`builtin`), or the published ones (`park2024`).

    The published lists are downloaded, or taken from `folder`, and must be those of the pinned commit either way.
    """

    n_varying = len(CONCEPTS)
    trained_by_default = False

    source: Literal["builtin", "park2024"] = "builtin"
    folder: UserPath | None = None
    template: str = "{text}"
    held_out: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _folder_is_read(self) -> Bat27:
        """Refuse a folder that nobody would read."""
        if self.folder and self.source == "builtin":
            raise ValueError(
                "folder is where the published lists lie: write `source: park2024` beside it, or remove it"
            )
        return self

    @property
    def word_lists(self) -> tuple[str, ...]:
        """Our own lists, if it is these."""
        return tuple(f"word_pairs/{concept}" for concept in CONCEPTS) if self.source == "builtin" else ()

    def concept_names(self) -> tuple[str, ...]:
        """All 27."""
        return tuple(CONCEPTS)

    def build(self) -> Pairs:
        """The pairs of all concepts, each concept split by itself.

        Raises:
            ShiftScopeError: a list cannot be had or read, is not the published one, or cannot be split.
        """
        rejected: list[Rejected] = []
        pairs: list[Pair] = []
        held_out: set[int] = set()
        for column, concept in enumerate(CONCEPTS):
            words = self._words(concept, rejected)
            groups = [len(pairs) + group for group in linked(words)]  # a concept has no more groups than pairs
            draw = random.Random(f"held out {concept} {self.seed}")
            held_out |= held_out_rows(groups, self.held_out, draw, concept)
            texts = [[self.template.format(text=word) for word in two] for two in words]
            truth = {"concepts": {column: 1.0}}
            pairs += [Pair(*two, group, truth) for two, group in zip(texts, groups, strict=True)]
        logger.info("%s: %d pairs, %d rejected", self.source, len(pairs), len(rejected))
        splits = split_by_group(pairs, self, "concepts", held_out=held_out)
        return Pairs(
            splits, self.template, "words of a concept that pairs link", {"concepts": list(CONCEPTS)}, "concepts",
            self.orientation, rejected, {"source": self.source},
        )  # fmt: skip

    def _words(self, concept: str, rejected: list[Rejected]) -> list[Words]:
        """The pairs of one concept; what is left out of a published list is added to `rejected`."""
        if self.source == "builtin":
            return [(first, second) for first, second in read_word_pairs(concept)]
        usable: dict[frozenset[str], tuple[int, Words]] = {}
        for row, (first, second) in enumerate(_published(self._file(concept)), start=1):
            both = frozenset((first, second))
            reason = "the two words are identical" if len(both) < 2 else ""
            if both in usable:
                reason = f"the pair stands in row {usable[both][0]} too"
            if reason:
                rejected.append(Rejected(row, f"{concept}: {reason}", first, second))
            else:
                usable[both] = row, (first, second)
        return [words for _, words in usable.values()]

    def _file(self, concept: str) -> Path:
        """The published file of a concept."""
        name, sha256 = CONCEPTS[concept]
        if not self.folder:
            return downloaded(
                f"{URL}{quote(f'[{name}].txt')}", sha256, f"park2024_{concept}.txt",
                f"check the network, or give `folder:`, a copy of the folder word_pairs of {REPOSITORY}",
                "a damaged download; run again",
            )  # fmt: skip
        path = self.folder / f"[{name}].txt"
        if not path.is_file():
            raise ShiftScopeError(f"{path} does not exist: `folder` must be a copy of word_pairs of {REPOSITORY}")
        check_sha256(path, sha256, str(path), f"copy it from {REPOSITORY} at commit {COMMIT[:12]}")
        return path


def _published(path: Path) -> Iterator[Words]:
    for line in path.read_text(encoding="utf-8").splitlines():
        first, second = line.split("\t")
        yield first, second
