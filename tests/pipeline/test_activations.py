"""From a folder of text to autoencoders of a language model's activations and cards of their latents: parts are jobs, and only
what is stale runs."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from helpers.clone import Project, new_project
from helpers.sharing import copy_of
from helpers.tiny_lms import WORDS, save_lm

from shiftscope.activations.store import Store
from shiftscope.evaluation.card_file import read_cards
from shiftscope.files import read_json, read_parquet, sha256_of

CONFIG = """\
seeds: ["0"]
corpora: {{words: {{kind: text, path: {text}}}}}
lms: {{tiny: {{source: folder, path: {lm}, layers: [final_norm, resid_post.0]}}}}
pairs: {{words27: {{kind: bat27}}}}
synthetic: {{}}
activations:
  words: {{lms: [tiny], window: 16, tokens: 3200, held_out: 480, tokens_per_part: 3200, tokens_per_shard: 800, codes: [48]}}
variants:
  topk: &small {{steps: 30, batch_size: 64, warmup: 5, lr: 0.01, grid: {{k: [2, 4]}}, checkpoints: [0]}}
  batch_topk: {{<<: *small, trained_with: topk}}
tables: []
figures: []
"""
SHARDS = [
    "windows.arrow", "test_0000/shard_0000.arrow",
    *(f"train_0000/shard_000{number}.arrow" for number in range(4)),
]  # fmt: skip
TARGETS = [
    "results/parts/tiny/words.parquet", "results/activations/tiny@resid_post.0/words/manifest.json",
    "results/report/latents.html",
]  # fmt: skip


def write_text(folder: Path) -> None:
    (folder / "text").mkdir()
    generator = np.random.default_rng(0)
    for number in range(300):
        words = generator.choice(WORDS, generator.integers(8, 40))
        (folder / "text" / f"{number:03}.txt").write_text(" ".join(words))


@pytest.fixture(scope="session")
def made(clone, once) -> Path:
    """A folder with a project (`first`) that has cached activations at two layers and trained on one of them."""

    def make(folder: Path) -> None:
        folder.mkdir()
        save_lm(folder / "source")
        write_text(folder)
        project = new_project(clone, folder)
        (project.folder / "config.yaml").write_text(CONFIG.format(text="../text", lm="../source"))
        project.run("snakemake", *TARGETS, "--cores", "2")

    return once("activations", make)


@pytest.fixture
def first(made, tmp_path) -> Project:
    """A copy of that project."""
    (project,) = copy_of(made, tmp_path / "made", "first")
    return project


@pytest.mark.workflow
def test_text_becomes_activations_and_autoencoders_and_only_what_is_lost_or_changed_is_made_again(first):
    root = first.folder / "results/activations/tiny/words"
    store = Store(root / "manifest.json")
    assert [len(store.facts["shards"][split]) for split in ("train", "test")] == [4, 1]
    assert store.rows() > 2800 and store.d == 32
    other = Store(first.folder / "results/activations/tiny@resid_post.0/words/manifest.json")
    assert other.facts["layer"] == "resid_post.0" and other.facts["windows_sha256"] == store.facts["windows_sha256"]
    tokens, others = (np.concatenate([chunk.token for chunk in one.chunks("train")]) for one in (store, other))
    assert np.array_equal(tokens, others)
    for shard in itertools.chain(*store.facts["shards"].values()):
        assert sha256_of(root / shard["file"]) == shard["sha256"]
    models = read_json(first.folder / "results/models/tiny/words/codes_48/topk/seeds_0.json")
    assert [(one["setting"], one["step"]) for one in models["replicas"]] == [(0, 0), (0, 30), (1, 0), (1, 30)]
    rows = read_parquet(first.folder / TARGETS[0]).to_pandas()
    errors = rows[rows["metric"] == "fvu"].groupby(["params", "control"])["value"].first().unstack()
    assert (errors[""] < errors["untrained_sae"]).all()
    assert {"mse", "active_latents", "dead_share"} <= set(rows["metric"])

    cards = read_cards(first.folder / "results/cards/tiny/words.json")
    assert [(one.variant, one.codes, one.seed, len(one.cards)) for one in cards.variants] == [
        ("topk", 48, 0, 27), ("batch_topk", 48, 0, 27)
    ]  # fmt: skip
    trained = [file.parts[-2] for file in (first.folder / "results/logs/train_streamed").rglob("*.log")]
    assert trained == ["topk"]  # in one job
    assert cards.looked_at == {split: store.rows(split) for split in ("test", "train")}
    assert any(card.contexts for card in cards.variants[0].cards)
    shown = {context.token.strip() for card in cards.variants[0].cards for context in card.contexts}
    assert shown <= set(WORDS)
    assert (first.folder / "results/report/latents.html").read_text().count('<article class="card"') == 54

    # a part is made again by itself, if anything needs it, to the same bytes
    lost = root / "train_0000/shard_0001.arrow"
    before = sha256_of(lost)
    lost.unlink()
    assert "Nothing to be done" in first.run("snakemake", *TARGETS, "--cores", "2", "--dry-run")
    said = first.run("snakemake", lost.relative_to(first.folder), "--cores", "2")
    assert "train_0000" in said and "test_0000" not in said
    assert sha256_of(lost) == before

    text = first.folder.parent / "text/000.txt"
    kept = text.read_text()
    text.write_text("king queen roi reine one word in the")
    said = first.run("snakemake", *TARGETS, "--cores", "2", "--dry-run")
    assert "windows of words for tiny" in said and "train topk" in said
    text.write_text(kept)


@pytest.mark.workflow
def test_a_colleague_fetches_what_a_target_needs_and_no_more(first):
    first.share("activations")
    second = first.clone(first.folder.parent / "second")
    said = second.sharing("pull", TARGETS[0])
    assert "0 jobs run" in said
    have = {str(file.relative_to(second.folder)) for file in (second.folder / "results").rglob("*.arrow")}
    assert have == {f"results/activations/tiny/words/{name}" for name in SHARDS}
    assert "Nothing to be done" in second.run("snakemake", TARGETS[0], "--cores", "2", "--dry-run")
