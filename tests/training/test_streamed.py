"""Training on a stream: one pass for all replicas, equality to the bit alone, after a kill and however often it is saved."""

import errno
import itertools
import logging
import math

import numpy as np
import pytest
import torch
from helpers.streams import MemoryStream, small
from pydantic import ValidationError

from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json
from shiftscope.models import Replica, read_models
from shiftscope.training import streamed
from shiftscope.training.blocks import TrainSlice, VariantSlice
from shiftscope.training.streamed import Learner, train_replicas, train_streamed_block
from shiftscope.variants.base import decode, in_raw_space
from shiftscope.variants.batch_topk import BatchTopK
from shiftscope.variants.p_annealing import PAnnealing
from shiftscope.variants.structured import Structured
from shiftscope.variants.topk import TopK

QUICK = {"steps": 40, "batch_size": 60, "lr": 0.01, "warmup": 5, "dead_after": 200}
ANNEALED = {"sparsity_warmup": 5, "anneal_start": 0.3, "updates": 4, "queue": 5, "coefficient": 0.5}
KINDS = {TopK: {"k": 3}, BatchTopK: {"k": 3}, PAnnealing: ANNEALED, Structured: ANNEALED}
BLOCK = [Replica(setting, 0, seed) for setting in (0, 1) for seed in (0, 5)]
"""two settings and two seeds"""
kinds = pytest.mark.parametrize("variant", KINDS, ids=lambda variant: variant.__name__)


def settings_of(variant, **changes):
    return [variant(**QUICK | KINDS[variant] | changes), variant(**QUICK | KINDS[variant] | {"lr": 0.02} | changes)]


def equal(left, right):
    """Equal to the bit: arrays and facts."""
    return (
        left[:3] == right[:3]
        and left.facts == right.facts
        and left.arrays.keys() == right.arrays.keys()
        and all((left.arrays[name] == right.arrays[name]).all() for name in left.arrays)
    )


def all_equal(left, right):
    return len(left) == len(right) and all(itertools.starmap(equal, zip(left, right, strict=True)))


# --- one pass, any company


@kinds
def test_a_block_equals_its_replicas_alone_to_the_bit(variant, tmp_path):
    settings = settings_of(variant)
    together = train_replicas(settings, BLOCK, small(), 30, tmp_path / "all")
    for number, few in enumerate(([BLOCK[0]], [BLOCK[3], BLOCK[1]])):
        alone = train_replicas(settings, few, small(), 30, tmp_path / str(number))
        assert all_equal(alone, [together[BLOCK.index(replica)] for replica in few])
    directions = [model.arrays["decoder"] for model in together]
    assert min(np.abs(one - other).max() for one, other in itertools.combinations(directions, 2)) > 0.05


def test_all_replicas_learn_from_one_pass(tmp_path):
    stream = small()
    train_replicas(settings_of(TopK), BLOCK, stream, 30, tmp_path)
    trained = [number for number in stream.read if number >= 8]  # the first ones are read for mean and scale, too
    latest = 8 * len(BLOCK)  # the last ones again, to measure each model
    assert len(trained) == 40 - 8 + latest + trained.count(40)
    assert trained[: 40 - 8] == list(range(8, 40))


def test_settings_that_read_otherwise_are_trained_in_passes_of_their_own(tmp_path):
    settings = [TopK(**QUICK, k=3), TopK(**QUICK, k=3, order_seed=1), TopK(**QUICK | {"batch_size": 50}, k=3)]
    replicas = [Replica(setting, 0, 0) for setting in (2, 0, 1)]
    together = train_replicas(settings, replicas, small(), 30, tmp_path / "all")
    assert [model.setting for model in together] == [2, 0, 1]
    for model in together:
        alone = train_replicas(settings, [Replica(*model[:3])], small(), 30, tmp_path / str(model.setting))
        assert equal(alone[0], model)
    assert not equal(together[1], together[2])


# --- a kill, and what is saved


class Broken(MemoryStream):
    """Ends the process, as it were, at one batch of the training."""

    def batches(self, batch_size, seed, start=0, split="train"):
        for number, batch in enumerate(super().batches(batch_size, seed, start, split), start):
            if batch_size == 60 and number == self.at:
                raise KeyboardInterrupt
            yield batch


