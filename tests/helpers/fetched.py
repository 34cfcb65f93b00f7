"""Language models fetched from made-up sources, and what of a loaded one is compared."""

import json

import numpy as np
import torch
from helpers import warm
from helpers.clone import ROOT
from helpers.tiny_lms import make_tokenizer, save_lm

from shiftscope.activations.last_token import embed_layers
from shiftscope.lms.base import fetch_lm
from shiftscope.workflow.imports import code_of

TEXTS = ["the king is red", "the queen is blue", "the king is a vase : one"]
READ = ["resid_post.0", "final_norm"]


def fetch(tmp_path, source, lm="tiny", of=None):
    folder = tmp_path / "lms" / lm
    fetch_lm(lm, source, folder, tmp_path / "downloads", of)
    return folder


def logits(model, text="the king is red"):
    with torch.inference_mode():
        return model(**make_tokenizer()(text, return_tensors="pt")).logits


def same_weights(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def twin(tmp_path, seed, lm):
    trained = tmp_path / "lms/tiny"
    if not trained.exists():
        fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    return fetch(tmp_path, {"kind": "untrained", "of": "tiny", "seed": seed}, lm, trained)


def rows_of(model, tokenizer):
    found = embed_layers(model, tokenizer, TEXTS, READ, batch_tokens=64)
    return np.concatenate([found[layer] for layer in READ])


def command_of(lm, source, *of):
    """The real script, with the code that its rule declares."""
    script = ROOT / "scripts/fetch_lm.py"
    return ["python", str(script), "--manifest", f"lms/{lm}/manifest.json", "--downloads", "downloads", "--of", *of,
            "--params", json.dumps({"lm": lm, "source": source}),
            "--modules", *map(str, code_of(script, [f"shiftscope.lms.{source['kind']}"], ROOT / "src"))]  # fmt: skip


def run_script(tmp_path, *arguments):
    return warm.run(command_of(*arguments), tmp_path, warm.OF_THIS_TREE)
