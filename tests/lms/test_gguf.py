import pytest
import torch
from helpers.fetched import fetch, rows_of, same_weights
from helpers.tiny_lms import GGUF_KINDS, save_gguf

from shiftscope.activations.model import load
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json


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
    with pytest.raises(ShiftScopeError, match=rf"has sha256 \w+, but must have {'0' * 64}"):
        fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf"), "sha256": "0" * 64})


@pytest.mark.parametrize(
    ("rule", "tokens"),
    [
        ("default", ["the", "Ġ", "1984"]),
        ("smollm", ["the", "Ġ", "1", "9", "8", "4"]),
        ("starcoder", ["the", "Ġ", "1", "9", "8", "4"]),
        ("llama-bpe", ["the", "Ġ", "19", "8", "4"]),
    ],
)
def test_texts_are_split_by_the_rule_that_the_file_names(tmp_path, rule, tokens):
    save_gguf(tmp_path / "tiny.gguf", pre=rule)
    _, tokenizer = load(fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")}))
    assert tokenizer.tokenize("the 1984") == tokens


@pytest.mark.parametrize("rule", ["deepseek-llm", "nonsense"])
def test_a_rule_that_nobody_here_knows_is_refused_by_its_name(tmp_path, rule):
    save_gguf(tmp_path / "tiny.gguf", pre=rule)
    with pytest.raises(
        ShiftScopeError, match=rf"tiny\.gguf splits texts by the rule '{rule}' .* use the original checkpoint"
    ):
        fetch(tmp_path, {"kind": "gguf", "path": str(tmp_path / "tiny.gguf")})