@kinds
@pytest.mark.parametrize("at", [1, 23, 39])
def test_a_killed_training_goes_on_to_the_bit(variant, at, tmp_path, monkeypatch):
    settings = settings_of(variant, checkpoints=(0, 10, 30))
    whole = train_replicas(settings, BLOCK, small(), 30, tmp_path / "whole", checkpoint_seconds=1e9)
    monkeypatch.setattr(streamed, "SAVE_SHARE", math.inf)
    broken = Broken(small().activations)
    broken.at = at
    with pytest.raises(KeyboardInterrupt):
        train_replicas(settings, BLOCK, broken, 30, tmp_path / "killed", checkpoint_seconds=0)
    stream = small()
    again = train_replicas(settings, BLOCK, stream, 30, tmp_path / "killed", checkpoint_seconds=1e9)
    assert all_equal(whole, again)
    assert at in stream.read and (at < 20 or at - 9 not in stream.read[8:])  # it went on, and did not begin anew


def test_what_is_finished_is_not_trained_again(tmp_path):
    settings = settings_of(TopK)
    first = train_replicas(settings, BLOCK, small(), 30, tmp_path)
    stream = small()
    assert all_equal(first, train_replicas(settings, BLOCK, stream, 30, tmp_path))
    assert max(stream.read) < 8


@kinds
def test_neither_logs_nor_checkpoints_nor_kept_steps_change_the_training(variant, tmp_path, monkeypatch):
    quiet = train_replicas(settings_of(variant), BLOCK, small(), 30, tmp_path / "quiet", checkpoint_seconds=1e9)
    monkeypatch.setattr(streamed, "LOG_STEPS", 1)
    monkeypatch.setattr(streamed, "SAVE_SHARE", math.inf)
    monkeypatch.setattr(streamed.logger, "level", logging.DEBUG)
    settings = settings_of(variant, checkpoints=(3, 4, 20))
    loud = train_replicas(settings, BLOCK, small(), 30, tmp_path / "loud", checkpoint_seconds=0)
    assert all_equal(quiet, [model for model in loud if model.facts["step"] == 40])


@kinds
def test_a_kept_step_is_a_training_that_ends_there(variant, tmp_path):
    """As long as no share of the steps enters."""
    late = {"anneal_start": 1.0} if issubclass(variant, PAnnealing) else {}
    models = train_replicas(
        settings_of(variant, checkpoints=(0, 15), **late), [Replica(0, 0, 2)], small(), 30, tmp_path / "a"
    )
    assert [model.facts["step"] for model in models] == [0, 15, 40]
    for model in list(models)[:2]:
        settings = settings_of(variant, steps=model.facts["step"], **late)
        ended = train_replicas(settings, [Replica(0, 0, 2)], small(), 30, tmp_path / str(model.facts["step"]))
        assert equal(ended[0], model)


# --- what is exported


@kinds
def test_arrays_in_the_space_of_activations_have_the_codes_and_outputs_of_the_weights(variant):
    stream = small()
    setting = settings_of(variant)[0]
    learner = Learner(setting, Replica(0, 0, 0), 30, stream.d)
    mean, scale = stream.activations.mean(0), 37.0
    batches = [torch.from_numpy((batch - mean) / scale) for batch in stream.activations.reshape(10, 60, -1)]
    for step, batch in enumerate(batches):
        learner.take(batch, step)
    weights = {name: tensor.detach() for name, tensor in learner.weights.items()}
    inside = setting.export(weights, lambda: iter(batches))
    raw = in_raw_space(inside, mean, scale)
    rows = np.concatenate([batch.numpy() for batch in batches])
    codes, found = variant.encode(inside, rows), variant.encode(raw, stream.activations)
    assert np.abs(found - scale * codes).max() < 1e-3 * np.abs(found).max()
    output, expected = decode(raw, found), scale * decode(inside, codes) + mean
    assert np.abs(output - expected).max() < 1e-3 * np.abs(expected).max()
    assert np.linalg.norm(raw["decoder"], axis=1) == pytest.approx(1, abs=1e-5)
    assert all(array.dtype == np.float32 for array in raw.values())


