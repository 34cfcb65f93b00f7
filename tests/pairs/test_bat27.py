"""Words of 27 concepts: true forms, every concept split by itself, and the published lists by their checksums."""

import csv
import hashlib
import random
from collections import Counter, defaultdict
from itertools import combinations
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.built_in import build, write
from helpers.tiny_lms import WORDS, save_lm
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shiftscope import downloads, word_lists
from shiftscope.activations.pairs import EmbedSlice, embed_pairs
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json
from shiftscope.lms.base import fetch_lm
from shiftscope.pair_embeddings import read_embeddings
from shiftscope.pairs import bat27
from shiftscope.pairs._split import held_out_rows, linked
from shiftscope.pairs.bat27 import CONCEPTS, Bat27
from shiftscope.vocabulary import SPLITS
from shiftscope.word_lists import check_words, read_word_pairs, word_files

COUNTS = dict(zip(CONCEPTS, [50] * 12 + [25, 50, 50, 158, 4, 52, 73, 100, 87, 87, 86, 116, 128, 180, 228], strict=True))
"""of paper B, Table 1"""


def concept_of(pair):
    ((column, value),) = pair.shifts["concepts"].items()
    assert value == (-1 if pair.back else 1)
    return list(CONCEPTS)[column]


def by_concept(pairs):
    """Pairs as they were given, by concept."""
    found = defaultdict(list)
    for pair in pairs:
        found[concept_of(pair)].append((pair.text_1, pair.text_0) if pair.back else (pair.text_0, pair.text_1))
    return found


# --- our own lists


def test_there_are_as_many_pairs_as_the_source_counts():
    found = {concept: len(read_word_pairs(concept)) for concept in CONCEPTS}
    assert found == COUNTS | {"country_capital": 156}
    folder = word_files(["word_pairs/verb_ved"])[0].parent
    assert {file.stem for file in folder.iterdir()} == set(CONCEPTS)


@pytest.mark.parametrize("concept", CONCEPTS)
def test_every_word_is_one_word_in_its_language(concept):
    nouns = {"french_german": 1, "german_spanish": 0}
    for words in read_word_pairs(concept):
        for place, word in enumerate(words):
            assert all(part.isalpha() for part in word.replace("-", "'").split("'")), word
            if concept not in ("country_capital", "lower_upper", "english_french") and nouns.get(concept) != place:
                assert word.islower() or word == "I"
        assert words[0].lower() != words[1].lower() or concept == "lower_upper"  # no cognates


ENDS = {"verb_ving": "ing", "verb_v_able": "able", "verb_v_er": "er", "verb_v_tion": "tion", "verb_v_ment": "ment",
        "adj_adj_ly": "ly", "verb_3psg": "s", "ving_3psg": "s"}  # fmt: skip


def test_words_have_the_form_of_their_concept():
    for concept, ending in ENDS.items():
        for before, after in read_word_pairs(concept):
            assert after.endswith(ending) and after[:2] == before[:2]
    assert all(after == f"un{before}" for before, after in read_word_pairs("adj_un_adj"))
    assert all(after == before.capitalize() for before, after in read_word_pairs("lower_upper"))
    irregular = {"better", "less", "more", "best", "least", "most", "farther", "farthest"}
    for concept, ending in (("adj_comparative", "er"), ("adj_superlative", "est")):
        assert all(after.endswith(ending) or after in irregular for _, after in read_word_pairs(concept))


@pytest.mark.parametrize(
    ("lists", "several"),
    [
        (("verb_3psg", "verb_ving", "verb_ved", "ving_3psg", "ving_ved", "3psg_ved"), 100),
        (("english_french", "french_german", "french_spanish", "german_spanish"), 140),
    ],
)
def test_forms_of_a_verb_and_translations_agree_in_all_lists(lists, several):
    """Whatever lists one goes through, a word has one form of each kind, or one word in each language."""
    pairs = [
        tuple(f"{kind}:{word}" for kind, word in zip(concept.split("_"), words, strict=True))
        for concept in lists
        for words in read_word_pairs(concept)
    ]
    words = defaultdict(set)
    for group, two in zip(linked(pairs), pairs, strict=True):
        words[group] |= set(two)
    for found in words.values():
        assert len({word.partition(":")[0] for word in found}) == len(found), found
    assert sum(len(found) > 2 for found in words.values()) > several


def test_comparative_and_superlative_are_of_one_stem():
    comparative, superlative = (dict(read_word_pairs(f"adj_{name}")) for name in ("comparative", "superlative"))
    common = [word for word in comparative if word in superlative and comparative[word].endswith("er")]
    assert len(common) > 40
    for word in common:
        assert comparative[word].removesuffix("er") == superlative[word].removesuffix("est") or word == "good"


