import numpy as np
import pytest

from shiftscope.files import read_json, read_tensors, sha256_of
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
