"""The real script on a tiny language model: killed and resumed, and errors that name the row."""

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
from helpers import warm
from helpers.clone import ROOT
from helpers.reading import TOLERANCE, alone, distance, table
from helpers.stores import save_known_lm
from helpers.tiny_lms import WORDS, make_model, make_tokenizer, save_lm
from helpers.tiny_models import script
from threadpoolctl import threadpool_limits

from shiftscope.activations.last_token import embed_layers
from shiftscope.activations.model import load
from shiftscope.activations.pairs import EmbedSlice, read_texts, say_rounding
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, read_tensors, sha256_of, write_json
from shiftscope.lms.base import fetch_lm
from shiftscope.workflow.imports import code_of

SCRIPT = ROOT / "scripts/embed_pairs.py"


PARAMS = {"lm": "tiny", "trained_on": {"tiny_pairs": True, "others": False}, "layer": "final_norm", "token": "last", "dtype": "float32", "batch_tokens": 4}  # fmt: skip


class Job:
    """The real script on a tiny LM, in a folder of its own."""

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
        return ["python", str(SCRIPT), "--pairs", "pairs.parquet", "--pairs-manifests", "pairs.json",
                "--lm-manifest", "lm/manifest.json", "--embeddings", f"{out}/embeddings.safetensors",
                "--layers", layer, "--manifests", f"{out}/manifest.json", "--params", json.dumps(PARAMS),
                "--modules", *map(str, code_of(SCRIPT, [], ROOT / "src"))]  # fmt: skip

    def start(self, out: str) -> subprocess.Popen:
        return warm.start(self.command(out), self.folder, warm.OF_THIS_TREE)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return warm.run(self.command(*arguments), self.folder, warm.OF_THIS_TREE)

    def here(self, monkeypatch, out: str) -> Path:
        """The same in this process, with as many threads."""
        monkeypatch.chdir(self.folder)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
        self.main(["pairs"], ["final_norm"], [out])
        return self.folder / out

    def main(self, pairs: list[str], layers: list[str], outs: list[str]) -> None:
        inputs = [[Path(f"{name}.{ending}") for name in pairs] for ending in ("parquet", "json")]
        outputs = [[self.folder / out / name for out in outs] for name in ("embeddings.safetensors", "manifest.json")]
        with threadpool_limits(1, "openmp"):
            script("embed_pairs").main(*inputs, Path("lm/manifest.json"), layers, *outputs, EmbedSlice(**PARAMS))

    def finish(self, out: str) -> Path:
        done = self.run(out)
        assert done.returncode == 0, done.stderr
        return self.folder / out

    def batches(self) -> list[Path]:
        return sorted(self.folder.glob("work/state/*/tiny_pairs/batch_*.safetensors"))


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
                "shape": [1, 150, 32], "odd": 0}  # fmt: skip
    assert about == expected
    assert (
        arrays["odd"].shape == (1, 150) and not arrays["odd"].any()
    )  # texts that all end in other words are no oddity
    distinct = list(dict.fromkeys(job.texts))
    assert [distinct[number] for number in arrays["text"].ravel()] == job.texts
    assert read_json(whole / "manifest.json") == job.facts | expected | {
        "sha256": sha256_of(whole / "embeddings.safetensors")
    }
    for name, row in (("embedding_0", 0), ("embedding_1", 1), ("embedding_0", 149), ("embedding_1", 42)):
        text = job.texts[row if name == "embedding_0" else 150 + row]
        single = alone(make_model("llama"), make_tokenizer(), text, "final_norm")
        assert distance(arrays[name][0, row], single) < TOLERANCE


def test_datasets_that_share_a_job_are_embedded_as_alone_at_every_layer(tmp_path, monkeypatch):
    job = Job(tmp_path)
    write_json(tmp_path / "others.json", job.facts | {"dataset": "others"})
    pq.write_table(table(job.texts[:40], job.texts[60:100]), tmp_path / "others.parquet")
    whole = job.here(monkeypatch, "whole")
    layers = ["resid_post.0", "final_norm"]
    job.main(["others", "pairs"], layers, ["others_0", "others_1", "pairs_0", "pairs_1"])
    for name in ("embeddings.safetensors", "manifest.json"):
        assert sha256_of(tmp_path / "pairs_1" / name) == sha256_of(whole / name)
    job.main(["others"], ["final_norm"], ["alone_1"])
    job.main(["others"], ["resid_post.0"], ["alone_0"])
    for layer in "01":
        alone, together = (
            read_tensors(tmp_path / f"{name}_{layer}/embeddings.safetensors") for name in ("alone", "others")
        )
        assert alone[1] == together[1] and all((alone[0][name] == array).all() for name, array in together[0].items())
    found = [read_json(tmp_path / out / "manifest.json") for out in ("others_0", "others_1", "pairs_0", "pairs_1")]
    assert [(one["dataset"], one["layer"], one["shape"][1]) for one in found] == [
        ("others", *layers[:1], 40), ("others", *layers[1:], 40), ("tiny_pairs", *layers[:1], 150), ("tiny_pairs", *layers[1:], 150)
    ]  # fmt: skip


