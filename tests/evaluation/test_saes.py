"""What the language model loses by an autoencoder, and what codes have to do with the concepts of documents."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.stores import make_store, save_known_lm, save_words
from helpers.tiny_lms import make_model

from shiftscope.activations.store import Store
from shiftscope.activations.windows import Windows, WindowsSlice, write_windows
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Trained, few_at_a_time
from shiftscope.evaluation.saes import SaeSlice, ce_rows, check_inputs, first_rows, truth_rows
from shiftscope.files import read_json, write_json
from shiftscope.models import Model
from shiftscope.variants.p_annealing import PAnnealing

D = 32


def trained(decoder_scale=1.0, d=D, steps=5):
    """An autoencoder whose reconstruction is the activation itself, or a multiple of it."""
    both = np.concatenate([np.eye(d), -np.eye(d)]).astype(np.float32)
    arrays = {"encoder": both, "encoder_bias": np.zeros(2 * d, np.float32), "decoder": decoder_scale * both,
              "decoder_bias": np.zeros(d, np.float32), "alive": np.ones(2 * d, bool)}  # fmt: skip
    facts = {"lm": "tiny", "dataset": "text", "codes": 2 * d, "variant": "own", "kind": "p_annealing"}
    setting = PAnnealing(steps=5).model_dump(mode="json")
    return Trained(facts | {"settings": [setting]}, PAnnealing, [Model(0, 0, 0, arrays, {"step": steps})])


@pytest.fixture(scope="module")
def said():
    """A language model, and windows that it says itself, so that its activations are worth something to it."""
    model = make_model("llama")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ids = model.generate(
            torch.full((30, 1), 2), max_new_tokens=15, min_new_tokens=15, do_sample=True, pad_token_id=0
        )
    document = np.repeat(np.arange(30, dtype=np.int32)[:, None], ids.shape[1], 1)
    document[:, 0] = -1
    return model, Windows(ids.numpy().astype(np.int32), document, document)


def recovered(said, folder, one):
    model, windows = said
    rows = ce_rows(make_store(folder, {"train": [50], "test": [5]}, d=D), [one], model, windows, 64)
    return {row["metric"]: row["value"] for row in rows}


def test_a_perfect_reconstruction_keeps_all_and_none_keeps_nothing(said, tmp_path):
    assert recovered(said, tmp_path, trained()) == pytest.approx({"ce_recovered": 1, "ce_recovered_mean": 1}, abs=1e-4)
    assert recovered(said, tmp_path, trained(0.0))["ce_recovered"] == pytest.approx(0, abs=1e-6)
    assert 0 < recovered(said, tmp_path, trained(0.3))["ce_recovered"] < 0.99


def test_an_untrained_model_is_a_control_and_one_on_the_way_is_not_measured(said, tmp_path):
    model, windows = said
    store = make_store(tmp_path, {"train": [50], "test": [5]}, d=D)
    assert {row["control"] for row in ce_rows(store, [trained(steps=0)], model, windows, 64)} == {"untrained_sae"}
    assert not list(ce_rows(store, [trained(steps=3)], model, windows, 64))


def test_where_activations_are_worth_nothing_it_is_left_out_and_said(tmp_path, caplog):
    random = np.random.default_rng(0).integers(3, 24, (20, 16)).astype(np.int32)
    windows = Windows(random, np.zeros_like(random), np.zeros_like(random))
    with caplog.at_level(logging.WARNING):
        assert recovered((make_model("llama"), windows), tmp_path, trained()) == {}
    assert "no cross-entropy to recover" in caplog.text


def documents(folder, concepts):
    file = folder / "documents.parquet"
    columns = {
        name: pa.array([f"{name} {value}" for value in values]).dictionary_encode() for name, values in concepts.items()
    }
    pq.write_table(pa.table({"text": ["a"] * 1000, **columns}), file)
    return file


def test_codes_that_are_the_documents_concepts_have_an_mcc_of_one(tmp_path):
    generator = np.random.default_rng(0)
    colour, size = generator.integers(0, 3, 1000), generator.integers(0, 2, 1000)

    def vectors(document):
        return np.concatenate([np.eye(3)[colour[document]], np.eye(3)[size[document]]], axis=1)

    store = make_store(tmp_path, {"train": [600], "test": [400]}, d=6, of=vectors)
    file = documents(tmp_path, {"colour": colour, "size": size})
    rows = list(truth_rows(store, [trained(d=6)], file))
    score = {row.get("control", ""): row["value"] for row in rows}
    assert score[""] == pytest.approx(1) and score["ceiling"] > 0.99 and score["neurons"] == pytest.approx(1)
    assert score["random_dictionary"] < 0.9
    assert {row["metric"] for row in rows} == {"mcc_documents"}


def test_a_corpus_that_tells_no_concept_has_none(tmp_path):
    store = make_store(tmp_path, {"train": [600], "test": [400]})
    assert not list(truth_rows(store, [trained(d=4)], documents(tmp_path, {})))


def test_few_vectors_at_a_time_are_all_of_them(tmp_path):
    store = make_store(tmp_path, {"train": [5], "test": [3000, 10]})
    batches = [chunk.activations for chunk in few_at_a_time(store, "test")]
    assert max(map(len, batches)) == 1024
    every = np.concatenate([chunk.activations for chunk in store.chunks("test")])
    assert np.array_equal(np.concatenate(batches), every)
    assert np.array_equal(first_rows(store, "test", 3005).activations, every[:3005])


# --- what does not belong together


@pytest.fixture
def inputs(tmp_path):
    """A store, and all that it is made of, as an evaluation is given them: by the names of its arguments."""
    lm = save_known_lm(tmp_path / "lm") / "manifest.json"
    save_words(tmp_path)
    names = ("documents.parquet", "corpus.json", "lm", "windows.arrow", "windows.json")
    write_windows(
        WindowsSlice(lm="tiny", dataset="text", train=4, test=2, window=16), *(tmp_path / name for name in names)
    )
    packed = read_json(tmp_path / "windows.json")
    store = make_store(tmp_path / "store", {"train": [50], "test": [5]})
    made_of = {
        "lm_files": read_json(lm)["files"],
        "windows_sha256": packed["sha256"],
        "corpus_sha256": packed["corpus_sha256"],
    }
    write_json(tmp_path / "store/manifest.json", store.facts | made_of)
    return {
        "params": SaeSlice(lm="tiny", layer="final_norm", dataset="text", dtype="float32", batch_tokens=64),
        "store": Store(tmp_path / "store/manifest.json"), "lm_manifest": lm, "windows": tmp_path / "windows.arrow",
        "windows_manifest": tmp_path / "windows.json", "documents": tmp_path / "documents.parquet", "sidecars": [],
    }  # fmt: skip


def test_what_belongs_together_is_measured(inputs):
    check_inputs(**inputs)


@pytest.mark.parametrize("key", ["windows", "documents"])
def test_a_damaged_file_is_named_before_anything_is_measured(inputs, key):
    with inputs[key].open("ab") as opened:
        opened.write(b"x")
    with pytest.raises(ShiftScopeError, match=rf"{key}\.\w+ has sha256 .*delete it, and `make pull` or `make run`"):
        check_inputs(**inputs)


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("lm_manifest", {"files": {}}, r"lm/manifest\.json is of other files of the language model: run again"),
        ("lm_manifest", {"lm": "twin"}, "another language model 'twin' instead of 'tiny'"),
        ("windows_manifest", {"corpus_sha256": "0"}, r"windows\.json is of another corpus: run again"),
        ("windows_manifest", {"sha256": "0"}, r"windows\.json is of other windows: run again"),
    ],
)
def test_what_a_store_was_not_made_of_is_refused(inputs, key, change, said):
    write_json(inputs[key], read_json(inputs[key]) | change)
    with pytest.raises(ShiftScopeError, match=said):
        check_inputs(**inputs)


def test_models_without_a_store_are_refused(inputs, tmp_path):
    block = {"lm": "tiny", "dataset": "text", "codes": 4, "variant": "own", "kind": "topk", "settings": [{}]}
    write_json(tmp_path / "seeds_0.json", block | {"replicas": [], "sha256": ""})
    with pytest.raises(ShiftScopeError, match=r"seeds_0\.json tells of models that were trained on another"):
        check_inputs(**inputs | {"sidecars": [tmp_path / "seeds_0.json"]})
