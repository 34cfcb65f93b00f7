"""A tokenizer that transformers builds by the rules of a wrong class is refused before anything is read by it."""

import json

import pytest
from helpers.tiny_lms import make_model, make_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

from shiftscope.errors import ShiftScopeError
from shiftscope.lms._tokenizer import check_token_ids
from shiftscope.lms.base import describe


def save_digits(folder, named):
    """A folder whose tokenizer.json takes every digit by itself, and whose config names a class."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(["in 2023 the year 1984 " * 50], trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet))  # fmt: skip
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])  # fmt: skip
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    made.model.save(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": named, "bos_token": "<s>", "eos_token": "</s>"}))  # fmt: skip
    make_model("llama").save_pretrained(folder)
    return folder


def test_other_ids_than_the_files_own_are_refused(tmp_path):
    save_digits(tmp_path, "GPT2Tokenizer")
    with pytest.raises(
        ShiftScopeError,
        match=r"transformers reads 'in 2023, the year 1984' as the tokens .* \"PreTrainedTokenizerFast\" there",
    ):
        describe(tmp_path)


def test_the_files_own_ids_pass(tmp_path):
    assert describe(save_digits(tmp_path, "PreTrainedTokenizerFast"))["vocabulary"] == 40


def test_texts_of_the_dataset_are_compared_too(tmp_path):
    folder = save_digits(tmp_path, "GPT2Tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    check_token_ids(folder, tokenizer, ["the year"])
    with pytest.raises(ShiftScopeError, match="transformers reads 'year 1984' as"):
        check_token_ids(folder, tokenizer, ["the year", "year 1984"])


def test_a_folder_without_the_file_has_nothing_to_compare_with(tmp_path):
    check_token_ids(tmp_path, make_tokenizer())
