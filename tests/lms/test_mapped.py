"""Mapped embeddings: the laws of the map, and what it changes."""

import numpy as np
import pandas as pd
import pytest
from helpers.tiny_models import draw
from pydantic import ValidationError

from shiftscope.files import read_json, read_tensors
from shiftscope.lms.mapped import Mapped, layer_name, linear_map, map_embeddings
from shiftscope.tables.table_a3 import is_mapped


def test_the_laws_of_the_map():
    gaussian = linear_map(60, Mapped(of="m"))
    assert np.square(gaussian).sum(1).mean() == pytest.approx(1, rel=0.1)  # lengths are kept on average
    assert (gaussian != linear_map(60, Mapped(of="m", seed=1))).any()
    law = Mapped(of="m", law="log_uniform", condition=300)
    values = np.linalg.svd(linear_map(60, law), compute_uv=False)
    assert values[0] / values[-1] == pytest.approx(300)
    assert np.diff(np.log(values)) == pytest.approx(np.full(59, -np.log(300) / 59))
    assert np.square(values).mean() == pytest.approx(1)
    rotation = linear_map(8, Mapped(of="m", law="log_uniform", condition=1))
    assert rotation @ rotation.T == pytest.approx(np.eye(8), abs=1e-12)
    for wrong in ({"law": "log_uniform"}, {"condition": 3}, {"law": "log_uniform", "condition": 0.5}):
        with pytest.raises(ValidationError):
            Mapped(of="m", **wrong)


def test_mapping_changes_embeddings_alone_and_says_how(tmp_path):
    source, source_manifest = draw(tmp_path / "source", n_varying=3, max_changed=2, d_model=6, n_train=30, n_test=10,
                                   n_single=6, data_seeds=2)  # fmt: skip
    files = tmp_path / "mapped.safetensors", tmp_path / "manifest.json"
    law = Mapped(of="m", law="log_uniform", condition=50, seed=3)
    map_embeddings(law, source, source_manifest, *files)
    before, after = read_tensors(source)[0], read_tensors(files[0])[0]
    expected = before["embedding_1"] @ linear_map(6, law).T
    assert after["embedding_1"] == pytest.approx(expected, abs=1e-5)
    assert after["embedding_1"].dtype == np.float32
    assert all((after[name] == array).all() for name, array in before.items() if not name.startswith("embedding"))
    facts, original = read_json(files[1]), read_json(source_manifest)
    assert facts["layer"] == layer_name(original["layer"], law, 50)
    assert facts["map"] == law.model_dump() | {"condition": pytest.approx(50)}
    assert facts["sha256"] != original["sha256"] == facts["mapped_from"]
    assert is_mapped(pd.Series([facts["layer"]])).all()
