"""From a folder of text to autoencoders of a language model's activations: parts are jobs, and only what is stale runs."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.clone import snakemake
from helpers.tiny_lms import WORDS, save_lm

from shiftscope.activations.store import Store
from shiftscope.files import read_json, read_parquet, sha256_of

CONFIG = """\
seeds: ["0"]
corpora: {{words: {{kind: text, path: {text}}}}}
lms: {{tiny: {{source: folder, path: {lm}, layers: [final_norm, resid_post.0]}}}}
pairs: {{}}
synthetic: {{}}
activations:
  words: {{lms: [tiny], window: 16, tokens: 3200, held_out: 480, tokens_per_part: 1600, tokens_per_shard: 800, codes: [48]}}
variants: {{topk: {{steps: 30, batch_size: 64, warmup: 5, lr: 0.01, grid: {{k: [2, 4]}}, checkpoints: [0]}}}}
tables: []
figures: []
"""
TARGETS = ["results/parts/tiny/words.parquet", "results/activations/tiny@resid_post.0/words/manifest.json"]


def run(folder: Path, *arguments: str) -> str:
    (folder / "text.yaml").write_text(CONFIG.format(text=folder / "text", lm=folder / "source"))
    done = snakemake(folder, *TARGETS, *arguments, config=("--configfile", "text.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write_text(folder: Path) -> None:
    (folder / "text").mkdir()
    generator = np.random.default_rng(0)
    for number in range(300):
        words = generator.choice(WORDS, generator.integers(8, 40))
        (folder / "text" / f"{number:03}.txt").write_text(" ".join(words))


@pytest.mark.workflow
def test_text_becomes_activations_and_autoencoders_and_only_what_is_lost_or_changed_is_made_again(clone, tmp_path):
    """One test, for one project."""
    project = shutil.copytree(clone, tmp_path / "clone")
    save_lm(project / "source")
    write_text(project)
    run(project)
    root = project / "results/activations/tiny/words"
    store = Store(root / "manifest.json")
    assert [len(store.facts["shards"][split]) for split in ("train", "test")] == [4, 1]
    assert store.rows() > 2800 and store.d == 32
    other = Store(project / "results/activations/tiny@resid_post.0/words/manifest.json")
    assert other.facts["layer"] == "resid_post.0" and other.facts["windows_sha256"] == store.facts["windows_sha256"]
    first, second = (np.concatenate([chunk.token for chunk in one.chunks("train")]) for one in (store, other))
    assert np.array_equal(first, second)
    for shard in itertools.chain(*store.facts["shards"].values()):
        assert sha256_of(root / shard["file"]) == shard["sha256"]
    models = read_json(project / "results/models/tiny/words/codes_48/topk/seeds_0.json")
    assert [(one["setting"], one["step"]) for one in models["replicas"]] == [(0, 0), (0, 30), (1, 0), (1, 30)]
    rows = read_parquet(project / TARGETS[0]).to_pandas()
    errors = rows[rows["metric"] == "fvu"].groupby(["params", "control"])["value"].first().unstack()
    assert (errors[""] < errors["untrained_sae"]).all()
    assert {"mse", "active_latents", "dead_share"} <= set(rows["metric"])
    assert "Nothing to be done" in run(project, "--dry-run")

    lost = root / "train_0001/shard_0000.arrow"  # a part is made again by itself, if anything needs it, to the same bytes
    before = sha256_of(lost)
    lost.unlink()
    assert "Nothing to be done" in run(project, "--dry-run")
    said = run(project, str(lost.relative_to(project)))
    assert "train_0001" in said and "train_0000" not in said
    assert sha256_of(lost) == before

    (project / "text/000.txt").write_text("king queen roi reine one word in the")
    said = run(project, "--dry-run")
    assert "windows of words for tiny" in said and "train topk" in said
