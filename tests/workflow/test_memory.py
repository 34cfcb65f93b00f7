"""The memory that is declared is more than what is measured, and not much more."""

import json
import subprocess
import sys

import pytest
from helpers.stores import make_store, save_known_lm

from shiftscope import kinds
from shiftscope.workflow.memory import caching_mb, lm_mb, parameters, training_mb

TRAIN = """
import resource, sys
from pathlib import Path
from shiftscope.activations.store import Store
from shiftscope.training.blocks import TrainSlice
from shiftscope.training.streamed import train_streamed_block

folder = Path(sys.argv[1])
params = TrainSlice.model_validate_json(sys.argv[2])
files = [(folder / "a.safetensors", folder / "a.json")]
train_streamed_block(params, Store(folder / "manifest.json"), files, folder / "state", 0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of a peak is Linux's")
def test_what_training_declares_is_above_what_it_takes_and_below_two_and_a_half_times_that(tmp_path):
    make_store(tmp_path, {"train": [2048] * 4, "test": [10]}, d=256)
    kind = kinds.load("variants", "structured")
    more = {"batch_size": 1024, "warmup": 1, "nuclear": "top", "steps": 2}
    settings = [kind(coefficient=value, **more) for value in (1, 2)]
    one = {"variant": "mine", "kind": "structured", "settings": [one.model_dump(mode="json") for one in settings]}
    params = {"lm": "tiny", "dataset": "text", "codes": 2048, "variants": [one], "seeds": list(range(6))}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path), json.dumps(params)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    peak = float(done.stdout)
    assert peak < training_mb(tmp_path / "manifest.json", settings, 6, 2048) < 2.5 * peak


def test_what_is_declared_grows_with_settings_seeds_codes_and_batches(tmp_path):
    make_store(tmp_path, {"train": [100], "test": [10]}, d=64)
    topk, structured = (kinds.load("variants", name) for name in ("topk", "structured"))
    one = training_mb(tmp_path / "manifest.json", [topk(batch_size=10)], 1, 65536)
    assert all(other > one for other in (
        training_mb(tmp_path / "manifest.json", [topk(batch_size=10)] * 2, 1, 65536),
        training_mb(tmp_path / "manifest.json", [topk(batch_size=10)], 2, 65536),
        training_mb(tmp_path / "manifest.json", [topk(batch_size=10)], 1, 131072),
        training_mb(tmp_path / "manifest.json", [topk(batch_size=100)], 1, 65536),
        training_mb(tmp_path / "manifest.json", [structured(batch_size=10)], 1, 65536),
    ))  # fmt: skip


def test_a_language_model_is_counted_by_its_weights(tmp_path):
    save_known_lm(tmp_path, weights=True)
    manifest = tmp_path / "manifest.json"
    size = (tmp_path / "model.safetensors").stat().st_size
    assert 0.8 * size < 4 * parameters(tmp_path, json.loads(manifest.read_text())) <= size
    assert caching_mb(manifest, "float32", 10**6, 1, 100) > caching_mb(manifest, "float32", 100, 1, 100)


def test_a_twin_has_as_many_numbers_as_its_sizes_say_and_is_drawn_in_float32(tmp_path):
    sizes = {"vocabulary": 50_000, "d_model": 1000, "n_layers": 10}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(sizes | {"untrained_of": "m"}))
    assert parameters(tmp_path, sizes) == 260_000_000
    assert lm_mb(manifest, "bfloat16") == 6 * 260
    with pytest.raises(FileNotFoundError):
        lm_mb(tmp_path / "absent/manifest.json", "float32")
