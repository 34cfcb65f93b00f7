"""What all sources share: a folder that is whole or the old one, described by a manifest, and models that are refused."""

import json

import pytest
import torch
from helpers.fetched import fetch, logits, run_script, same_weights
from helpers.tiny_lms import make_model, save_gguf, save_lm

from shiftscope import kinds
from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json


def test_sources_are_the_files_of_the_folder():
    assert kinds.names("lms") == ["checkpoint", "folder", "gguf", "hub", "mapped", "train", "untrained", "wheel"]
    for kind in kinds.names("lms"):
        assert kinds.load("lms", kind).model_config["extra"] == "forbid"


def test_an_unknown_source_and_one_that_is_not_fetched_are_named(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"'weel' is unknown: allowed are checkpoint, .*; did you mean 'wheel'\?"):
        fetch(tmp_path, {"kind": "weel"})
    with pytest.raises(ShiftScopeError, match=r"LM 'tiny' is not fetched but made here"):
        fetch(tmp_path, {"kind": "train", "corpus": "c"})


def test_an_unknown_key_is_refused(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"(?s)LM 'tiny'.*pth.*Extra inputs are not permitted"):
        fetch(tmp_path, {"kind": "folder", "path": "x", "pth": "y"})


def test_another_source_replaces_the_files_of_the_old_one(tmp_path):
    first = save_lm(tmp_path / "first")
    (first / "merges.txt").write_text("#version\n")
    fetch(tmp_path, {"kind": "folder", "path": str(first)})
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "second", seed=7))})
    assert not (folder / "merges.txt").exists()
    assert same_weights(load(folder)[0], make_model("llama", 7))
    assert same_weights(make_model("llama"), type(make_model("llama")).from_pretrained(first))
    assert [path.name for path in (tmp_path / "lms").iterdir()] == ["tiny"]


def test_a_source_that_fails_leaves_the_old_lm(tmp_path):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    with pytest.raises(ShiftScopeError, match="is not a folder"):
        fetch(tmp_path, {"kind": "folder", "path": str(tmp_path / "absent")})
    assert torch.equal(logits(load(folder)[0]), logits(make_model("llama")))


def test_the_result_cannot_be_its_own_source(tmp_path):
    folder = save_lm(tmp_path / "lms/tiny")
    with pytest.raises(ShiftScopeError, match="both the source and the result"):
        fetch(tmp_path, {"kind": "folder", "path": str(folder)})
    assert same_weights(make_model("llama"), type(make_model("llama")).from_pretrained(folder))


@pytest.mark.parametrize(
    ("name", "message"),
    [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer"), ("model.safetensors", r"no model\*.safet")],
)
def test_an_incomplete_folder_is_refused(tmp_path, name, message):
    source = save_lm(tmp_path / "source")
    (source / name).unlink()
    with pytest.raises(ShiftScopeError, match=message):
        fetch(tmp_path, {"kind": "folder", "path": str(source)})


def test_shards_are_read_and_a_missing_one_is_named(tmp_path):
    source = save_lm(tmp_path / "source")
    (source / "model.safetensors").unlink()
    make_model("llama").save_pretrained(source, max_shard_size="20KB")
    shards = sorted(source.glob("model-*.safetensors"))
    assert len(shards) > 1
    folder = fetch(tmp_path, {"kind": "folder", "path": str(source)})
    assert same_weights(load(folder)[0], make_model("llama"))
    shards[1].unlink()
    with pytest.raises(ShiftScopeError, match=f"lacks {shards[1].name}"):
        fetch(tmp_path, {"kind": "folder", "path": str(source)})


def test_code_that_comes_with_a_model_is_never_run(tmp_path):
    source = save_lm(tmp_path / "source")
    config = read_json(source / "config.json")
    del config["model_type"]
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (source / "config.json").write_text(json.dumps(config))
    (source / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ShiftScopeError, match="code that comes with a model is never run"):
        fetch(tmp_path, {"kind": "folder", "path": str(source)})
    assert not (tmp_path / "ran").exists()


def test_the_script_fetches_an_lm_and_its_twin(tmp_path):
    save_gguf(tmp_path / "tiny.gguf")
    done = run_script(tmp_path, "tiny", {"kind": "gguf", "path": "tiny.gguf"})
    assert done.returncode == 0, done.stderr
    twin_of_it = {"kind": "untrained", "of": "tiny", "seed": 1}
    done = run_script(tmp_path, "twin", twin_of_it, "lms/tiny/manifest.json")
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "lms/twin")[0].config.hidden_size == 32
    failed = run_script(tmp_path, "twin", twin_of_it)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("fetch_lm: an untrained twin needs the folder of LM 'tiny'")


# --- kinds of models that are refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
         r"T5ForConditionalGeneration is an encoder-decoder.*use a causal \(decoder-only\) LM"),
        ({"model_type": "vit", "architectures": ["ViTModel"]}, "ViTModel is no causal language model"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}},
         r"weights of this LlamaForCausalLM are quantised \(gptq\): use the checkpoint .*or a GGUF file"),
    ],
)  # fmt: skip
def test_what_is_no_causal_lm_with_plain_weights_is_refused(tmp_path, change, message):
    source = save_lm(tmp_path / "source")
    (source / "config.json").write_text(json.dumps(read_json(source / "config.json") | change))
    with pytest.raises(ShiftScopeError, match=message):
        fetch(tmp_path, {"kind": "folder", "path": str(source)})


def test_an_adapter_is_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ShiftScopeError, match=r"is an adapter \(LoRA\), not a model: merge it"):
        fetch(tmp_path, {"kind": "folder", "path": str(tmp_path)})