# --- the split


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_held_out_rows_are_as_near_to_their_share_as_groups_allow(sizes, share, seed):
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    held_out = held_out_rows(groups, share, random.Random(seed), "x")
    rows = sum(sizes[group] for group in held_out)
    possible = {sum(some) for n in range(1, len(sizes)) for some in combinations(sizes, n)}
    assert abs(rows - share * len(groups)) == min(abs(one - share * len(groups)) for one in possible)
    assert held_out == held_out_rows(groups, share, random.Random(seed), "x")


def test_which_groups_are_held_out_is_drawn():
    draws = [held_out_rows(range(10), 0.5, random.Random(seed), "x") for seed in range(400)]
    count = Counter(group for draw in draws for group in draw)
    assert all(len(draw) == 5 for draw in draws)
    assert all(150 < count[group] < 250 for group in range(10))


def test_linked_pairs_share_a_text_even_through_others():
    assert linked([("a", "b"), ("c", "d"), ("d", "b"), ("e", "f"), ("f", "g")]) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_every_concept_is_halved_and_no_word_of_it_is_on_both_sides(seed):
    built = build("bat27", seed=seed)
    train, test, single = (by_concept(built.splits[split]) for split in SPLITS)
    for concept in CONCEPTS:
        words = [{word for two in side[concept] for word in two} for side in (train, test)]
        assert words[0] and words[1] and not words[0] & words[1]
        assert 0 <= len(train[concept]) - len(test[concept]) <= 1  # no component is so large that halves differ more
        given = sorted(map(tuple, read_word_pairs(concept)))
        assert sorted(train[concept] + test[concept]) == given
        assert sorted(single[concept]) == sorted(test[concept])
    groups = [{pair.group for pair in built.splits[split]} for split in SPLITS]
    assert not groups[0] & groups[1] and groups[1] == groups[2]


def test_a_group_is_of_one_concept_and_links_its_words():
    concepts, texts = defaultdict(set), defaultdict(set)
    for split in ("train", "test"):
        for pair in build("bat27").splits[split]:
            concepts[pair.group].add(concept_of(pair))
            texts[concept_of(pair), pair.text_0].add(pair.group)
            texts[concept_of(pair), pair.text_1].add(pair.group)
    assert all(len(found) == 1 for found in concepts.values())
    assert all(len(found) == 1 for found in texts.values())
    colors = {word for _, word in read_word_pairs("thing_color")}
    assert len({group for (concept, _), some in texts.items() if concept == "thing_color" for group in some}) == len(
        colors
    )


def test_another_seed_splits_otherwise_and_orientation_is_balanced_where_it_is_random():
    built, other = build("bat27"), build("bat27", seed=1)
    assert {pair.group for pair in built.splits["test"]} != {pair.group for pair in other.splits["test"]}
    assert not any(pair.back for pair in built.splits["train"] + built.splits["single"])
    signs = defaultdict(list)
    for pair in built.splits["test"]:
        signs[concept_of(pair)].append(-1 if pair.back else 1)
    assert all(abs(sum(found)) <= 1 for found in signs.values())


def test_files_hold_27_columns_and_the_same_bytes_each_time(tmp_path):
    first = [path.read_bytes() for path in write(Bat27().build(), tmp_path / "a")]
    pairs, rejected, manifest = write(Bat27().build(), tmp_path / "b")
    assert [path.read_bytes() for path in (pairs, rejected, manifest)] == first
    facts, table = read_json(manifest), pq.read_table(pairs).to_pydict()
    assert facts["truths"] == {"concepts": list(CONCEPTS)} and facts["concepts"] == list(CONCEPTS)
    assert (facts["n_varying"], facts["max_changed"], facts["source"], facts["rejected"]) == (27, 1, "builtin", 0)
    truth = np.array(table["truth.concepts"])
    assert truth.shape == (len(table["concept"]), 27)
    assert np.array_equal(truth, np.eye(27)[table["concept"]] * np.array(table["sign"])[:, None])
    assert rejected.read_text() == "row,reason,text_0,text_1\n"


def test_a_concept_whose_words_are_all_linked_is_named(tmp_path, monkeypatch):
    for concept in CONCEPTS:
        rows = [("pea", "green"), ("moss", "green")] if concept == "thing_color" else [("a", "b"), ("c", "d")]
        path = tmp_path / "word_pairs" / f"{concept}.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as opened:
            csv.writer(opened).writerows([("before", "after"), *rows])
    monkeypatch.setattr(word_lists, "DATA", tmp_path)
    with pytest.raises(
        ShiftScopeError, match=r"^thing_color: its pairs are linked .* none can be held out: add others"
    ):
        Bat27().build()


def test_its_lists_are_those_that_its_rule_declares():
    files = word_files(Bat27().word_lists)
    assert [file.relative_to(word_lists.DATA).as_posix() for file in files] == [f"word_pairs/{n}.csv" for n in CONCEPTS]
    check_words(files, Bat27().word_lists)
    assert Bat27(source="park2024").word_lists == ()  # an edit of ours makes nothing of theirs stale
    with pytest.raises(ShiftScopeError, match="--words must name the word lists"):
        check_words(files[1:], Bat27().word_lists)


