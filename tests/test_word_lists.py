import pytest
from helpers.built_in import BUILT_IN, words_of

from shiftscope import kinds, word_lists
from shiftscope.errors import ShiftScopeError
from shiftscope.word_lists import read_word_pairs, read_words, word_files


def save(folder, name, content):
    path = folder / f"{name}.csv"
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("english,german\ncup,Tasse\n", "has the columns english, german: they must be english, french"),
        ("english,french\ncup,tasse\nmug,tasse\n", "row 2: 'tasse' stands in row 1 too"),
        ("english,french\nradio,radio\n", "row 1: 'radio' stands in row 1 too"),
        ("english,french\ncup,\n", "row 1: needs 2 words"),
        ("english,french\ncup, tasse\n", "row 1: needs 2 words"),
        ("english,french\ncup\n", "row 1: needs 2 words"),
    ],
)
def test_word_list_with_a_fault_names_its_row(content, message, tmp_path, monkeypatch):
    save(tmp_path, "words/lang_1_1", content)
    monkeypatch.setattr(word_lists, "DATA", tmp_path)
    with pytest.raises(ShiftScopeError, match=message):
        read_words("lang_1_1", ["english", "french"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("before,then\ngo,went\n", "has the columns before, then: they must be before, after"),
        ("before,after\ngo,went\ncut,cut\n", "row 2: both words are 'cut': nothing changes"),
        ("before,after\ngo,went\nsee,saw\nwent,go\n", "row 3: went, go stand in row 1 too"),
        ("before,after\ngo,\n", "row 1: needs 2 words"),
    ],
)
def test_list_of_pairs_with_a_fault_names_its_row(content, message, tmp_path, monkeypatch):
    save(tmp_path, "word_pairs/verb_ved", content)
    monkeypatch.setattr(word_lists, "DATA", tmp_path)
    with pytest.raises(ShiftScopeError, match=message):
        read_word_pairs("verb_ved")


def test_a_word_may_stand_in_several_pairs(tmp_path, monkeypatch):
    save(tmp_path, "word_pairs/thing_color", "before,after\nlime,green\npea,green\n")
    monkeypatch.setattr(word_lists, "DATA", tmp_path)
    assert read_word_pairs("thing_color") == [["lime", "green"], ["pea", "green"]]


def test_missing_word_list_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(word_lists, "DATA", tmp_path)
    with pytest.raises(ShiftScopeError, match=r"lang_1_1\.csv does not exist"):
        read_words("lang_1_1", ["english", "french"])


def test_each_word_dataset_reads_one_file_and_own_none():
    several = ("bat27", "grammar_concepts")
    lists = {kind: kinds.load("pairs", kind).word_lists for kind in kinds.names("pairs") if kind not in several}
    read = {kind: [path.name for path in word_files(names)] for kind, names in lists.items()}
    assert {kind: names for kind, names in read.items() if names} == {kind: [f"{kind}.csv"] for kind in BUILT_IN}
    assert all(path.is_file() for kind in BUILT_IN for path in word_files([kind]))


def test_german_nouns_have_capitals_and_english_ones_do_not():
    for english, french, german in words_of("corr_2_1"):
        assert english.islower() and french.islower() and german[0].isupper() and german[1:].islower()
        assert german.lower() != english
