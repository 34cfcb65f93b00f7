"""A small GPT-NeoX trained on a grammar: tokenizer, windows, resuming, and what it has learned."""

import json
import time

import numpy as np
import pytest
import torch
from helpers import warm
from helpers.clone import ROOT
from helpers.grammars import SIZES, drawn_texts

from shiftscope.activations.model import load
from shiftscope.corpora.grammar import ShortDocuments
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, sha256_of
from shiftscope.training.language_model import batches, new_model, train_lm, train_tokenizer, windows
from shiftscope.word_lists import word_files


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return drawn_texts()


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer(texts, 8192)


def test_every_word_is_one_token_and_a_text_begins_with_the_start(texts, tokenizer):
    for text in texts[:200]:
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == 1 + len(text.split())
        assert ids[0] == tokenizer.bos_token_id == tokenizer.eos_token_id
        assert tokenizer.decode(ids[1:]).split() == text.split()


def test_too_small_a_vocabulary_is_refused(texts):
    with pytest.raises(ShiftScopeError, match=r"are more than one token .* raise `vocabulary`"):
        train_tokenizer(texts, 400)


def test_a_window_begins_with_a_document_and_is_full():
    rows = windows([[1, 2], [3], [4, 5, 6], [7], [8, 9]], 0, 4)
    assert rows.tolist() == [[0, 1, 2, 0], [0, 4, 5, 6], [0, 7, 0, 8]]
    with pytest.raises(ShiftScopeError, match="does not fill one window"):
        windows([[1]], 0, 8)


def test_batches_are_fixed_by_seed_and_step_and_cover_every_window_once():
    whole = list(batches(12, SIZES, 0))
    assert len(whole) == SIZES.steps
    assert sorted(np.concatenate(whole[:3])) == list(range(12))
    assert all((one == other).all() for one, other in zip(whole[7:], batches(12, SIZES, 7), strict=True))
    other = SIZES.model_copy(update={"seed": 1})
    assert not all((one == two).all() for one, two in zip(whole, batches(12, other, 0), strict=True))


def test_training_lowers_the_loss_and_a_killed_one_goes_on_to_the_same_bits(texts, tokenizer, tmp_path):
    data = windows(tokenizer(texts, add_special_tokens=False)["input_ids"], tokenizer.bos_token_id, SIZES.window)
    whole = new_model(SIZES, len(tokenizer))
    losses = train_lm(whole, data, SIZES, tmp_path / "whole", None)
    assert losses[-1] < losses[0] - 0.3
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == [
        "step_000000.safetensors",
        "step_000010.safetensors",
    ]

    class KilledError(Exception):
        pass

    def kill(_, _inputs) -> None:
        steps.append(1)
        if len(steps) > 17:
            raise KilledError

    state, steps = tmp_path / "state", []
    killed = new_model(SIZES, len(tokenizer))
    killed.register_forward_pre_hook(kill)
    with pytest.raises(KilledError):
        train_lm(killed, data, SIZES, tmp_path / "killed", state, seconds=0)
    again = new_model(SIZES, len(tokenizer))
    assert train_lm(again, data, SIZES, tmp_path / "killed", state, seconds=0) == losses
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_the_seed_alone_draws_the_weights():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = new_model(SIZES, 400), new_model(SIZES, 400)
    assert torch.equal(first.get_output_embeddings().weight, second.get_output_embeddings().weight)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = new_model(SIZES.model_copy(update={"seed": 1}), 400)
    assert not torch.equal(first.get_output_embeddings().weight, other.get_output_embeddings().weight)


# --- the scripts


def script(name: str, **arguments: object) -> list[str]:
    options = [str(part) for key, value in arguments.items() for part in (f"--{key.replace('_', '-')}",
               *(value if isinstance(value, list) else [value]))]  # fmt: skip
    return ["python", str(ROOT / f"scripts/{name}.py"), *options]


def test_corpus_and_model_from_the_command_line_killed_in_between(tmp_path):
    words = word_files(ShortDocuments.word_lists)
    common = {"documents": "documents.parquet", "words": words}
    corpus_params = {"corpus": "small", "kind": "grammar", "params": {"documents": 4000}}
    command = script(
        "make_corpus", rejected="rejected.csv", manifest="corpus.json", params=json.dumps(corpus_params), **common
    )
    done = warm.run(command, tmp_path, warm.OF_THIS_TREE)
    assert done.returncode == 0, done.stderr
    source = SIZES.model_dump() | {"kind": "train", "corpus": "small", "steps": 60}

    training = script("train_lm", corpus_manifest="corpus.json", manifest="lm/manifest.json", log="lm.log",
                      params=json.dumps({"lm": "small", "source": source}), **common)  # fmt: skip
    killed = warm.start([*training, "--checkpoint-seconds", "0"], tmp_path, warm.OF_THIS_TREE)
    while killed.poll() is None and not list(tmp_path.glob("work/state/*/training.safetensors")):
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert not (tmp_path / "lm").exists()
    again = warm.run(training, tmp_path, warm.OF_THIS_TREE)
    assert again.returncode == 0, again.stderr
    assert "resumed at step" in (tmp_path / "lm.log").read_text()
    assert not list(tmp_path.glob("work/state/*"))
    manifest = read_json(tmp_path / "lm/manifest.json")
    assert manifest["architecture"] == "GPTNeoXForCausalLM"
    assert manifest["quality"].keys() >= {"language", "gender", "bullet"}
    assert all(sha256_of(tmp_path / "lm" / name) == digest for name, digest in manifest["files"].items())
    assert len(list((tmp_path / "lm/checkpoints").iterdir())) == 2
    model, tokenizer = load(tmp_path / "lm")
    assert tokenizer("king")["input_ids"][0] == tokenizer.bos_token_id
    assert not model.training
