import torch
from helpers.fetched import fetch, logits
from helpers.tiny_lms import make_model, make_tokenizer, save_lm

from shiftscope.activations.model import load
from shiftscope.files import read_json, sha256_of


def test_a_folder_is_linked_and_described(tmp_path):
    source = save_lm(tmp_path / "source")
    folder = fetch(tmp_path, {"kind": "folder", "path": str(source)})
    assert (folder / "model.safetensors").is_symlink() and not (folder / "config.json").is_symlink()
    manifest = read_json(folder / "manifest.json")
    assert manifest == {
        "lm": "tiny", "architecture": "LlamaForCausalLM", "d_model": 32, "n_layers": 3, "vocabulary": 40,
        "source": {"kind": "folder", "path": str(source)}, "untrained_of": None, "seed": None,
        "files": {file.name: sha256_of(file) for file in folder.iterdir() if file.name != "manifest.json"},
    }  # fmt: skip
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= manifest["files"].keys()
    model, tokenizer = load(folder)
    assert not model.training and model.dtype == torch.float32
    assert torch.equal(logits(model), logits(make_model("llama")))
    assert tokenizer("the king")["input_ids"] == make_tokenizer()("the king")["input_ids"]
    assert load(folder, "bfloat16")[0].dtype == torch.bfloat16


def test_a_project_that_is_moved_with_its_models_stays_whole(tmp_path):
    fetch(tmp_path / "here", {"kind": "folder", "path": str(save_lm(tmp_path / "here/source"))})
    (tmp_path / "here").rename(tmp_path / "there")
    assert torch.equal(logits(load(tmp_path / "there/lms/tiny")[0]), logits(make_model("llama")))
