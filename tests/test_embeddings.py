import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import warm
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits
from tiny_lms import CONFIGS, WORDS, make_model, make_tokenizer, save_lm
from tiny_models import script

from shiftscope import embeddings
from shiftscope.code import code_of
from shiftscope.embeddings import batches_of_equal_length, cheapest_split, embed, labels
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, read_tensors, sha256_of, write_json, write_tensors
from shiftscope.lms.base import fetch_lm

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts/embed_pairs.py"
TOLERANCE = 1e-5
"""of a row's norm: what `embed` promises"""
TEMPLATED = [
    f"the color is {color} . the shape is {shape} . in one word :"
    for color in ("red", "blue", "green")
    for shape in ("vase", "book", "lamp", "a vase", "a book")
]
TEXTS = ["king", "the queen is red", *TEMPLATED, "roi", "a", "the king is a queen", "king", "reine : red"]


def alone(model, tokenizer, text, layer):
    """The activation read the plain way: one text, all hidden states."""
    with torch.inference_mode():
        states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
    state = states[-1] if layer == "final_norm" else states[int(layer.split(".")[1]) + 1]
    return state[0, -1].numpy()


def distance(found, expected):
    """Largest distance between rows, in units of the expected row's norm."""
    return (np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)).max()


@pytest.mark.parametrize("layer", ["final_norm", "resid_post.0", "resid_post.1"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_rows_are_those_of_each_text_alone_whatever_the_batch(kind, layer):
    model, tokenizer = make_model(kind), make_tokenizer()
    expected = np.stack([alone(model, tokenizer, text, layer) for text in TEXTS])
    for batch_tokens in (1, 30, 100, 10_000):
        found = embed(model, tokenizer, TEXTS, layer, batch_tokens=batch_tokens)
        assert found.dtype == np.float32
        assert distance(found, expected) < TOLERANCE


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_models_here_share_prefixes(kind):
    assert embeddings.can_share_prefixes(make_model(kind).get_decoder())


def test_a_model_with_a_recurrent_state_reads_every_text_whole():
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    assert not embeddings.can_share_prefixes(model.get_decoder())
    tokenizer = make_tokenizer()
    found = embed(model, tokenizer, TEMPLATED, "final_norm", batch_tokens=1000)
    expected = np.stack([alone(model, tokenizer, text, "final_norm") for text in TEMPLATED])
    assert distance(found, expected) < TOLERANCE


@pytest.mark.parametrize(("kind", "norm"), [("llama", "norm"), ("gpt_neox", "final_layer_norm"), ("gemma3", "norm")])
def test_the_last_block_is_before_the_final_norm(kind, norm):
    model, tokenizer = make_model(kind), make_tokenizer()
    before = embed(model, tokenizer, TEXTS, "resid_post.2", batch_tokens=64)
    after = embed(model, tokenizer, TEXTS, "final_norm", batch_tokens=64)
    with torch.inference_mode():
        normed = getattr(model.get_decoder(), norm)(torch.tensor(before)).numpy()
    assert distance(normed, after) < TOLERANCE
    assert distance(before, after) > 0.1


def test_rows_follow_the_order_of_the_texts():
    model, tokenizer = make_model("llama"), make_tokenizer()
    order = random.Random(0).sample(range(len(TEXTS)), len(TEXTS))
    straight = embed(model, tokenizer, TEXTS, "final_norm", batch_tokens=64)
    shuffled = embed(model, tokenizer, [TEXTS[index] for index in order], "final_norm", batch_tokens=64)
    assert np.array_equal(shuffled, straight[order])


def test_equal_texts_are_embedded_once(tmp_path):
    model, tokenizer = make_model("llama"), make_tokenizer()
    rows = embed(model, tokenizer, ["king", "queen", "king", "king"], "final_norm", batch_tokens=1, state=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(rows[0], rows[2]) and np.array_equal(rows[0], rows[3])
    assert not np.array_equal(rows[0], rows[1])


def test_finished_batches_are_read_back(tmp_path):
    model, tokenizer = make_model("llama"), make_tokenizer()
    texts = ["king", "queen is red"]
    rows = embed(model, tokenizer, texts, "final_norm", batch_tokens=8, state=tmp_path)
    write_tensors(tmp_path / "batch_000000.safetensors", {"final_norm": rows[:1] + 1})
    again = embed(model, tokenizer, texts, "final_norm", batch_tokens=8, state=tmp_path)
    assert np.array_equal(again, np.concatenate([rows[:1] + 1, rows[1:]]))


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=40), st.integers(1, 30))
def test_batches_hold_every_text_once_and_keep_the_limit(tokens, limit):
    batches = batches_of_equal_length(tokens, limit)
    assert sorted(index for batch in batches for index in batch) == list(range(len(tokens)))
    for batch in batches:
        assert len({len(tokens[index]) for index in batch}) == 1
        assert len(batch) == 1 or sum(len(tokens[index]) for index in batch) <= limit


@given(st.integers(2, 6).flatmap(lambda length: st.lists(
    st.lists(st.integers(0, 1), min_size=length, max_size=length), min_size=1, max_size=12)))  # fmt: skip
def test_the_split_reads_no_more_tokens_than_any_other(tokens):
    def read(split):
        return len({tuple(ids[:split]) for ids in tokens}) * split + len(tokens) * (len(tokens[0]) - split)

    best = min(read(split) for split in range(len(tokens[0])))
    chosen = cheapest_split(tokens)
    assert read(chosen) == best if chosen else best > 0.75 * read(0)


def test_a_text_with_only_a_beginning_token_is_refused():
    with pytest.raises(ShiftScopeError, match=r"^row 1: the text '' has no tokens"):
        embed(make_model("llama"), make_tokenizer(bos=True), ["king", ""], "final_norm", batch_tokens=8)


def test_a_text_beyond_the_context_is_refused():
    texts = ["king", "king", " ".join(["the"] * 25)]
    with pytest.raises(ShiftScopeError, match=r"^place 2: .* has 25 tokens, but the LM reads at most 24"):
        embed(make_model("llama"), make_tokenizer(), texts, "final_norm", batch_tokens=8, name="place {}".format)


def test_an_end_token_that_the_tokenizer_appends_is_left_out(caplog):
    caplog.set_level("INFO")
    model, plain, ends = make_model("llama"), make_tokenizer(bos=True), make_tokenizer(bos=True, eos=True)
    assert ends("king")["input_ids"] == [*plain("king")["input_ids"], 2]
    found = embed(model, ends, TEXTS, "final_norm", batch_tokens=64)
    assert np.array_equal(found, embed(model, plain, TEXTS, "final_norm", batch_tokens=64))
    assert "the tokenizer ends every text with </s>: left out" in caplog.text
    longest = " ".join(["the"] * 23)  # with the beginning token as many as the model reads
    assert np.isfinite(embed(model, ends, [longest], "final_norm", batch_tokens=64)).all()
    with pytest.raises(ShiftScopeError, match=r"^row 0: the text '' has no tokens"):
        embed(model, ends, [""], "final_norm", batch_tokens=8)


def test_a_text_may_end_with_the_end_token_itself():
    tokens = embeddings.tokenize(make_tokenizer(bos=True, eos=True), ["king </s>", "</s>"], None, ["", ""])
    king = make_tokenizer()("king")["input_ids"]
    assert tokens == [[1, *king, 2], [1, 2]]


def test_texts_of_one_token_without_a_beginning_token_are_warned_of(caplog):
    model = make_model("llama")
    embed(model, make_tokenizer(bos=True), ["king", "roi"], "final_norm", batch_tokens=8)
    assert "one token" not in caplog.text
    embed(model, make_tokenizer(), ["king", "roi", "the queen"], "final_norm", batch_tokens=8)
    assert "2 texts are one token with nothing before it" in caplog.text


SMALL = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def drawn(model):
    """The model with weights large enough for every token to count."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model.eval()


def test_a_model_that_reads_ahead_is_refused():
    from transformers import BertConfig, BertLMHeadModel

    with pytest.raises(ShiftScopeError, match=r"BertLMHeadModel reads the tokens after a token, too.*use a causal"):
        embed(drawn(BertLMHeadModel(BertConfig(**SMALL))), make_tokenizer(), TEXTS, "final_norm", batch_tokens=64)


def test_a_last_state_that_the_unembedding_does_not_read_is_refused():
    from transformers import ModernBertDecoderConfig, ModernBertDecoderForCausalLM

    special = {f"{name}_token_id": 1 for name in ("pad", "bos", "eos", "cls", "sep")}
    model = drawn(ModernBertDecoderForCausalLM(ModernBertDecoderConfig(**SMALL, **special)))
    with pytest.raises(ShiftScopeError, match=r"changes its last hidden state .*use a layer from resid_post\.0 to"):
        embed(model, make_tokenizer(), TEXTS, "final_norm", batch_tokens=64)
    assert embed(model, make_tokenizer(), TEXTS, "resid_post.1", batch_tokens=64).shape == (len(TEXTS), 32)


def test_a_final_state_of_another_width_is_read():
    from transformers import OPTConfig, OPTForCausalLM

    sizes = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 48}
    config = OPTConfig(**sizes, word_embed_proj_dim=16, do_layer_norm_before=False, max_position_embeddings=32)
    model, tokenizer = drawn(OPTForCausalLM(config)), make_tokenizer()
    found = embeddings.embed_layers(model, tokenizer, TEXTS, ["final_norm", "resid_post.1"], batch_tokens=64)
    assert found["resid_post.1"].shape == (len(TEXTS), 32)
    with torch.inference_mode():
        logits = np.stack([model(**tokenizer(text, return_tensors="pt")).logits[0, -1].numpy() for text in TEXTS])
    assert distance(found["final_norm"] @ model.lm_head.weight.detach().numpy().T, logits) < TOLERANCE


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_half_precision_is_read_as_transformers_computes_it(kind, dtype):
    model, tokenizer = make_model(kind).to(getattr(torch, dtype)), make_tokenizer()
    text = ["the king is red"]
    for layer in ("final_norm", "resid_post.1"):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        expected = states[-1 if layer == "final_norm" else 2][0, -1].float().numpy()
        assert np.array_equal(embed(model, tokenizer, text, layer, batch_tokens=64)[0], expected)


@pytest.mark.parametrize("layer", ["resid_post.3", "resid_post.-1", "resid_post", "resid_pre.0", ""])
def test_an_unknown_layer_is_refused(layer):
    with pytest.raises(ShiftScopeError, match=r"has final_norm and resid_post\.0 to resid_post\.2"):
        embed(make_model("llama"), make_tokenizer(), ["king"], layer, batch_tokens=8)


def test_no_texts_are_refused():
    with pytest.raises(ShiftScopeError, match="no texts"):
        embed(make_model("llama"), make_tokenizer(), [], "final_norm", batch_tokens=8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_activation_that_is_not_finite_is_refused(value):
    model, tokenizer = make_model("llama"), make_tokenizer()
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("queen")["input_ids"][0], 0] = value
    assert np.isfinite(embed(model, tokenizer, ["king"], "final_norm", batch_tokens=8)).all()
    with pytest.raises(ShiftScopeError, match=r"^row 2: its activation is not finite"):
        embed(model, tokenizer, ["king", "roi", "queen", "a"], "final_norm", batch_tokens=8)


def test_a_batch_beyond_the_memory_names_the_key(monkeypatch):
    model = make_model("llama")

    def fail(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model.model, "forward", fail)
    with pytest.raises(ShiftScopeError, match="lower batch_tokens"):
        embed(model, make_tokenizer(), ["king"], "resid_post.0", batch_tokens=8)


def table(texts_0, texts_1):
    n = len(texts_0)
    return pa.table(
        {
            "text_0": texts_0,
            "text_1": texts_1,
            "split": [("train", "test", "single")[row % 3] for row in range(n)],
            "group": pa.array([row // 2 for row in range(n)], pa.int64()),
            "concept": pa.array([row % 2 - 1 for row in range(n)], pa.int64()),
            "sign": pa.array([-(row % 2) for row in range(n)], pa.int8()),
            "truth.onehot": pa.array([[row, 0.5] for row in range(n)], pa.list_(pa.float32())),
        }
    )


def test_labels_pass_through():
    arrays = labels(table(list("abc"), list("def")), {"onehot": ["x", "y"]})
    assert {name: (array.dtype.name, array.tolist()) for name, array in arrays.items()} == {
        "split": ("uint8", [0, 1, 2]),
        "group": ("int64", [0, 0, 1]),
        "concept": ("int64", [[-1, 0, -1]]),
        "sign": ("int8", [[0, -1, 0]]),
        "truth.onehot": ("float32", [[[0, 0.5], [1, 0.5], [2, 0.5]]]),
    }


def test_a_truth_of_another_width_is_refused():
    with pytest.raises(ShiftScopeError, match=r"row 0: truth\.onehot has 2 values, but the manifest names 3"):
        labels(table(["a"], ["b"]), {"onehot": ["x", "y", "z"]})


class Job:
    """The real script on a tiny LM, in a folder of its own."""

    params = {"lm": "tiny", "dataset": "tiny_pairs", "token": "last", "dtype": "float32", "batch_tokens": 4}  # noqa: RUF012

    def __init__(self, folder: Path):
        fetch_lm("tiny", {"kind": "folder", "path": str(save_lm(folder / "source"))}, folder / "lm", folder, None)
        rng = random.Random(1)
        texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(300)]
        pq.write_table(table(texts[:150], texts[150:]), folder / "pairs.parquet")
        self.facts = {
            "dataset": "tiny_pairs",
            "kind": "own",
            "truths": {"onehot": ["x", "y"]},
            "sha256": "of the pairs",
        }
        write_json(folder / "pairs.json", self.facts)
        self.folder, self.texts = folder, texts

    def command(self, out: str, layer: str = "final_norm") -> list[str]:
        return ["python", str(SCRIPT), "--pairs", "pairs.parquet", "--pairs-manifest", "pairs.json",
                "--lm-manifest", "lm/manifest.json", "--embeddings", f"{out}/embeddings.safetensors",
                "--layers", layer, "--manifest", f"{out}/manifest.json", "--params", json.dumps(self.params),
                "--code", *map(str, code_of(SCRIPT, [], ROOT / "src"))]  # fmt: skip

    def start(self, out: str) -> subprocess.Popen:
        return warm.start(self.command(out), self.folder, warm.OF_THIS_TREE)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return warm.run(self.command(*arguments), self.folder, warm.OF_THIS_TREE)

    def here(self, monkeypatch, out: str) -> Path:
        """The same in this process, with as many threads."""
        monkeypatch.chdir(self.folder)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
        files = map(Path, ("pairs.parquet", "pairs.json", "lm/manifest.json"))
        outputs = [[self.folder / out / name] for name in ("embeddings.safetensors", "manifest.json")]
        with threadpool_limits(1, "openmp"):
            script("embed_pairs").main(*files, ["final_norm"], *outputs, self.params)
        return self.folder / out

    def finish(self, out: str) -> Path:
        done = self.run(out)
        assert done.returncode == 0, done.stderr
        return self.folder / out

    def batches(self) -> list[Path]:
        return sorted(self.folder.glob("work/state/*/batch_*.safetensors"))


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    job = Job(tmp_path)
    whole = job.here(monkeypatch, "whole")
    killed = job.start("resumed")
    while len(job.batches()) < 3 and killed.poll() is None:
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = len(job.batches())
    assert killed.returncode == -signal.SIGKILL and done >= 3
    assert not (tmp_path / "resumed").exists() or not any((tmp_path / "resumed").glob("[!.]*"))
    resumed = job.finish("resumed")
    for name in ("embeddings.safetensors", "manifest.json"):
        assert sha256_of(resumed / name) == sha256_of(whole / name)
    assert not list(tmp_path.glob("work/state/*"))

    arrays, about = read_tensors(whole / "embeddings.safetensors")
    expected = {"lm": "tiny", "untrained_of": None, "layer": "final_norm", "token": "last", "dtype": "float32",
                "shape": [1, 150, 32]}  # fmt: skip
    assert about == expected
    assert read_json(whole / "manifest.json") == job.facts | expected | {
        "sha256": sha256_of(whole / "embeddings.safetensors")
    }
    for name, row in (("embedding_0", 0), ("embedding_1", 1), ("embedding_0", 149), ("embedding_1", 42)):
        text = job.texts[row if name == "embedding_0" else 150 + row]
        single = alone(make_model("llama"), make_tokenizer(), text, "final_norm")
        assert distance(arrays[name][0, row], single) < TOLERANCE


def test_the_script_names_the_row_and_the_side(tmp_path):
    job = Job(tmp_path)
    pairs = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    pairs[7]["text_1"] = " ".join(["the"] * 30)
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "pairs.parquet")
    failed = job.run("out", "resid_post.1")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("embed_pairs: pairs.parquet row 7, text_1: the text 'the the")
    assert not (tmp_path / "out").exists()
