"""The activation of every token: what the plain way reads, whatever the shards, resumed where it was killed."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.stores import save_known_lm, save_words
from helpers.tiny_lms import make_model

from shiftscope import files
from shiftscope.activations import every_token, store
from shiftscope.activations.every_token import CacheSlice, GatherSlice, Reader, cache_part, gather, places_of
from shiftscope.activations.store import Store
from shiftscope.activations.windows import NOWHERE, WindowsSlice, read_windows, write_windows
from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of

LAYERS = ["final_norm", "resid_post.0"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with windows of random words, and a tiny language model in place of every one that is loaded."""
    monkeypatch.chdir(tmp_path)
    save_known_lm(tmp_path / "lm")
    save_words(tmp_path)
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
        place = GatherSlice(lm="tiny", layer=layer, dataset="text")
        gather(place, project / "windows.json", parts, project / "lm", root / "manifest.json")
        stores[layer] = Store(root / "manifest.json")
    return stores


def test_every_token_but_the_separators_has_the_activation_of_the_plain_way(project):
    model, windows = make_model("llama"), read_windows(project / "windows.arrow", 0, 50)
    with torch.inference_mode():
        ids = torch.tensor(windows.token.astype(np.int64))
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    expected = {"final_norm": states[-1].numpy(), "resid_post.0": states[1].numpy()}
    kept = windows.document != NOWHERE
    for layer, cached in whole(project).items():
        of_split = {"train": slice(0, 40), "test": slice(40, 50)}
        for split, rows in of_split.items():
            chunks = list(cached.chunks(split))
            found = {
                (document, position): (vector, token)
                for chunk in chunks
                for vector, document, position, token in zip(*chunk, strict=True)
            }
            assert cached.rows(split) == kept[rows].sum() == len(found)
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


# --- what does not belong together


def parts_of(project, layer="final_norm"):
    return [project / f"store/{layer}/{part}/manifest.json" for part in ("train_0000", "train_0001", "test_0000")]


def gathered(project, parts):
    place = GatherSlice(lm="tiny", layer="final_norm", dataset="text")
    gather(place, project / "windows.json", parts, project / "lm", project / "store/final_norm/manifest.json")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "windows_sha256",
            "0",
            r"train_0001/manifest\.json is of other windows: it was copied from another store; delete",
        ),
        ("lm", "twin", "of another language model 'twin' instead of 'tiny'"),
        ("lm_files", {}, "of other files of the language model"),
        ("stored", "float16", "of another type 'float16' instead of 'float32'"),
        ("d_model", 64, "of another width 64 instead of 32"),
    ],
)
def test_a_part_of_another_store_is_refused(project, key, value, said):
    whole(project)
    manifest = parts_of(project)[1]
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {key: value}))
    with pytest.raises(ShiftScopeError, match=said):
        gathered(project, parts_of(project))


def test_parts_that_are_all_of_another_layer_are_refused(project):
    whole(project)
    for part in ("train_0000", "train_0001", "test_0000"):
        shutil.rmtree(project / "store/final_norm" / part)
        shutil.copytree(project / "store/resid_post.0" / part, project / "store/final_norm" / part)
    with pytest.raises(ShiftScopeError, match=r"another layer 'resid_post.0' instead of 'final_norm'"):
        gathered(project, parts_of(project))


def test_windows_of_another_language_model_are_refused(project):
    manifest = project / "windows.json"
    known = manifest.read_text()
    for changes, said in (
        ({"lm": "other"}, "windows.json is of another language model 'other' instead of 'tiny'"),
        ({"lm_files": {"tokenizer.json": "0"}}, "windows.json is of other files of the language model"),
    ):
        manifest.write_text(json.dumps(json.loads(known) | changes))
        with pytest.raises(ShiftScopeError, match=said):
            cache(project, "train_0000", asked())


def test_damaged_windows_are_refused(project):
    windows = project / "windows.arrow"
    content = bytearray(windows.read_bytes())
    content[len(content) // 2] ^= 1
    windows.write_bytes(content)
    with pytest.raises(
        ShiftScopeError, match=r"windows\.arrow has sha256 .* it is damaged, or of another store; delete"
    ):
        cache(project, "train_0000", asked())


def test_a_token_without_an_embedding_is_refused(project, monkeypatch):
    small = make_model("llama")
    small.resize_token_embeddings(10)
    monkeypatch.setattr(every_token, "load", lambda *given: (small, None))
    with pytest.raises(ShiftScopeError, match=r"the text has token \d\d, and the LM has embeddings for 10 tokens"):
        cache(project, "train_0000", asked())


# --- a full disk


def test_too_little_room_is_said_before_anything_is_read(project, monkeypatch):
    monkeypatch.setattr(every_token, "load", None)
    monkeypatch.setattr(every_token, "disk_of", lambda path: (Path("/data"), 50_000))
    said = r"^train windows 0 to 40 of text take 163.8 kB, and /data has 50.0 kB left: free some space \(.*read fewer `tokens`"
    with pytest.raises(ShiftScopeError, match=said):
        cache(project, "train_0000", asked())
    assert not (project / "store").exists()


def test_a_disk_that_fills_up_is_named_and_a_rerun_goes_on_behind_the_last_whole_shard(project, monkeypatch):
    cache(project, "train_0000", asked(last=20), folder="at_once")
    write, read, calls, shards = store.write_arrow, Reader.read, [], []

    def full(path, columns):
        shards.append(path)
        if len(shards) == 4:
            with files.atomic(path) as temporary:
                temporary.write_bytes(b"half")
                raise OSError(errno.ENOSPC, "No space left on device")
        write(path, columns)

    monkeypatch.setattr(Reader, "read", lambda self, some, first: calls.append(first) or read(self, some, first))
    monkeypatch.setattr(store, "write_arrow", full)
    said = r"^the disk is full while writing .*state/final_norm_000001\.arrow: free some space on /.* and run again"
    with pytest.raises(ShiftScopeError, match=said):
        cache(project, "train_0000", asked(last=20))
    assert {file.name for file in (project / "state").glob("*.*")} == {
        "final_norm_000000.arrow", "resid_post.0_000000.arrow", "resid_post.0_000001.arrow",
    }  # fmt: skip
    assert not (project / "store").exists()
    cache(project, "train_0000", asked(last=20))
    assert calls == [0, 5, 5, 10, 15], "the first shard is not read again"
    for file in (project / "at_once").rglob("*.*"):
        if file.is_file():
            assert file.read_bytes() == (project / "store" / file.relative_to(project / "at_once")).read_bytes()


def test_shards_are_taken_to_another_disk_whole(project, monkeypatch):
    cache(project, "train_0000", asked(last=20), folder="at_once")
    replace = Path.replace

    def across(self, target):
        if self.parent.name == "state" and Path(target).parent.name != "state":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    cache(project, "train_0000", asked(last=20))
    for file in (project / "at_once").rglob("*.arrow"):
        assert file.read_bytes() == (project / "store" / file.relative_to(project / "at_once")).read_bytes()
    assert not (project / "state").exists()
