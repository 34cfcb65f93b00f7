"""What docs/activations.md and docs/sparse-autoencoders.md tell to write and to run is run as it stands there."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.clone import ROOT
from helpers.configs import GOOD
from helpers.stores import make_store

from shiftscope import kinds
from shiftscope.activations.store import Store
from shiftscope.config.read import parse_config
from shiftscope.evaluation.base import read_trained
from shiftscope.training.blocks import TrainSlice, VariantSlice
from shiftscope.training.streamed import train_streamed_block

QUICK = {"steps": 40, "batch_size": 60, "lr": 0.01, "warmup": 5, "dead_after": 200}
OWN = {"topk": {"k": 3}, "batch_topk": {"k": 3}, "p_annealing": {"queue": 2}, "structured": {"queue": 2}}
STORE = Path("results/activations/smollm2_135m/docstrings")
MODELS = Path("results/models/smollm2_135m/docstrings/codes_768")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A project's folder with a store where the docs have one."""
    root = tmp_path_factory.mktemp("project")
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(36, 12))

    def vectors(which):
        return generator.uniform(0, 1, (len(which), 36)) * (generator.random((len(which), 36)) < 0.15) @ mixing

    make_store(root / STORE, {"train": [1200, 1200], "test": [90]}, d=12, of=vectors)
    return root


def train(folder: Path, variant: str, settings: list[dict]) -> Path:
    """Train a variant where the docs have one; the folder of its models."""
    files = folder / MODELS / variant / "seeds_0-2.safetensors", folder / MODELS / variant / "seeds_0-2.json"
    one = VariantSlice(variant=variant, kind=variant, settings=settings)
    params = TrainSlice(lm="tiny", dataset="text", codes=30, variants=[one], seeds=[0, 1])
    train_streamed_block(params, Store(folder / STORE / "manifest.json"), [files], folder / "state")
    return files[0].parent


def test_a_store_is_read_in_five_lines(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    ours, plain = blocks("activations.md", "python")
    space: dict = {}
    exec(ours, space)
    assert space["batch"].shape == (2048, 12) and space["batch"].dtype == np.float32
    assert capsys.readouterr().out.startswith("(90, 12) 2400 ")
    exec(plain, space)
    assert np.array_equal(space["activations"], next(space["store"].chunks("train")).activations)


@pytest.mark.parametrize("variant", OWN)
def test_a_model_is_read_in_five_lines(folder, monkeypatch, variant):
    monkeypatch.chdir(folder)
    train(folder, variant, [QUICK | OWN[variant], QUICK | OWN[variant] | {"lr": 0.02}])
    code = blocks("sparse-autoencoders.md", "python")[0].replace("/topk/", f"/{variant}/")
    page = (ROOT / "docs/sparse-autoencoders.md").read_text(encoding="utf-8")
    (codes,) = re.findall(rf"^\| `{variant}` \| `([^`]*before[^`]*)` \|$", page, re.MULTILINE)
    assert ("codes = " + codes) in code or variant != "topk"
    activations = next(Store(STORE / "manifest.json").chunks("test")).activations
    space = {"activations": activations}
    exec(re.sub(r"^codes = .*$", lambda _: f"codes = {codes}", code, flags=re.MULTILINE), space)
    weights = MODELS / variant / "seeds_0-2.safetensors"
    (one,) = read_trained([weights], [weights.with_suffix(".json")])["text"]
    expected = one.variant.encode(one.models[-1].arrays, activations)
    assert one.models[-1][:3] == (1, 0, 1)
    assert np.allclose(space["codes"], expected, atol=1e-4)
    assert space["reconstructions"].shape == activations.shape


def test_an_autoencoder_of_ones_own_is_one_file_and_one_line(folder, monkeypatch):
    code = blocks("sparse-autoencoders.md", "python")[1]
    module = types.ModuleType("shiftscope.variants.my_autoencoder")
    exec(compile(code, "my_autoencoder.py", "exec"), vars(module))
    names = kinds.names
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(kinds, "names", lambda package, *more: [*names(package, *more), "my_autoencoder"])
    store = {"lms": ["m"], "tokens": 40_000, "held_out": 6000, "codes": [30]}
    config = yaml.safe_load(blocks("sparse-autoencoders.md", "yaml")[1])
    raw = GOOD | {"corpora": {"grammar": {}}, "activations": {"grammar": store}}
    study = parse_config(raw | {"variants": GOOD["variants"] | config["variants"]})
    assert study.variants_on("m", "grammar") == ["my_autoencoder"]
    settings = [one | QUICK | {"checkpoints": [0]} for one in study.variants["my_autoencoder"].dumps]
    assert [one["l1"] for one in settings] == [0.3, 1]
    models = train(folder, "my_autoencoder", settings)
    (one,) = read_trained([models / "seeds_0-2.safetensors"], [models / "seeds_0-2.json"])["text"]
    assert [model.facts["step"] for model in one.models] == [0, 40] * 4
    untrained, model = one.models[:2]
    assert model.facts["reconstruction"] < 0.5 * untrained.facts["reconstruction"] and 0 < model.facts["l0"] < 30


def test_the_config_of_the_pages_is_one(monkeypatch):
    first = yaml.safe_load(blocks("activations.md", "yaml")[0].replace("{…}", "{}"))
    second = yaml.safe_load(blocks("sparse-autoencoders.md", "yaml")[0].replace("…, ", ""))
    assert first["activations"] == second["activations"]
    lms = {"smollm2_135m": GOOD["lms"]["m"] | second["lms"]["smollm2_135m"]}
    variants = {"topk": second["variants"]["topk"]}
    pairs = {"bat27": {}}
    raw = {"seeds": ["0"], "lms": lms, "pairs": pairs, "corpora": first["corpora"], "variants": variants}
    study = parse_config(raw | {"activations": first["activations"]})
    assert study.streamed_on() == [("smollm2_135m", "docstrings")]
