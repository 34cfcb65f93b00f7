"""Networks that predict masked bits: each equals itself alone, and what a plain PyTorch module learns."""

import copy

import numpy as np
import pytest
import torch

from shiftscope.generative.latent_dag import draw
from shiftscope.models import Replica
from shiftscope.simulations.base import contexts
from shiftscope.training import masked as training
from shiftscope.training.masked import CHUNK, Networks, Task, train_replicas
from shiftscope.variants.ntp_mlp import NtpMlp

WIDTH = 32


@pytest.fixture(scope="module")
def worlds():
    return [draw("chain", 3, 5, np.random.default_rng(0)), draw("er1", 2, 3, np.random.default_rng(1))]


def replicas(*pairs: tuple[int, int]) -> list[Replica]:
    return [Replica(0, world, seed) for world, seed in pairs]


def equal(one, other) -> bool:
    return all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def test_a_replica_alone_equals_itself_among_others(worlds):
    setting = NtpMlp(steps=CHUNK + 6, batch_size=16)
    together = train_replicas([setting], replicas((0, 0), (1, 0), (0, 1)), worlds, WIDTH)
    for model in together:
        (alone,) = train_replicas([setting], [Replica(*model[:3])], worlds, WIDTH)
        assert equal(alone, model) and alone.facts == model.facts
    assert not equal(together[0], together[2])


def test_a_killed_training_goes_on_to_the_same_bits(worlds, tmp_path, monkeypatch):
    setting, members = NtpMlp(steps=3 * CHUNK, batch_size=8), replicas((0, 0), (1, 0))
    whole = train_replicas([setting], members, worlds, WIDTH)
    take, killed_at = Networks._take, 2 * CHUNK + 3

    def killed(batch, states, masked):
        if batch.step == killed_at:
            raise KeyboardInterrupt
        take(batch, states, masked)

    monkeypatch.setattr(Networks, "_take", killed)
    with pytest.raises(KeyboardInterrupt):
        train_replicas([setting], members, worlds, WIDTH, tmp_path, checkpoint_seconds=0)
    monkeypatch.setattr(Networks, "_take", take)
    taken = []
    monkeypatch.setattr(Networks, "_take", lambda batch, *rest: (taken.append(batch.step), take(batch, *rest)))
    resumed = train_replicas([setting], members, worlds, WIDTH, tmp_path, checkpoint_seconds=0)
    assert taken[0] == 2 * CHUNK
    assert all(equal(*pair) and pair[0].facts == pair[1].facts for pair in zip(whole, resumed, strict=True))


class Plain(torch.nn.Module):
    """The network of paper B, App. G.1, as PyTorch has its parts."""

    def __init__(self, m: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Linear(2 * m, width, bias=False)
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(width, width, bias=False) for _ in range(layers))
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm1d(width) for _ in range(layers))
        self.output = torch.nn.Linear(width, 2 * m)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        at = self.embedding(inputs)
        for linear, norm in zip(self.hidden, self.norms, strict=True):
            at = norm(linear(at)).relu()
        return at


def test_it_learns_what_a_plain_module_learns(worlds):
    world, steps = worlds[0], 50
    setting = NtpMlp(steps=steps, batch_size=16, layers=2)
    batch = Networks(setting, replicas((0, 3)), [Task(world, 5)], WIDTH)
    plain = Plain(5, WIDTH, 2)
    with torch.no_grad():
        plain.embedding.weight.copy_(batch.weights["embedding"][0])
        plain.output.weight.copy_(batch.weights["output"][0])
        plain.output.bias.zero_()
        for layer, linear in enumerate(plain.hidden):
            linear.weight.copy_(batch.weights["hidden"][0, layer])
    samples = copy.deepcopy(list(batch._samples()))
    batch.run(None, 1.0)
    optimiser = torch.optim.Adam(plain.parameters(), lr=setting.lr)
    for states, masked in samples:
        bits = world.bits.T[states[0].numpy()]
        logits = plain.output(plain.features(torch.from_numpy(contexts(bits, masked[0].numpy()))))
        values = torch.stack([logits[:, :5], logits[:, 5:]], 2)[torch.arange(16), masked[0]]
        true = torch.from_numpy(bits[np.arange(16), masked[0].numpy()]).long()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(values, true).backward()
        optimiser.step()
    (model,) = batch.results()
    plain.eval()
    every = contexts(np.repeat(world.bits.T, 5, 0), np.tile(np.arange(5), 8))
    with torch.no_grad():
        wanted = plain.features(torch.from_numpy(every)).numpy()
    assert NtpMlp.encode(model.arrays, every) == pytest.approx(wanted, abs=float(2e-3 * wanted.max()))
    assert model.arrays["output"] == pytest.approx(plain.output.weight.detach().numpy(), abs=2e-3)


def test_samples_follow_the_law_of_the_world(worlds):
    world = worlds[0]
    batch = Networks(NtpMlp(steps=CHUNK, batch_size=512), replicas((0, 0)), [Task(world, 5)], WIDTH)
    states, masked = (torch.cat(drawn, 1)[0].numpy() for drawn in zip(*batch._samples(), strict=True))
    assert np.bincount(states, minlength=8) / len(states) == pytest.approx(world.prior, abs=0.01)
    assert np.bincount(masked, minlength=5) / len(masked) == pytest.approx(np.full(5, 0.2), abs=0.01)


def test_more_networks_than_one_batch_are_all_trained(worlds, monkeypatch):
    setting, members = NtpMlp(steps=2, batch_size=4), replicas(*((0, seed) for seed in range(5)))
    whole = train_replicas([setting], members, worlds, WIDTH)
    monkeypatch.setattr(training, "REPLICAS_AT_ONCE", {"cpu": 2, "cuda": 2})
    assert all(equal(*pair) for pair in zip(whole, train_replicas([setting], members, worlds, WIDTH), strict=True))
