"""Training as replicas: exact optima, equality to the bit in a block and after a kill, and identification."""

import itertools
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import warm
from helpers.shifts import random_pairs
from helpers.tiny_models import ROOT, draw, drawn, script, shifts_of, slice_of, trained

from shiftscope.files import read_json, read_tensors
from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.training import constrained
from shiftscope.training.base import train
from shiftscope.variants.affine import Affine
from shiftscope.variants.affine_paper import AffinePaper
from shiftscope.variants.base import Constrained, Loss, Prepared
from shiftscope.variants.ssae import Ssae
from shiftscope.variants.ssae_paper import SsaePaper
from shiftscope.variants.ssae_paper_repaired import SsaePaperRepaired

TRAINED = {"ssae": Ssae, "affine": Affine, "ssae_paper": SsaePaper, "affine_paper": AffinePaper,
           "ssae_paper_repaired": SsaePaperRepaired}  # fmt: skip
BLOCK = [Replica(setting, data_seed, seed) for seed in (0, 3, 11) for setting in (0, 1) for data_seed in (0, 1)][:10]
"""ten replicas of two settings, two data sets and three seeds"""


def settings_of(variant, **changes):
    """Two settings that share a batch."""
    name, values = {"shrinkage": ("shrinkage", (0.01, 0.1))}.get(variant.varying[0], ("sparsity_level", (0.2, 0.4)))
    return [variant(**{name: value}, **changes) for value in values]


def equal(left, right):
    """Equal to the bit: arrays and facts."""
    return (
        left.facts == right.facts
        and left.arrays.keys() == right.arrays.keys()
        and all((left.arrays[name] == right.arrays[name]).all() for name in left.arrays)
    )


# --- the optimisers find the solution that is known -------------------------------------------------------------------


class Box(Constrained):
    """min ½‖x - a‖² s.t. Σx ≤ b, a = (1, 2, 3): x* = a - λ*, λ* = max(0, (Σa - b) / 3)."""

    varying = ("bound",)
    optimiser = "adam"
    decay = 0.5

    bound: float = 1.0
    lr: float = 0.02
    steps: int = 2000
    batch_size: int = 4

    def prepare(self, pairs, n_codes):
        return Prepared(pairs.shifts, {"bound": self.bound}, None)

    def initial(self, n_codes, d_in, normal):
        return {"point": normal(1, d_in)}

    def loss(self, weights, inputs, constants, progress):
        point = weights["point"][:, 0]
        objective = 0.5 * (point - inputs[:, 0]).square().sum(1)
        return Loss(objective, point.sum(1) - constants["bound"], objective, point.sum(1))

    def export(self, weights, keep):
        return dict(weights)


class ExtraBox(Box):
    optimiser = "extra_adam"


@pytest.mark.parametrize("variant", [Box, ExtraBox], ids=["adam", "extra_adam"])
def test_primal_and_dual_solution_of_a_constrained_problem(variant):
    goal = np.tile(np.array([1, 2, 3], np.float32), (8, 1))
    bounds = [0.0, 4.5, 5.4, 6.6, 100.0]  # three active, two not
    settings = [variant(bound=bound) for bound in bounds]
    replicas = [Replica(setting, 0, seed) for setting in range(5) for seed in range(2)]
    pairs = {(setting, 0): TrainingPairs(goal, None, None, 1) for setting in range(5)}
    results = constrained.train_replicas(settings, replicas, pairs, 1, None, 20)
    assert list(results) == replicas
    for replica, (arrays, facts) in results.items():
        price = max(0.0, (6 - bounds[replica.setting]) / 3)
        assert arrays["point"][0] == pytest.approx(np.array([1, 2, 3]) - price, abs=0.01)
        assert facts["multiplier"] == pytest.approx(price, abs=0.01)
        assert facts["violation"] == pytest.approx(6 - 3 * price - bounds[replica.setting], abs=0.02)
        if price == 0:
            assert facts["multiplier"] == 0


