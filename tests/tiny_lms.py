"""Tiny language models of several architectures, with a tokenizer, made on the spot: folders and a GGUF file."""

from pathlib import Path

import numpy as np
import torch
from gguf import GGUFWriter, TokenType
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


def make_tokenizer(bos: bool = False) -> PreTrainedTokenizerFast:
    """One token per known word; with `bos`, texts begin with the token 1."""
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def save_lm(folder: Path, kind: str = "llama", seed: int = 0) -> Path:
    """Save model and tokenizer as an ordinary Hugging Face folder."""
    make_model(kind, seed).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def save_gguf(path: Path, leave_out: str = "") -> torch.nn.Module:
    """Write a tiny Llama with a byte-level tokenizer in llama.cpp's layout, and return the model it holds."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<unk>", "<s>", "</s>", *alphabet, "th", "the"]
    sizes = SIZES | {"vocab_size": len(tokens), "max_position_embeddings": 64}
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = AutoModelForCausalLM.from_config(LlamaConfig(**sizes, num_key_value_heads=2, tie_word_embeddings=True))
    writer = GGUFWriter(path, "llama")
    config = model.config
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(["t h", "th e"])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, weight in gguf_tensors(model).items():
        if name != leave_out:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model.eval()


def gguf_tensors(model) -> dict[str, np.ndarray]:
    """The weights under llama.cpp's names; queries and keys with each head's halves interleaved, as it wants them."""
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}  # fmt: skip
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    tensors = {
        "token_embd.weight": model.model.embed_tokens.weight.detach().numpy(),
        "output_norm.weight": model.model.norm.weight.detach().numpy(),
    }
    for number, block in enumerate(model.model.layers):
        for ours, theirs in names.items():
            weight = block.get_submodule(ours).weight.detach().numpy()
            if theirs in heads:
                halves = weight.reshape(heads[theirs], 2, -1, weight.shape[1])
                weight = halves.swapaxes(1, 2).reshape(weight.shape)
            tensors[f"blk.{number}.{theirs}.weight"] = np.ascontiguousarray(weight)
    return tensors
