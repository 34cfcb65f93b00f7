"""The activation of every token: what the plain way reads, whatever the shards, resumed where it was killed."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.tiny_lms import WORDS, make_model, make_tokenizer

from shiftscope.activations import every_token
from shiftscope.activations.every_token import CacheSlice, Reader, cache_part, gather, places_of
from shiftscope.activations.store import Store
from shiftscope.activations.windows import NOWHERE, WindowsSlice, read_windows, write_windows
from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of

LAYERS = ["final_norm", "resid_post.0"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with windows of random words, and a tiny language model in place of every one that is loaded."""
    monkeypatch.chdir(tmp_path)
    lm = tmp_path / "lm"
    lm.mkdir()
    make_tokenizer().save_pretrained(lm)
    about = {"lm": "tiny", "untrained_of": None, "n_layers": 3, "source": {"kind": "folder"}, "files": {}}
    (lm / "manifest.json").write_text(json.dumps(about))
    words = np.random.default_rng(0).choice(WORDS, (400, 9))
    pq.write_table(pa.table({"text": [" ".join(row) for row in words]}), "documents.parquet")
    (tmp_path / "corpus.json").write_text(json.dumps({"corpus": "words", "sha256": "abc"}))
    asked = WindowsSlice(lm="tiny", dataset="text", train=40, test=10, window=16)
    names = ("documents.parquet", "corpus.json", "lm", "windows.arrow", "windows.json")
    write_windows(asked, *(tmp_path / name for name in names))
    model = make_model("llama")
    monkeypatch.setattr(every_token, "load", lambda *given: (model, None))
    return tmp_path


def asked(split="train", first=0, last=40, stored="float32", batch_tokens=64):
    return CacheSlice(lm="tiny", dataset="text", split=split, first=first, last=last, dtype="float32",
                      batch_tokens=batch_tokens, stored=stored, seed=0)  # fmt: skip


def cache(project, part, slice, shards=4, layers=LAYERS, folder="store"):
    root = project / folder
    files = [root / layer / part / f"shard_{number:04}.arrow" for layer in layers for number in range(shards)]
    places = places_of(layers, files, [root / layer / part / "manifest.json" for layer in layers])
    cache_part(slice, places, project / "windows.arrow", project / "windows.json", project / "lm", project / "state")


def whole(project, folder="store", **how):
    """The store of all windows at each layer, in two parts and one that is held out."""
    for part, split, first, last in (
        ("train_0000", "train", 0, 20),
        ("train_0001", "train", 20, 40),
        ("test_0000", "test", 0, 10),
    ):
        cache(project, part, asked(split, first, last, **how), folder=folder)
    stores = {}
    for layer in LAYERS:
        root = project / folder / layer
        parts = [root / part / "manifest.json" for part in ("train_0000", "train_0001", "test_0000")]
        gather("text", project / "windows.json", parts, project / "lm", root / "manifest.json")
        stores[layer] = Store(root / "manifest.json")
    return stores


def test_every_token_but_the_separators_has_the_activation_of_the_plain_way(project):
    model, windows = make_model("llama"), read_windows(project / "windows.arrow", 0, 50)
    with torch.inference_mode():
        ids = torch.tensor(windows.token.astype(np.int64))
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    expected = {"final_norm": states[-1].numpy(), "resid_post.0": states[1].numpy()}
    kept = windows.document != NOWHERE
    for layer, store in whole(project).items():
        of_split = {"train": slice(0, 40), "test": slice(40, 50)}
        for split, rows in of_split.items():
            chunks = list(store.chunks(split))
            found = {
                (document, position): (vector, token)
                for chunk in chunks
                for vector, document, position, token in zip(*chunk, strict=True)
            }
            assert store.rows(split) == kept[rows].sum() == len(found)
            for window, place in np.argwhere(kept[rows]):
                window += rows.start
                vector, token = found[windows.document[window, place], windows.position[window, place]]
                assert token == windows.token[window, place]
                difference = vector - expected[layer][window, place]
                assert np.linalg.norm(difference) < 1e-5 * np.linalg.norm(vector)