@kinds
def test_facts_are_those_of_the_latest_batches(variant, tmp_path):
    stream = small()
    (model,) = train_replicas(settings_of(variant), BLOCK[:1], stream, 30, tmp_path)
    latest = np.concatenate(list(itertools.islice(stream.batches(60, 0, 32), 8)))
    codes = variant.encode(model.arrays, latest)
    error = np.square(latest - decode(model.arrays, codes)).sum() / np.square(latest - stream.activations.mean(0)).sum()
    assert model.facts["reconstruction"] == pytest.approx(error, rel=1e-3)
    assert model.facts["l0"] == pytest.approx((codes != 0).sum(1).mean(), abs=1e-6)
    assert model.facts["dead"] == (~model.arrays["alive"]).sum() and model.arrays["alive"].dtype == bool
    assert model.facts["reconstruction"] < 0.9


@kinds
def test_no_steps_leave_it_as_it_was_drawn(variant, tmp_path):
    models = [
        train_replicas(settings_of(variant, steps=steps, lr=1e-9), BLOCK[:2], small(), 30, tmp_path / str(steps))
        for steps in (0, 1)
    ]
    for untrained, barely in zip(*models, strict=True):
        assert untrained.facts["step"] == 0
        assert np.abs(untrained.arrays["decoder"] - barely.arrays["decoder"]).max() < 1e-6
    assert np.abs(models[0][0].arrays["decoder"] - models[0][1].arrays["decoder"]).max() > 0.1
    dense = issubclass(variant, PAnnealing)
    name = "l0_sparse" if variant is Structured else "l0"
    assert models[0][0].facts[name] == pytest.approx(15 if dense else 3, abs=4 if dense else 0.3)
    if dense:
        assert models[0][0].facts["p"] == 1


def test_a_latent_that_did_not_fire_lately_is_dead(tmp_path):
    settings = [TopK(**QUICK | {"steps": 40, "dead_after": number}, k=1, auxiliary=0) for number in (1, 10**7)]
    few, all_that_ever_fired = train_replicas(settings, [Replica(0, 0, 0), Replica(1, 0, 0)], small(), 90, tmp_path)
    assert (few.arrays["decoder"] == all_that_ever_fired.arrays["decoder"]).all()
    assert few.facts["dead"] > 0
    assert not (few.arrays["alive"] & ~all_that_ever_fired.arrays["alive"]).any()
    latest = np.concatenate(list(itertools.islice(small().batches(60, 0, 32), 8)))
    assert (few.arrays["alive"] == (TopK.encode(few.arrays, latest) > 0).any(0)).all()


