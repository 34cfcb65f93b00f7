import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.files import SAFETENSORS, read_json, read_tensors, sha256_of, write_tensors
from shiftscope.models import BlockFacts, Model, alive, read_facts, read_models, write_models


def test_a_code_is_alive_if_it_is_used_varies_and_has_a_direction():
    rng = np.random.default_rng(13)
    codes = rng.normal(size=(100, 5)) * [1, 0.5, 0.001, 1, 0]
    codes[:, 4] = 0.5
    decoder = np.eye(5)
    decoder[3] = 0
    assert alive(codes, decoder).tolist() == [True, True, False, False, False]
    assert alive(1e-6 * codes, decoder).tolist() == [True, True, False, False, False]
    assert not alive(0 * codes, decoder).any()


def models(generator, keys):
    return [
        Model(*key, {"decoder": generator.normal(size=(2, 3)).astype(np.float32), "alive": np.array([True, False])},
              {"reconstruction": float(key[2]), "violation": None})
        for key in keys
    ]  # fmt: skip


def test_models_of_several_blocks_are_read_back_in_order(tmp_path):
    generator = np.random.default_rng(0)
    blocks = [models(generator, [(0, 0, 3), (1, 0, 3)]), models(generator, [(0, 0, 1), (0, 1, 1), (1, 0, 1)])]
    facts: BlockFacts = {"lm": "m", "dataset": "d", "codes": 2, "variant": "v", "kind": "ssae", "settings": [{}, {}]}
    files = [(tmp_path / f"{number}.safetensors", tmp_path / f"{number}.json") for number in range(2)]
    for two, block in zip(files, blocks, strict=True):
        write_models(*two, block, facts)
    found = read_models(*zip(*files, strict=True))
    expected = sorted([*blocks[0], *blocks[1]], key=lambda model: model[:3])
    assert [model[:3] for model in found] == [model[:3] for model in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.facts == other.facts
        assert all((one.arrays[name] == array).all() for name, array in other.arrays.items())
    assert read_facts(files[0][1]) == facts
    about = read_json(files[1][1])
    assert about["sha256"] == sha256_of(files[1][0])
    assert about["replicas"][1] == {"setting": 0, "data_seed": 1, "seed": 1, "reconstruction": 1.0, "violation": None}
    assert read_tensors(files[1][0])[0]["decoder"].shape == (3, 2, 3)
    with pytest.raises(ValueError, match="zip"):
        read_models([files[0][0]], [])


def test_a_block_that_is_written_model_by_model_has_the_bytes_of_one_that_is_stacked(tmp_path):
    generator = np.random.default_rng(0)
    models = [
        Model(0, 0, seed, {
            "encoder": generator.normal(size=(5, 3)).astype(np.float32), "decoder": np.float32(generator.normal(size=(3, 5))).T,
            "alive": generator.random(5) > 0.5, "k": np.float32(seed),
            **{f"of_{kind}": np.arange(3 + seed, 6 + seed).astype(kind) for kind in SAFETENSORS},
        }, {}) for seed in range(3)
    ]  # fmt: skip
    facts: BlockFacts = {"lm": "m", "dataset": "d", "codes": 5, "variant": "v", "kind": "topk", "settings": [{}]}
    write_models(tmp_path / "a.safetensors", tmp_path / "a.json", models, facts)
    write_tensors(
        tmp_path / "b.safetensors", {name: np.stack([one.arrays[name] for one in models]) for name in models[0].arrays}
    )
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_models_that_do_not_fit_together_are_not_written(tmp_path):
    facts: BlockFacts = {"lm": "m", "dataset": "d", "codes": 5, "variant": "v", "kind": "topk", "settings": [{}]}
    models = [Model(0, 0, seed, {"decoder": np.zeros((2 + seed, 3), np.float32)}, {}) for seed in range(2)]
    with pytest.raises(ValueError, match=r"set 1 of .* has other arrays than the first"):
        write_models(tmp_path / "a.safetensors", tmp_path / "a.json", models, facts)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_block_are_refused(tmp_path):
    facts: BlockFacts = {"lm": "m", "dataset": "d", "codes": 2, "variant": "v", "kind": "topk", "settings": [{}]}
    for name in "ab":
        arrays = {"decoder": np.full((2, 3), ord(name), np.float32)}
        write_models(tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json", [Model(0, 0, 0, arrays, {})], facts)
    (tmp_path / "b.safetensors").replace(tmp_path / "a.safetensors")
    with pytest.raises(ShiftScopeError, match=r"a\.safetensors has sha256 .* it is not what .*a\.json tells of"):
        read_models([tmp_path / "a.safetensors"], [tmp_path / "a.json"])


class Counted(Sequence):
    """Models that are made when they are asked for, and how many there are at that time."""

    def __init__(self):
        self.known, self.most = [], 0

    def __len__(self):
        return 6

    def __getitem__(self, number):
        if number >= 6:
            raise IndexError
        array = np.full((2, 3), number, np.float32)
        self.known.append(weakref.ref(array))
        self.most = max(self.most, sum(one() is not None for one in self.known))
        return Model(0, 0, number, {"decoder": array}, {})


def test_a_block_is_written_without_its_models_being_in_the_memory_together(tmp_path):
    facts: BlockFacts = {"lm": "m", "dataset": "d", "codes": 2, "variant": "v", "kind": "topk", "settings": [{}]}
    models = Counted()
    write_models(tmp_path / "a.safetensors", tmp_path / "a.json", models, facts)
    found = read_models([tmp_path / "a.safetensors"], [tmp_path / "a.json"])
    assert [model.arrays["decoder"][0, 0] for model in found] == list(range(6)) and models.most <= 2