def test_vectors_of_a_shard_are_in_a_random_order(project):
    chunk = next(whole(project)["final_norm"].chunks("train"))
    assert (np.diff(chunk.document) < 0).any() and not (np.diff(chunk.document) == 0).all()
    same = [np.flatnonzero(chunk.document == document) for document in np.unique(chunk.document)]
    assert any((np.diff(chunk.position[rows]) < 0).any() for rows in same)


def test_layers_of_one_pass_are_those_of_reading_each_alone(project):
    whole(project)
    cache(project, "train_0000", asked(last=20), layers=["resid_post.0"], folder="alone")
    for number in range(4):
        file = f"resid_post.0/train_0000/shard_{number:04}.arrow"
        assert sha256_of(project / "store" / file) == sha256_of(project / "alone" / file)


def test_a_killed_job_goes_on_behind_its_last_whole_shard_to_the_same_bytes(project, monkeypatch):
    cache(project, "train_0000", asked(last=20), folder="at_once")
    read, calls = Reader.read, []

    def killed(self, some, first):
        calls.append(first)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, some, first)

    monkeypatch.setattr(Reader, "read", killed)
    with pytest.raises(KeyboardInterrupt):
        cache(project, "train_0000", asked(last=20))
    assert not (project / "store/final_norm/train_0000/manifest.json").exists()
    cache(project, "train_0000", asked(last=20))
    assert calls == [0, 5, 10, 10, 15], "the first two shards are not read again"
    for file in (project / "at_once").rglob("*.*"):
        if file.is_file():
            assert file.read_bytes() == (project / "store" / file.relative_to(project / "at_once")).read_bytes()
    assert not (project / "state").exists()


def test_results_do_not_depend_on_how_many_windows_are_read_at_a_time(project):
    one, other = whole(project), whole(project, "small", batch_tokens=16)
    for layer in LAYERS:
        for first, second in zip(one[layer].chunks("train"), other[layer].chunks("train"), strict=True):
            assert np.array_equal(first.document, second.document)
            assert np.allclose(first.activations, second.activations, rtol=1e-4, atol=1e-5)


def test_half_precision_halves_the_file_and_keeps_three_digits(project):
    exact, half = whole(project)["final_norm"], whole(project, "half", stored="float16")["final_norm"]
    one, other = next(exact.chunks()), next(half.chunks())
    assert np.allclose(one.activations, other.activations, rtol=1e-3, atol=1e-3)
    assert half.facts["stored"] == "float16"


def test_an_activation_that_is_not_finite_is_refused(project, monkeypatch):
    broken = make_model("llama")
    with torch.no_grad():
        broken.model.layers[0].mlp.down_proj.weight[0, 0] = torch.nan
    monkeypatch.setattr(every_token, "load", lambda *given: (broken, None))
    monkeypatch.setattr(every_token, "check_model", lambda *given: None)
    with pytest.raises(ShiftScopeError, match=r"at (final_norm|resid_post.0) of windows 0 to 3 of text is not finite"):
        cache(project, "train_0000", asked())


def test_a_window_beyond_the_context_is_refused(project, monkeypatch):
    short = make_model("llama")
    short.config.max_position_embeddings = 8
    monkeypatch.setattr(every_token, "load", lambda *given: (short, None))
    with pytest.raises(
        ShiftScopeError, match=r"a window of 16 tokens is longer than the LM reads \(8\): lower `window`"
    ):
        cache(project, "train_0000", asked())


def test_parts_of_other_windows_are_refused(project):
    whole(project)
    manifest = project / "store/final_norm/train_0001/manifest.json"
    manifest.write_text(manifest.read_text().replace('"windows_sha256": "', '"windows_sha256": "0'))
    parts = [project / f"store/final_norm/{part}/manifest.json" for part in ("train_0000", "train_0001")]
    with pytest.raises(ShiftScopeError, match=r"train_0001/manifest\.json is of other windows"):
        gather("text", project / "windows.json", parts, project / "lm", project / "store/final_norm/manifest.json")