def test_pairs_that_end_in_different_words_while_others_do_not_are_odd_and_said(tmp_path, monkeypatch, caplog):
    job = Job(tmp_path)
    texts = [[f"{first} {word} is red" for word in WORDS[:18]] for first in ("the", "a")]
    for row in (3, 4):  # for training, and held out
        texts[1][row] = "the king is blue"
    pq.write_table(table(*texts), tmp_path / "pairs.parquet")
    with caplog.at_level("WARNING"):
        made = job.here(monkeypatch, "odd")
    arrays, about = read_tensors(made / "embeddings.safetensors")
    assert np.flatnonzero(arrays["odd"][0]).tolist() == [3]
    assert about["odd"] == read_json(made / "manifest.json")["odd"] == 1
    assert "tiny_pairs: 1 of 6 training pairs are odd: 1 end in different tokens while the others do not" in caplog.text


def test_the_script_names_the_row_and_the_side(tmp_path):
    job = Job(tmp_path)
    pairs = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    pairs[7]["text_1"] = " ".join(["the"] * 30)
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "pairs.parquet")
    failed = job.run("out", "resid_post.1")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("embed_pairs: pairs.parquet row 7, text_1: the text 'the the")
    assert not (tmp_path / "out").exists()


CHAT = "{% for message in messages %}{{ '<s>' if loop.first }}{{ message.role }} : {{ message.content }} {% endfor %}"


def test_chat_messages_are_joined_by_the_models_template():
    tokenizer = make_tokenizer(bos=True)
    messages = [[{"role": "a", "content": "king"}, {"role": "the", "content": word}] for word in ("red", "blue")]
    pairs = table([json.dumps(messages[0])], [json.dumps(messages[1])])
    with pytest.raises(ShiftScopeError, match="this language model has no chat template"):
        read_texts(pairs, {"chat": True}, tokenizer)
    tokenizer.chat_template = CHAT
    texts = read_texts(pairs, {"chat": True}, tokenizer)
    assert texts == ["a : king the : red", "a : king the : blue"]  # the tokenizer itself puts <s> before them
    assert tokenizer(texts[0])["input_ids"][:2] == [1, tokenizer.convert_tokens_to_ids("a")]
    assert read_texts(pairs, {}, tokenizer)[0] == json.dumps(messages[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_measured_against_the_shift(tmp_path, caplog, dtype):
    """Pairs that differ in one early word of many: nearly equal vectors."""
    save_known_lm(tmp_path, weights=True)
    begun = [" ".join(random.Random(row).choices(WORDS, k=12)) for row in range(20)]
    texts = [*(f"the {rest}" for rest in begun), *(f"a {rest}" for rest in begun)]
    asked = EmbedSlice(**PARAMS | {"dtype": dtype})
    rows = {
        name: embed_layers(*load(tmp_path, name), texts, ["final_norm"], batch_tokens=64) for name in ("float32", dtype)
    }
    caplog.set_level("INFO")
    say_rounding(tmp_path, asked, rows[dtype], texts)
    some = np.linspace(0, 19, 16).astype(int)
    shifts = {name: (one["final_norm"][some + 20] - one["final_norm"][some]) for name, one in rows.items()}
    off = np.linalg.norm(shifts[dtype] - shifts["float32"], axis=1) / np.linalg.norm(shifts["float32"], axis=1)
    assert (
        f"in {dtype} {100 * np.median(off):.0f} % of a shift at final_norm is rounding in the median of 16 pairs"
        in caplog.text
    )
    assert ("WARNING" in caplog.text) == (np.median(off) > 0.02)


def test_rounding_that_cannot_be_measured_is_said(tmp_path, caplog, monkeypatch):
    save_known_lm(tmp_path, weights=True)
    monkeypatch.setattr(os, "sysconf", lambda name: 1)
    say_rounding(tmp_path, EmbedSlice(**PARAMS | {"dtype": "bfloat16"}), {"final_norm": np.zeros((4, 32))}, ["a"] * 4)
    assert (
        "how much of a shift is rounding in bfloat16 was not measured: the model in float32 may not fit" in caplog.text
    )
