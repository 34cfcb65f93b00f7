import numpy as np
import pytest
import torch
from helpers.reading import TEXTS, TOLERANCE, distance, embed
from helpers.tiny_lms import CONFIGS, make_model, make_tokenizer

from shiftscope.activations.last_token import embed_layers
from shiftscope.activations.layers import can_share_prefixes
from shiftscope.errors import ShiftScopeError

SMALL = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def drawn(model):
    """The model with weights large enough for every token to count."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model.eval()


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_models_here_share_prefixes(kind):
    assert can_share_prefixes(make_model(kind).get_decoder())


@pytest.mark.parametrize(("kind", "norm"), [("llama", "norm"), ("gpt_neox", "final_layer_norm"), ("gemma3", "norm")])
def test_the_last_block_is_before_the_final_norm(kind, norm):
    model, tokenizer = make_model(kind), make_tokenizer()
    before = embed(model, tokenizer, TEXTS, "resid_post.2", batch_tokens=64)
    after = embed(model, tokenizer, TEXTS, "final_norm", batch_tokens=64)
    with torch.inference_mode():
        normed = getattr(model.get_decoder(), norm)(torch.tensor(before)).numpy()
    assert distance(normed, after) < TOLERANCE
    assert distance(before, after) > 0.1


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
    found = embed_layers(model, tokenizer, TEXTS, ["final_norm", "resid_post.1"], batch_tokens=64)
    assert found["resid_post.1"].shape == (len(TEXTS), 32)
    with torch.inference_mode():
        logits = np.stack([model(**tokenizer(text, return_tensors="pt")).logits[0, -1].numpy() for text in TEXTS])
    assert distance(found["final_norm"] @ model.lm_head.weight.detach().numpy().T, logits) < TOLERANCE


@pytest.mark.parametrize("layer", ["resid_post.3", "resid_post.-1", "resid_post", "resid_pre.0", ""])
def test_an_unknown_layer_is_refused(layer):
    with pytest.raises(ShiftScopeError, match=r"has final_norm and resid_post\.0 to resid_post\.2"):
        embed(make_model("llama"), make_tokenizer(), ["king"], layer, batch_tokens=8)


def test_an_unknown_layer_among_several_is_named():
    with pytest.raises(
        ShiftScopeError, match=r"'resid_post\.3' is unknown: this LM has final_norm and .* resid_post\.2"
    ):
        embed_layers(make_model("llama"), make_tokenizer(), ["king"], ["final_norm", "resid_post.3"], batch_tokens=8)
