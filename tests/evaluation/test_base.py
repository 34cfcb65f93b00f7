"""What every evaluation starts from."""

import numpy as np
import pytest
from helpers.shifts import random_pairs
from helpers.tiny_models import embeddings_of, trained

from shiftscope.evaluation.base import common, described, random_directions, read_trained
from shiftscope.models import BlockFacts, Replica, write_models
from shiftscope.variants.ica import Ica
from shiftscope.variants.pca import Pca


def test_blocks_of_a_variant_and_code_size_are_one(tmp_path):
    pairs, files = random_pairs(3, 8), []
    for name, variant, n_codes, seeds in (
        ("mine", Ica, 3, [0]),
        ("mine", Ica, 3, [1]),
        ("mine", Ica, 2, [0]),
        ("pca", Pca, 3, [0]),
    ):
        models = trained(
            [variant()], [Replica(0, data_seed, seed) for data_seed in (0, 1) for seed in seeds], pairs, n_codes
        )
        files.append((tmp_path / f"{len(files)}.safetensors", tmp_path / f"{len(files)}.json"))
        kind = variant.__name__.lower()
        facts = BlockFacts(
            lm="m", dataset="d", codes=n_codes, variant=name, kind=kind, settings=[variant().model_dump()]
        )
        write_models(*files[-1], models, facts)
    found = read_trained(*map(list, zip(*files, strict=True)))
    assert list(found) == ["d"]
    assert [(one.facts["variant"], one.variant, one.n_codes) for one in found["d"]] == [
        ("mine", Ica, 3), ("mine", Ica, 2), ("pca", Pca, 3),
    ]  # fmt: skip
    assert [model[:3] for model in found["d"][0].models] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    row = described(found["d"][0]._replace(chosen=1), found["d"][0].models[0])
    assert (row["variant"], row["kind"], row["codes"], row["selected"], row["seed"]) == ("mine", "ica", 3, False, 0)


def test_a_twin_counts_as_a_control_of_its_language_model():
    data = embeddings_of(random_pairs(3, 8))
    data.facts.update(dataset="d", lm="twin", untrained_of="m", layer="final_norm")
    row = common(data, "d", "test")
    assert (row["lm"], row["control"], row["kind"]) == ("m", "untrained_lm", "")
    data.facts.update(lm="m", untrained_of=None, layer=None)
    assert (common(data, "d", "test")["control"], common(data, "d", "test")["layer"]) == ("", "")


@pytest.mark.parametrize("n_codes", [1, 7])
def test_random_directions_are_units_of_their_seed(n_codes):
    first, again, other = (random_directions(n_codes, seed, 0, 5) for seed in (0, 0, 1))
    assert np.linalg.norm(first, axis=1) == pytest.approx(np.ones(n_codes))
    assert (first == again).all() and not np.allclose(first, other)