# --- the published lists


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Lists in the published form, with their checksums: in one a pair twice, and one whose words are the same."""
    folder, pinned = tmp_path / "word_pairs", {}
    folder.mkdir()
    for concept, (name, _) in CONCEPTS.items():
        lines = [f"{concept} {number}\té{number}" for number in range(5)]
        if concept == "country_capital":
            lines[2:2] = ["Monaco\tMonaco", lines[1]]
        content = ("\n".join(lines) + "\n" * (concept == "thing_part")).encode()
        (folder / f"[{name}].txt").write_bytes(content)
        pinned[concept] = (name, hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(bat27, "CONCEPTS", pinned)
    return folder


def test_published_lists_of_a_folder(published, tmp_path):
    built = Bat27(source="park2024", folder=published).build()
    assert [(one.row, one.reason, one.text_0) for one in built.rejected] == [
        (3, "country_capital: the two words are identical", "Monaco"),
        (4, "country_capital: the pair stands in row 2 too", "country_capital 1"),
    ]
    words = {split: by_concept(built.splits[split]) for split in ("train", "test")}
    for concept in CONCEPTS:
        found = words["train"][concept] + words["test"][concept]
        assert sorted(found) == [(f"{concept} {number}", f"é{number}") for number in range(5)]
        assert len(words["test"][concept]) == 2
    _, rejected, manifest = write(built, tmp_path / "out")
    assert (read_json(manifest)["source"], read_json(manifest)["rejected"]) == ("park2024", 2)
    assert rejected.read_text().count("\n") == 3


def test_published_lists_are_downloaded_once_and_give_the_same_pairs(published, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "FOLDER", tmp_path / "downloads")
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        return (published / unquote(url.rpartition("/")[2])).open("rb")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", urlopen)
    built = Bat27(source="park2024").build()
    assert built.splits == Bat27(source="park2024", folder=published).build().splits
    assert len(asked) == len(set(asked)) == 27
    assert all(
        url.startswith("https://raw.githubusercontent.com/KihoPark/linear_rep_geometry/40bee00") for url in asked
    )
    assert asked[6].endswith("/word_pairs/%5Bverb%20-%20V%20%2B%20able%5D.txt")
    Bat27(source="park2024").build()
    assert len(asked) == 27

    def offline(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", offline)
    (tmp_path / "downloads/park2024_small_big.txt").write_text("damaged")
    with pytest.raises(ShiftScopeError, match=r"cannot download .*small.*\(no network\): .* give `folder:`"):
        Bat27(source="park2024").build()


def test_other_lists_than_the_published_ones_are_refused(published):
    file = published / "[verb - Ved].txt"
    file.write_text("go\twent\n")
    with pytest.raises(
        ShiftScopeError, match=r"\[verb - Ved\]\.txt has sha256 \w+, but must have \w+: copy it from github"
    ):
        Bat27(source="park2024", folder=published).build()
    file.unlink()
    with pytest.raises(ShiftScopeError, match=r"\[verb - Ved\]\.txt does not exist: `folder` must be a copy"):
        Bat27(source="park2024", folder=published).build()


def test_a_folder_that_nobody_reads_is_refused():
    with pytest.raises(ValidationError, match="write `source: park2024` beside it, or remove it"):
        Bat27(folder="somewhere")


# --- embedded


def test_words_are_embedded_by_the_ordinary_rule(tmp_path):
    built = build("bat27")
    known = [pair for pair in built.splits["train"] if {pair.text_0, pair.text_1} & set(WORDS)]
    pairs, _, manifest = write(built, tmp_path)
    some = pq.read_table(pairs).to_pylist()
    some = [row for row in some if {row["text_0"], row["text_1"]} & set(WORDS)]
    pq.write_table(pa.Table.from_pylist(some, schema=pq.read_schema(pairs)), pairs)
    fetch_lm("tiny", {"kind": "folder", "path": str(save_lm(tmp_path / "source"))}, tmp_path / "lm", tmp_path, None)
    asked = EmbedSlice(
        lm="tiny", trained_on={"one": True}, layer="final_norm", token="last", dtype="float32", batch_tokens=64
    )
    out = tmp_path / "embeddings.safetensors", tmp_path / "embeddings.json"
    embed_pairs(asked, ["final_norm"], [(pairs, manifest)], tmp_path / "lm", [out], tmp_path / "state")
    data = read_embeddings(*out)
    assert len(data.rows("train")) == len(known) > 3
    assert data.truths["concepts"].shape == (1, len(some), 27)
    assert data.facts["concepts"] == list(CONCEPTS)
    assert np.linalg.norm(data.shifts(0, "train"), axis=1).min() > 0
