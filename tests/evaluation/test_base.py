"""What every evaluation starts from."""

import numpy as np
import pytest
from helpers.shifts import random_pairs
from helpers.tiny_models import embeddings_of, script, slice_of, trained

from shiftscope.evaluation.base import RANDOM_DICTIONARIES, common, described, random_directions, read_trained
from shiftscope.evaluation.parts import read_parts
from shiftscope.files import read_json
from shiftscope.models import BlockFacts, Replica, write_models
from shiftscope.synthetic.base import write_synthetic
from shiftscope.synthetic.crowded import Crowded
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


def test_worlds_of_a_file_are_evaluated_as_datasets_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    law = Crowded(
        n_concepts=9, n_varying=3, max_changed=2, d_model=6, n_train=200, n_test=80, n_single=20, data_seeds=2,
        sweep={"active": [0.1, 1], "single": [0.2, 1]},
    )  # fmt: skip
    files = tmp_path / "embeddings.safetensors", tmp_path / "manifest.json"
    write_synthetic(law, "tiny", "crowded", *files)
    models = []
    for kind, settings in (("ssae", [{"steps": 60}]), ("l1_tied", [{"steps": 60, "l1": 0.1}, {"steps": 60, "l1": 30}])):
        models.append((tmp_path / f"{kind}.safetensors", tmp_path / f"{kind}.json"))
        script("train").main(*files, *([file] for file in models[-1]), slice_of(kind, settings, [0, 1], 3))
    part, selection = tmp_path / "part.parquet", tmp_path / "selection.json"
    script("evaluate").main(*files, *map(list, zip(*models, strict=True)), part, selection)
    rows = read_parts([part])
    assert set(rows["dataset"]) == {f"tiny, {name}" for name in law.worlds()} == set(rows["eval_dataset"])
    assert set(rows["data_seed"].dropna()) == {0, 1}
    same = [
        rows[rows["dataset"] == f"tiny, {name}"].drop(columns=["dataset", "eval_dataset"])
        for name in ("active 1", "single 0.2")
    ]
    assert same[0].reset_index(drop=True).equals(same[1].reset_index(drop=True))  # one world under two names
    other = rows[rows["dataset"] == "tiny, active 0.1"]["value"]
    assert len(other) == len(same[0]) and not np.array_equal(other, same[0]["value"])
    two = rows[(rows["metric"] == "mcc_two_codes") & (rows["dataset"] == "tiny, active 1")]
    assert two.groupby(["variant", "control"]).size().to_dict() == {
        ("", "random_dictionary"): 2 * RANDOM_DICTIONARIES, ("ssae", ""): 4, ("ssae", "permuted_labels"): 4,
        ("recommended", ""): 4, ("recommended", "permuted_labels"): 4,
        ("l1_tied", ""): 4, ("l1_tied", "permuted_labels"): 4,
    }  # fmt: skip
    chosen = {(one["dataset"], one["chosen_by"], one["chosen"]) for one in read_json(selection)["settings"]}
    assert chosen == {(f"tiny, {name}", "truth", 0) for name in law.worlds()}  # with l1 30 all codes die


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
