"""Tiny language models of several architectures, with a tokenizer, made on the spot: folders and GGUF files."""

from pathlib import Path

import numpy as np
import torch
from gguf import MODEL_ARCH, GGUFWriter, TokenType, get_tensor_name_map
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

torch.set_num_threads(1)  # tiny products: two threads that share a busy machine wait for each other

WORDS = [
    "the", "a", "color", "shape", "object", "is", "red", "blue", "green", "vase", "book", "lamp", "king", "queen",
    "roi", "reine", "one", "word", "in", ":", ".",
]  # fmt: skip
SIZES = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 24, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None,
}  # fmt: skip
CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES, num_key_value_heads=2),
    "gpt_neox": lambda: GPTNeoXConfig(**SIZES),
    "qwen3": lambda: Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=8),
    # its first two blocks see 4 tokens back, its third all
    "gemma3": lambda: Gemma3TextConfig(
        **SIZES,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=4,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    ),
}


def make_model(kind: str, seed: int = 0):
    """A model with weights far from the initialisation's tiny ones, so that every token counts."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(CONFIGS[kind]()).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 2:
                    parameter.normal_(0, 0.3)
    return model


def make_tokenizer(bos: bool = False, eos: bool = False) -> PreTrainedTokenizerFast:
    """One token per known word; with `bos`, texts begin with the token 1, with `eos` they end with the token 2."""
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if bos or eos:
        template = " ".join(["<s>"] * bos + ["$A"] + ["</s>"] * eos)
        special = [("<s>", 1), ("</s>", 2)]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def save_lm(folder: Path, kind: str = "llama", seed: int = 0) -> Path:
    """Save model and tokenizer as an ordinary Hugging Face folder."""
    make_model(kind, seed).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


GGUF_KINDS = {"llama": {}, "qwen3": {"head_dim": 128}, "gemma3": {}}
"""kinds that transformers reads from GGUF (GPT-NeoX it does not), and what it takes for granted of them"""


def save_gguf(
    path: Path, kind: str = "llama", leave_out: str = "", tied: bool = True, scaled: bool = False, pre: str = ""
) -> torch.nn.Module:
    """Write a tiny model with a byte-level tokenizer in llama.cpp's layout, and return the model it holds.

    With `pre`, the rule by which texts are split is named so, and the tokenizer knows numbers of several digits.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    numbers = ["19", "84", "1984"] if pre else []
    tokens = ["<unk>", "<s>", "</s>", *alphabet, "th", "the", *numbers]
    config = CONFIGS[kind]()
    sizes = {"vocab_size": len(tokens), "max_position_embeddings": 64, "tie_word_embeddings": tied}
    for name, value in (sizes | GGUF_KINDS[kind]).items():
        setattr(config, name, value)
    if kind == "gemma3":
        config.layer_types = ["sliding_attention"] * config.num_hidden_layers  # the first five of six blocks slide
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name:
                    parameter.add_(0.3 * torch.randn_like(parameter))
    writer = GGUFWriter(path, kind)
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if kind == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    else:
        writer.add_rope_freq_base(10000.0)
    if kind == "llama":
        writer.add_rope_dimension_count(config.head_dim)
    if scaled:
        writer.add_rope_scaling_factor(8.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(["t h", "th e", *(["1 9", "8 4", "19 84"] if pre else [])])
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, weight in gguf_tensors(model, kind).items():
        if name != leave_out:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model.eval()


def gguf_tensors(model, kind: str) -> dict[str, np.ndarray]:
    """The weights under llama.cpp's names, and as it wants them.

    In a Llama each head's halves of queries and keys are interleaved; Gemma's norms, which scale by one plus their weight,
    hold the one. An unembedding that is tied to the embedding is left out.
    """
    names = get_tensor_name_map({"llama": MODEL_ARCH.LLAMA, "qwen3": MODEL_ARCH.QWEN3, "gemma3": MODEL_ARCH.GEMMA3}[kind],
                                model.config.num_hidden_layers)  # fmt: skip
    tensors = {}
    for name, parameter in model.named_parameters():  # a tied weight is named once
        weight = parameter.detach().numpy()
        heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
        part = name.split(".")[-2]
        if kind == "llama" and part in heads:
            halves = weight.reshape(heads[part], 2, -1, weight.shape[1])
            weight = halves.swapaxes(1, 2).reshape(weight.shape)
        if kind == "gemma3" and "norm" in part:
            weight = weight + 1
        tensors[names.get_name(name, try_suffixes=(".weight",))] = np.ascontiguousarray(weight)
    return tensors