# --- a block equals its replicas one by one ---------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [2, 10, 135])
@pytest.mark.parametrize("name", TRAINED)
def test_a_block_equals_its_replicas_alone_to_the_bit(name, codes):
    variant = TRAINED[name]
    pairs = random_pairs(codes, {2: 6, 10: 16, 135: 150}[codes])
    steps = {2: 130, 10: 130, 135: 66}[codes]  # over the end of a chunk of 64 steps
    settings = settings_of(variant, steps=steps, batch_size=32)
    together = dict(zip(BLOCK, trained(settings, BLOCK, pairs, codes), strict=True))
    for few in ([BLOCK[0]], [BLOCK[7]], [BLOCK[9], BLOCK[2]]):
        alone = trained(settings, few, pairs, codes)
        for replica, result in zip(few, alone, strict=True):
            assert equal(result, together[replica]), replica
    errors = {result.facts["reconstruction"] for replica, result in together.items() if replica.setting == 0}
    assert len(errors) == 6  # another seed or data set is another model


@pytest.mark.parametrize("most", [1, 4 * 10 * 256, 7 * 10 * 256])
def test_many_replicas_are_trained_a_few_at_a_time_with_the_same_result(most, monkeypatch):
    def block():
        settings = settings_of(Ssae, steps=20, n_init=2)
        return trained(settings, BLOCK, random_pairs(10, 16), 10)

    together, sizes = block(), []
    run = constrained.Batch.run
    monkeypatch.setattr(constrained, "CODES_AT_ONCE", most)
    monkeypatch.setattr(
        constrained.Batch, "run", lambda self, *given: sizes.append(len(self.members)) or run(self, *given)
    )
    assert all(itertools.starmap(equal, zip(together, block(), strict=True)))
    most_members = max(1, most // (2 * 10 * 256))  # of two initialisations each
    assert max(sizes) == most_members and sum(sizes) == len(BLOCK)


def test_settings_of_different_shapes_train_side_by_side():
    pairs = random_pairs(4, 16)
    settings = [Ssae(shrinkage=0, steps=70), Ssae(shrinkage=0.1, steps=70), Ssae(steps=65)]
    replicas = [Replica(setting, 0, 5) for setting in (2, 0, 1)]
    together = trained(settings, replicas, pairs, 4)
    for replica, result in zip(replicas, together, strict=True):
        assert equal(trained(settings, [replica], pairs, 4)[0], result)


def test_what_is_drawn_depends_on_the_seed_and_the_chunk_alone():
    first, again = constrained._rows(3, 0, 1000, 8), constrained._rows(3, 0, 1000, 8)
    assert (first == again).all()
    for other in (constrained._rows(4, 0, 1000, 8), constrained._rows(3, 1, 1000, 8)):
        assert (first != other).float().mean() > 0.9
    counts = torch.bincount(torch.cat([constrained._rows(seed, 0, 10, 32).flatten() for seed in range(20)]))
    assert counts / counts.sum() == pytest.approx(torch.full((10,), 0.1), abs=0.01)


def test_a_batch_is_never_larger_than_the_data():
    pairs = {0: TrainingPairs(random_pairs(3, 8)[0].shifts[:5], None, None, 3)}
    results = [trained([Ssae(steps=20, batch_size=size)], [Replica(0, 0, 0)], pairs, 3) for size in (5, 999)]
    assert equal(results[0][0], results[1][0])


# --- several initialisations --------------------------------------------------------------------------------------------


def test_the_initialisation_with_the_smallest_lagrangian_is_kept():
    pairs = random_pairs(4, 16)
    params = Ssae(steps=30, n_init=5, shrinkage=0.1)
    members = [Replica(0, 0, seed) for seed in (0, 1)]
    prepared = {(0, 0): params.prepare(pairs[0], 4)}
    batch = constrained.Batch(params, members, prepared, 4)
    assert (batch.starts, len(batch.weights["decoder"])) == (5, 10)
    batch.run(None, 1e9)
    everything = batch.inputs[batch.source]
    with torch.no_grad():
        found = batch._loss(everything)
    multiplier = batch.problem.constraint.multiplier.weight.detach()
    value = (found.objective + multiplier * found.violation).view(2, 5)
    assert len(value.unique()) == 10
    for (arrays, facts), best, start in zip(batch.results(), value.argmin(1), (0, 5), strict=True):
        row = start + int(best)
        assert facts["multiplier"] == float(multiplier[row])
        assert facts["sparsity"] == pytest.approx(float(found.objective[row]))
        weights = {name: tensor.detach()[row].numpy().astype(np.float64) for name, tensor in batch.weights.items()}
        expected = params.export(weights, prepared[0, 0].keep)
        assert (arrays["decoder"] == expected["decoder"]).all()


def test_the_first_initialisation_is_that_of_a_single_one():
    pairs = random_pairs(4, 16)
    batches = []
    for n_init in (1, 3):
        params = Ssae(steps=70, n_init=n_init)
        prepared = {(0, 0): params.prepare(pairs[0], 4)}
        batches.append(constrained.Batch(params, [Replica(0, 0, 2)], prepared, 4))
        batches[-1].run(None, 1e9)
    several, one = (batch.weights["decoder"].detach()[0].numpy() for batch in batches[::-1])
    assert several == pytest.approx(one, abs=1e-4)
    assert constrained.Batch(params, [Replica(0, 0, 2)], prepared, 20).starts == 1  # 32 codes in all


def test_seeds_that_end_in_a_rotated_optimum_alone_do_not_with_several_initialisations():
    """Two concepts with two values each, which change together as often as one: c₁ ± c₂ is nearly as sparse."""
    rng = np.random.default_rng(1)
    ends = rng.integers(2, size=(2, 600, 2))
    truth = (ends[1] - ends[0]).astype(float)
    truth = truth[np.abs(truth).sum(1) > 0]
    shifts = (truth @ rng.normal(size=(2, 12)) + 0.3 * rng.normal(size=(len(truth), 12))).astype(np.float32)
    pairs = {0: TrainingPairs(shifts, None, None, 2)}
    replicas = [Replica(0, 0, seed) for seed in range(10)]
    worst = []
    for n_init in (1, 8):
        results = trained([Ssae(n_init=n_init, steps=600)], replicas, pairs, 2)
        worst.append(min(mcc(Ssae.encode(one.arrays, shifts), truth) for one in results))
    assert worst[0] < 0.75 and worst[1] > 0.99


# --- checkpoints ------------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def watched(settings, see):
    """The settings of a variant that tells `see` the number of each step before it mends what the step leaves behind."""

    class Watched(type(settings[0])):
        def after_step(self, weights, step):
            see(step)
            super().after_step(weights, step)

    return [Watched(**setting.model_dump()) for setting in settings]


def killed_at(settings, step_of_death):
    """The settings of a variant whose training dies after the given step."""

    def see(step):
        if step == step_of_death:
            raise Killed

    return watched(settings, see)


@pytest.mark.parametrize("name", TRAINED)
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_bit(name, tmp_path, caplog):
    variant, pairs = TRAINED[name], random_pairs(4, 16)
    settings = settings_of(variant, steps=200)
    replicas = [Replica(setting, 0, seed) for setting in range(2) for seed in range(2)]
    whole = trained(settings, replicas, pairs, 4)
    for death in (70, 150):  # after the first checkpoint, and after the second
        with pytest.raises(Killed):
            trained(killed_at(settings, death), replicas, pairs, 4, tmp_path / "state", 0)
    kept = list((tmp_path / "state").iterdir())
    assert [file.name for file in kept] == ["batch_0.safetensors"]
    with caplog.at_level("INFO"):
        resumed = trained(settings, replicas, pairs, 4, tmp_path / "state", 0)
    assert "resumed 4 replicas at step 128 of 200" in caplog.text
    assert all(equal(left, right) for left, right in zip(resumed, whole, strict=True))


def test_a_batch_that_was_done_is_not_trained_again(tmp_path, monkeypatch):
    pairs = random_pairs(4, 16)
    settings = [Ssae(steps=70), Ssae(steps=90)]  # two batches
    replicas = [Replica(0, 0, 0), Replica(1, 0, 0)]
    whole = trained(settings, replicas, pairs, 4)
    with pytest.raises(Killed):
        trained(killed_at(settings, 80), replicas, pairs, 4, tmp_path / "state", 3600)
    steps = []
    resumed = trained(watched(settings, steps.append), replicas, pairs, 4, tmp_path / "state", 3600)
    assert steps == list(range(90))  # the first batch is read back, the second had no checkpoint yet
    assert all(equal(left, right) for left, right in zip(resumed, whole, strict=True))


def test_checkpoints_and_a_progress_bar_do_not_change_the_result(tmp_path, monkeypatch, capsys):
    pairs = random_pairs(4, 16)
    params = [SsaePaper(steps=140)]
    without = trained(params, [Replica(0, 0, 0)], pairs, 4)[0]
    shown = constrained.tqdm
    monkeypatch.setattr(constrained, "tqdm", lambda **options: shown(**options | {"disable": False}))
    often = trained(params, [Replica(0, 0, 0)], pairs, 4, tmp_path / "often", 0)[0]
    assert "train 1 models" in capsys.readouterr().err
    assert equal(without, often)


# --- the script -------------------------------------------------------------------------------------------------------

LAW = {"n_varying": 10, "max_changed": 7, "n_train": 400, "n_test": 100, "n_single": 0, "data_seeds": 2}
SETTINGS = [{"shrinkage": 0.01, "steps": 400}, {"shrinkage": 0.1, "steps": 400}]


def command(seeds, name, log="train.log"):
    params = slice_of("ssae", SETTINGS, seeds, 10)
    return [
        "python", str(ROOT / "scripts" / "train.py"),
        "--embeddings", "embeddings.safetensors", "--manifest", "manifest.json",
        "--weights", f"{name}.safetensors", "--sidecars", f"{name}.json", "--params", params.model_dump_json(),
        "--checkpoint-seconds", "0", "--log", log,
    ]  # fmt: skip


def run_script(folder, *arguments, **named):
    done = warm.run(command(*arguments, **named), folder, warm.OF_THIS_TREE)
    assert done.returncode == 0, done.stderr


def rows_of(folder, name):
    """Arrays and sidecar entry of every replica of a block, by its setting, data seed and seed."""
    arrays, _ = read_tensors(folder / f"{name}.safetensors")
    facts = read_json(folder / f"{name}.json")
    return {
        (one["setting"], one["data_seed"], one["seed"]): (one, {key: array[row] for key, array in arrays.items()})
        for row, one in enumerate(facts["replicas"])
    }


@pytest.fixture(scope="session")
def block(once):
    """A folder with synthetic pairs and the block of seeds 0-9, trained by the real script."""

    def make(folder):
        folder.mkdir()
        draw(folder, **LAW)
        run_script(folder, list(range(10)), "block")

    return once("block", make)


@pytest.fixture
def workplace(block, tmp_path):
    return shutil.copytree(block, tmp_path / "workplace")


def assert_rows_equal(found, expected):
    for key, (facts, arrays) in found.items():
        assert facts == expected[key][0]
        assert arrays.keys() == expected[key][1].keys()
        for name in arrays:
            assert (arrays[name] == expected[key][1][name]).all(), (key, name)


def test_the_script_trains_a_block_as_if_each_seed_were_alone(workplace):
    run_script(workplace, [7], "single")
    block, single = rows_of(workplace, "block"), rows_of(workplace, "single")
    assert len(block) == 2 * 2 * 10 and len(single) == 2 * 2
    assert_rows_equal(single, block)
    decoders = [block[0, 0, seed][1]["decoder"] for seed in range(10)]
    assert all((decoders[0] != other).any() for other in decoders[1:])  # two seeds differ
    assert not (workplace / "work" / "state").exists() or not list((workplace / "work" / "state").iterdir())


def test_a_script_that_is_killed_goes_on_where_it_was(workplace, monkeypatch, caplog):
    child = warm.start(command([7], "killed"), workplace, warm.OF_THIS_TREE)
    state = workplace / "work" / "state"
    while child.poll() is None and not list(state.glob("*/ssae/batch_0.safetensors")):
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL, "it was done before it could be killed"
    assert not (workplace / "killed.safetensors").exists()
    (folder,) = state.iterdir()

    changed = [setting | {"steps": 1} for setting in SETTINGS]
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "scripts" / "train.py")])  # the state's name covers the script's code
    with caplog.at_level("INFO"):
        script("train").main(
            *map(Path, ("embeddings.safetensors", "manifest.json")),
            [Path("changed.safetensors")],
            [Path("changed.json")],
            slice_of("ssae", changed, [7], 10),
        )
    assert "resumed" not in caplog.text  # another config has another state: from step 0
    assert list(state.iterdir()) == [folder]

    run_script(workplace, [7], "killed", log="again.log")
    assert "resumed 4 replicas at step" in (workplace / "again.log").read_text()
    assert_rows_equal(rows_of(workplace, "killed"), rows_of(workplace, "block"))
    assert list(state.iterdir()) == []


