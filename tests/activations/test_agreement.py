"""What meets in a job belongs together, or the job ends with what differs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.stores import make_store

from shiftscope.activations.agreement import check_models, check_origins, check_store, check_words
from shiftscope.errors import ShiftScopeError
from shiftscope.models import BlockFacts, Model, write_models


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store", {"train": [10], "test": [5]})


def test_a_store_is_that_of_its_folder(store):
    check_store(store, "tiny", "final_norm", "text")
    for given, said in (
        (("twin", "final_norm", "text"), "another language model 'tiny' instead of 'twin'"),
        (("tiny", "resid_post.0", "text"), "another layer 'final_norm' instead of 'resid_post.0'"),
        (("tiny", "final_norm", "other"), "another dataset 'text' instead of 'other'"),
    ):
        with pytest.raises(ShiftScopeError, match=rf"store/manifest\.json is of {said}: it was copied from .*; delete"):
            check_store(store, *given)


def test_a_store_is_of_the_language_model_and_the_windows_that_are_there(store, tmp_path):
    lm = {"lm": "tiny", "files": {}}
    packed = {"lm": "tiny", "sha256": "of windows", "corpus_sha256": "of a corpus"}
    files = [tmp_path / "lm.json", tmp_path / "windows.json"]
    check_origins(store.facts, lm, packed, files)
    for change, said in (
        (
            (lm | {"files": {"model.safetensors": "0"}}, packed),
            r"lm\.json is of other files of the language model: run again",
        ),
        ((lm, packed | {"sha256": "0"}), r"windows\.json is of other windows: run again"),
        ((lm, packed | {"corpus_sha256": "0"}), r"windows\.json is of another corpus: run again"),
    ):
        with pytest.raises(ShiftScopeError, match=said):
            check_origins(store.facts, *change, files)


def trained(folder, trained_on=None):
    facts: BlockFacts = {"lm": "tiny", "dataset": "text", "codes": 2, "variant": "v", "kind": "topk", "settings": [{}]}
    if trained_on:
        facts["trained_on"] = trained_on
    model = Model(0, 0, 0, {"decoder": np.zeros((2, 4), np.float32)}, {})
    write_models(folder / "a.safetensors", folder / "a.json", [model], facts)
    return [folder / "a.json"]


def test_models_are_of_the_store_on_which_they_are_measured(store, tmp_path):
    check_models(store, trained(tmp_path, store.origin))
    other = make_store(tmp_path / "other", {"train": [10], "test": [5]}, seed=1).origin
    for origin, said in (
        (None, "another language model None instead of 'tiny'"),
        (other, "another state of the store"),
        (other | {"layer": "resid_post.0"}, "another layer 'resid_post.0' instead of 'final_norm'"),
    ):
        said = (
            rf"a\.json tells of models that were trained on {said}.*delete it and the weights beside it, and `make run`"
        )
        with pytest.raises(ShiftScopeError, match=said):
            check_models(store, trained(tmp_path, origin))


def test_words_are_read_where_the_store_was(store, tmp_path):
    def words(d=4, **changes):
        facts = {"lm": "tiny", "layer": "final_norm"} | changes
        return SimpleNamespace(facts=facts, embedding_0=np.zeros((1, 3, d)))

    manifest = tmp_path / "manifest.json"
    check_words(store, words(), manifest)
    for given, said in (
        (words(lm="twin"), "another language model 'twin' instead of 'tiny'"),
        (words(layer="resid_post.0"), "another layer 'resid_post.0'"),
        (words(d=5), "another width 5 instead of 4"),
    ):
        with pytest.raises(
            ShiftScopeError, match=rf"manifest\.json is of {said}.*delete it, and `make pull` or `make run`"
        ):
            check_words(store, given, manifest)


def test_a_store_that_was_made_anew_is_another(store, tmp_path):
    manifest = store.folder / "manifest.json"
    before = store.origin
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"windows_sha256": "others"}))
    assert store.origin["sha256"] != before["sha256"]