def test_the_job_writes_every_model_with_its_step(tmp_path):
    variants = [
        VariantSlice(variant=name, kind=kind.__module__.rpartition(".")[2], settings=[one.model_dump(mode="json") for one in some])
        for name, kind, some in (("mine", TopK, settings_of(TopK, checkpoints=(0, 20))), ("other", PAnnealing, settings_of(PAnnealing)))
    ]  # fmt: skip
    params = TrainSlice(lm="tiny", dataset="text", codes=30, variants=variants, seeds=[0, 5])
    assert params.modules() == [
        f"shiftscope.{name}" for name in ("variants.topk", "variants.p_annealing", "training.streamed")
    ]
    files = [(tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json") for name in ("mine", "other")]
    train_streamed_block(params, small(), files, tmp_path / "state")
    assert not (tmp_path / "state").exists()
    models = read_models(*zip(files[0], strict=True))
    found = [(model.setting, model.data_seed, model.seed, model.facts["step"]) for model in models]
    assert found == [(setting, 0, seed, step) for setting in (0, 1) for seed in (0, 5) for step in (0, 20, 40)]
    expected = train_replicas(settings_of(TopK, checkpoints=(0, 20)), BLOCK, small(), 30, tmp_path / "again")
    assert all_equal(models, expected)
    second = train_replicas(settings_of(PAnnealing), BLOCK, small(), 30, tmp_path / "second")
    assert all_equal(read_models(*zip(files[1], strict=True)), second)
    sidecar = read_json(files[1][1])
    assert (sidecar["dataset"], sidecar["kind"], len(sidecar["replicas"])) == ("text", "p_annealing", 4)
    assert sidecar["settings"][1]["lr"] == 0.02


# --- what cannot be trained


def test_too_few_activations_are_an_error(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"^there are 600 training activations, fewer than a batch of 601: lower"):
        train_replicas([TopK(batch_size=601, k=3)], BLOCK[:1], small(), 30, tmp_path)


@pytest.mark.parametrize(("value", "said"), [(math.nan, "hold NaN or infinity"), (math.inf, "hold NaN or infinity")])
def test_activations_that_are_no_numbers_are_an_error(value, said, tmp_path):
    stream = small()
    stream.activations[17, 3] = value
    with pytest.raises(ShiftScopeError, match=said), np.errstate(invalid="ignore"):
        train_replicas(settings_of(TopK), BLOCK, stream, 30, tmp_path)


def test_what_is_no_number_beyond_the_sample_is_not_taken_for_a_training_that_diverges(tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "_centre", lambda stream, order_seed: (np.zeros(12, np.float32), 1.0))
    stream = small()
    stream.activations[17, 3] = math.nan
    with pytest.raises(ShiftScopeError, match=r"^the activations hold NaN or infinity: cache them again"):
        train_replicas(settings_of(TopK), BLOCK, stream, 30, tmp_path)


@pytest.mark.parametrize(
    ("n_codes", "k", "said"),
    [
        (36, 3, []),
        (11, 3, ["fewer codes than the 12 dimensions of an activation: such a dictionary is not overcomplete"]),
        (36, 12, ["k 12 is at least the width 12 or all codes, so any directions reconstruct: lower k"]),
        (20, 11, ["k 11 is more than half of the codes, which is not sparse: lower k or raise `codes`"]),
        (8, 8, ["fewer codes than the 12 dimensions", "k 8 is at least the width 12 or all codes"]),
    ],
)
def test_what_is_no_sparse_overcomplete_dictionary_is_warned_of(n_codes, k, said, tmp_path, caplog):
    setting = TopK(steps=0, batch_size=60, k=k).model_dump(mode="json")
    one = VariantSlice(variant="mine", kind="topk", settings=[setting, setting | {"lr": 0.1}])
    params = TrainSlice(lm="tiny", dataset="text", codes=n_codes, variants=[one], seeds=[0])
    with caplog.at_level(logging.WARNING):
        train_streamed_block(params, small(), [(tmp_path / "a.safetensors", tmp_path / "a.json")], tmp_path / "state")
    messages = [record.getMessage() for record in caplog.records if record.name == streamed.__name__]
    for message, expected in zip(messages, said, strict=True):
        assert message.startswith(f"mine, {n_codes} codes: {expected}")


def test_a_disk_that_fills_up_while_the_state_is_written_is_named_and_a_rerun_goes_on(tmp_path, monkeypatch):
    settings, saved = settings_of(TopK, steps=40), []
    whole = train_replicas(settings, BLOCK, small(), 30, tmp_path / "whole", checkpoint_seconds=1e9)
    save = streamed.save_file

    def full(tensors, path):
        saved.append(int(tensors["step"]))
        save(tensors, path)
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(streamed, "save_file", full)
    monkeypatch.setattr(streamed, "SAVE_SHARE", math.inf)
    with pytest.raises(
        ShiftScopeError, match=r"^the disk is full while writing .*training\.safetensors: free some space on /"
    ):
        train_replicas(settings, BLOCK, small(), 30, tmp_path / "full", checkpoint_seconds=0)
    assert not list((tmp_path / "full").rglob(".*.tmp"))
    stream = small()
    again = train_replicas(settings, BLOCK, stream, 30, tmp_path / "full", checkpoint_seconds=1e9)
    assert all_equal(whole, again) and min(stream.read[8:]) == 2 == saved[1]


def test_activations_that_are_all_equal_are_an_error(tmp_path):
    with pytest.raises(ShiftScopeError, match="all activations are equal"):
        train_replicas(settings_of(TopK), BLOCK, MemoryStream(np.full((600, 12), 3.3)), 30, tmp_path)


def test_a_training_that_diverges_is_named(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"^training of setting 0, seed 5 diverged at step \d+ .*: lower .*`lr`$"):
        train_replicas([PAnnealing(**QUICK | {"lr": 1e25})], BLOCK[1:2], small(), 30, tmp_path)


@pytest.mark.parametrize("steps", [[5, 3], [3, 3], [-1], [41]])
def test_checkpoints_that_are_no_steps_in_order_are_refused(steps):
    with pytest.raises(ValidationError, match="checkpoints must be steps from 0 to 40 in rising order, each once"):
        TopK(steps=40, checkpoints=steps)


@pytest.mark.parametrize("name", ["n_pairs", "orientation"])
def test_what_is_said_of_pairs_is_refused(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        TopK(**{name: 30})