def test_one_seed_more_changes_only_its_own_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = draw(tmp_path, **LAW)
    for name, seeds in (("one", [1]), ("two", [1, 2])):
        params = slice_of("ssae_paper", [{"steps": 70}], seeds, 10)
        script("train").main(*files, [tmp_path / f"{name}.safetensors"], [tmp_path / f"{name}.json"], params)
    assert_rows_equal(rows_of(tmp_path, "one"), rows_of(tmp_path, "two"))


# --- identification ---------------------------------------------------------------------------------------------------


def scores(data, setting, codes, seeds):
    """MCC with the truth on held-out pairs of every model seed on every data seed."""
    replicas = [Replica(0, data_seed, seed) for data_seed in range(data.data_seeds) for seed in range(seeds)]
    found = {}
    for model in train([setting], replicas, data, codes):
        shifts, truth = shifts_of(data, model.data_seed)
        found[model.data_seed, model.seed] = mcc(Ssae.encode(model.arrays, shifts), truth)
    return found


@pytest.mark.parametrize(("n_varying", "max_changed"), [(3, 2), (4, 3), (10, 7)])
def test_every_seed_identifies_the_concepts_of_mixings_drawn_now(n_varying, max_changed, tmp_path):
    seed = int.from_bytes(os.urandom(4))
    data = drawn(
        tmp_path, n_varying=n_varying, max_changed=max_changed, n_train=4000, n_test=1000, n_single=0, seed=seed
    )
    found = scores(data, Ssae(shrinkage=0), n_varying, seeds=10)
    assert len(found) == 30
    worst = min(found, key=found.get)
    print(f"smallest mcc_truth {found[worst]:.12f}, law's seed {seed}")
    assert found[worst] >= 0.99, f"law's seed {seed}, data seed {worst[0]}, model seed {worst[1]}: {found[worst]}"


def test_nothing_is_identified_where_all_concepts_always_change(tmp_path):
    """The supports do not vary, so the paper's assumption 4.1 is broken: the same recipe must not find the axes."""
    data = drawn(tmp_path, n_varying=4, max_changed=4, support="exact", n_train=4000, n_test=1000, n_single=0)
    assert data.facts["assumptions"]["support_variability"] is False
    found = scores(data, Ssae(shrinkage=0), 4, seeds=3)
    assert max(found.values()) < 0.95
