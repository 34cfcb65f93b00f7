"""What runs on a GPU where there is one equals what the CPU makes; skipped elsewhere."""

import numpy as np
import pytest
import torch
from helpers.reading import TEXTS
from helpers.stores import save_known_lm
from helpers.streams import small
from helpers.tiny_lms import CONFIGS, make_model, make_tokenizer

from shiftscope.activations.last_token import embed_layers
from shiftscope.activations.model import load
from shiftscope.generative.latent_dag import draw
from shiftscope.models import Replica
from shiftscope.steering.apply import steer
from shiftscope.training import masked, streamed
from shiftscope.variants.base import decode
from shiftscope.variants.batch_topk import BatchTopK
from shiftscope.variants.ntp_mlp import NtpMlp
from shiftscope.variants.p_annealing import PAnnealing
from shiftscope.variants.structured import Structured
from shiftscope.variants.topk import TopK

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

LAYERS = ["final_norm", "resid_post.1"]
QUICK = {"steps": 40, "batch_size": 60, "lr": 0.01, "warmup": 5, "dead_after": 200}
ANNEALED = {"sparsity_warmup": 5, "anneal_start": 0.3, "updates": 4, "queue": 5, "coefficient": 0.5}
KINDS = {TopK: {"k": 3}, BatchTopK: {"k": 3}, PAnnealing: ANNEALED, Structured: ANNEALED}


def on_the_cpu(monkeypatch, module):
    monkeypatch.setattr(module, "device", lambda: torch.device("cpu"))


@pytest.mark.parametrize("variant", KINDS, ids=lambda variant: variant.__name__)
def test_an_autoencoder_is_trained_as_on_the_cpu(variant, tmp_path, monkeypatch):
    """A few steps, for rounding grows with steps."""
    setting, stream = variant(**QUICK | KINDS[variant]), small()
    (here,) = streamed.train_replicas([setting], [Replica(0, 0, 0)], stream, 30, tmp_path / "gpu")
    on_the_cpu(monkeypatch, streamed)
    (there,) = streamed.train_replicas([setting], [Replica(0, 0, 0)], stream, 30, tmp_path / "cpu")
    rows = stream.activations[:100]
    outputs = [decode(one.arrays, variant.encode(one.arrays, rows)) for one in (here, there)]
    assert np.linalg.norm(outputs[0] - outputs[1]) < 0.02 * np.linalg.norm(outputs[1] - outputs[1].mean(0))


def test_a_training_on_the_gpu_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    settings, one = [TopK(**QUICK | {"k": 3})], [Replica(0, 0, 0)]
    (whole,) = streamed.train_replicas(settings, one, small(), 30, tmp_path / "whole")
    take = streamed.Learner.take

    def killed(learner, inputs, step):
        if step == 25:
            raise KeyboardInterrupt
        return take(learner, inputs, step)

    monkeypatch.setattr(streamed.Learner, "take", killed)
    with pytest.raises(KeyboardInterrupt):
        streamed.train_replicas(settings, one, small(), 30, tmp_path / "killed", checkpoint_seconds=0)
    monkeypatch.setattr(streamed.Learner, "take", take)
    (resumed,) = streamed.train_replicas(settings, one, small(), 30, tmp_path / "killed", checkpoint_seconds=0)
    assert resumed.arrays["decoder"] == pytest.approx(whole.arrays["decoder"], abs=1e-3)


def test_a_network_in_a_world_is_trained_as_on_the_cpu(tmp_path, monkeypatch):
    world = draw("chain", 3, 5, np.random.default_rng(0))
    setting, members = NtpMlp(steps=30, batch_size=32), [Replica(0, 0, 0), Replica(0, 0, 1)]
    here = masked.train_replicas([setting], members, [world], 32, tmp_path)
    resumed = masked.train_replicas([setting], members, [world], 32, tmp_path)
    on_the_cpu(monkeypatch, masked)
    there = masked.train_replicas([setting], members, [world], 32)
    inputs = np.random.default_rng(0).integers(0, 2, (50, 10)).astype(np.float32)
    for gpu, again, cpu in zip(here, resumed, there, strict=True):
        codes = [setting.encode(one.arrays, inputs) for one in (gpu, again, cpu)]
        assert np.array_equal(codes[0], codes[1])
        assert np.linalg.norm(codes[0] - codes[2]) < 0.02 * np.linalg.norm(codes[2])


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_text_is_read_as_on_the_cpu(kind):
    model, tokenizer = make_model(kind), make_tokenizer()
    cpu = embed_layers(model, tokenizer, TEXTS, LAYERS, batch_tokens=64)
    gpu = embed_layers(model.to("cuda"), tokenizer, TEXTS, LAYERS, batch_tokens=64)
    for layer in LAYERS:
        assert np.linalg.norm(gpu[layer] - cpu[layer]) < 1e-4 * np.linalg.norm(cpu[layer])


@pytest.mark.parametrize("device_map", [None, "auto", {"": 0}, {"model.layers.0": "cpu", "model.layers.1": 0,
                         "model.layers.2": "cpu", "model.embed_tokens": "cpu", "model.norm": 0, "lm_head": 0,
                         "model.rotary_emb": 0}], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_steering_on_the_gpu_and_on_both(tmp_path, dtype, device_map):
    save_known_lm(tmp_path, weights=True)
    model, tokenizer = load(tmp_path, dtype, device_map)
    vector = torch.linspace(-2, 2, model.config.hidden_size)
    prompts = tokenizer(["the king is", "a queen is"], return_tensors="pt").to("cuda")
    with torch.no_grad():
        plain = model(**prompts).logits
        for layer in LAYERS:
            with steer(model, {"up": vector}, "up", 3.0, layer):
                other = model(**prompts).logits
                written = model.generate(**prompts, max_new_tokens=4, do_sample=False, pad_token_id=2)
            assert written.shape[1] >= prompts["input_ids"].shape[1] + 1
            assert (other - plain).abs().max() > 0.1
            if layer == "final_norm":
                head = model.get_output_embeddings().weight
                expected = head.to(plain.device, torch.float32) @ (3 * vector).to(plain.device)
                error = (other.float() - plain.float() - expected).abs().max()
                assert error < {"float32": 1e-3, "bfloat16": 0.3, "float16": 0.05}[dtype]
        assert torch.equal(model(**prompts).logits, plain)
