"""Several layers of several datasets from one job, and what one more layer makes stale."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.clone import snakemake
from helpers.tiny_lms import WORDS, save_lm

from shiftscope.files import read_json, sha256_of

CONFIG = """\
seeds: ["0"]
lms: {{tiny: {{source: folder, path: {lm}, layers: [{layers}]}}}}
pairs:
  own: &own {{kind: own, path: {pairs}, text_0: a, text_1: b, codes: [2]}}
  other: {{<<: *own, embedded_with: own}}
synthetic: {{}}
activations: {{}}
variants: {{pca: {{}}}}
tables: []
figures: []
"""


LATE = "  late: {<<: *own, embedded_with: own}\nsynthetic"


def run(folder: Path, layers: list[str], *arguments: str, pairs: str = "pairs.csv", change: tuple = ("", "")) -> str:
    """Train on the embeddings of all layers, or what `arguments` say; `change` replaces what stands in the config."""
    text = CONFIG.format(lm=folder / "source", pairs=folder / pairs, layers=", ".join(layers)).replace(*change)
    (folder / "layers.yaml").write_text(text)
    done = snakemake(folder, *arguments or models(layers), config=("--configfile", "layers.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def models(layers: list[str]) -> list[str]:
    return [
        f"results/models/{lm}/own/codes_2/pca/seeds_0.json" for lm in ["tiny", *(f"tiny@{name}" for name in layers[1:])]
    ]


@pytest.mark.workflow
def test_one_job_reads_all_layers_of_datasets_that_share_it_and_one_more_layer_makes_nothing_else_stale(
    clone, tmp_path
):
    """One test, for one run: read two layers and train on both, then add a third."""
    project = shutil.copytree(clone, tmp_path / "clone")
    save_lm(project / "source")
    rng = np.random.default_rng(0)
    with (project / "pairs.csv").open("w", newline="") as opened:
        rows = [[" ".join(rng.choice(WORDS, 4)) for _ in "ab"] for _ in range(60)]
        csv.writer(opened).writerows([["a", "b"], *rows])
    layers = ["final_norm", "resid_post.0"]
    run(project, layers)
    results = project / "results"
    assert [path.name for path in (results / "logs/embed_pairs").rglob("*.log")] == ["own.log"]
    for folder, layer in (("tiny", "final_norm"), ("tiny@resid_post.0", "resid_post.0")):
        for dataset in ("own", "other"):
            facts = read_json(results / f"embeddings/{folder}/{dataset}/manifest.json")
            assert (facts["lm"], facts["dataset"]) == ("tiny", dataset)
            assert (facts["layer"], facts["shape"]) == (layer, [1, 60, 32])
            assert facts["sha256"] == sha256_of(results / f"embeddings/{folder}/{dataset}/embeddings.safetensors")
        assert read_json(results / f"models/{folder}/own/codes_2/pca/seeds_0.json")["lm"] == "tiny"

    layers = [*layers, "resid_post.2"]
    rows = [line.split("\t") for line in run(project, layers, *models(layers), "--summary").splitlines()]
    plans = {row[0]: row[-1] for row in rows if row[0].startswith("results/")}
    stale = {path for path, plan in plans.items() if plan != "no update"}
    assert stale == {path for path in plans if "/tiny@resid_post.2/" in path}
    assert len(stale) == 6
    run(project, layers, "results/embeddings/tiny@resid_post.2/own/manifest.json")
    assert read_json(results / "embeddings/tiny@resid_post.2/own/manifest.json")["layer"] == "resid_post.2"
    # now that all three are recorded, one job would read them, and it has nothing to do
    done = run(project, layers, *models(layers[:2]), "--dry-run")
    assert "Nothing to be done" in done
    assert "embeddings of own, other by tiny" in run(
        project, layers, *models(layers[:2]), "--dry-run", change=("layers:", "dtype: float16, layers:")
    )
    # equal bytes elsewhere are the same pairs; others in the old place are not
    shutil.copy(project / "pairs.csv", project / "moved.csv")
    (project / "pairs.csv").unlink()
    assert "Nothing to be done" in run(project, layers, *models(layers[:2]), "--dry-run", pairs="moved.csv")
    with (project / "moved.csv").open("a") as opened:
        opened.write("one more,pair\n")
    assert "pairs of own" in run(project, layers, *models(layers[:2]), "--dry-run", pairs="moved.csv")
    # what joins those that share a job makes them anew, once
    late = "results/embeddings/tiny/late/manifest.json"
    for count in (1, 0):
        done = run(project, layers, late, pairs="moved.csv", change=("synthetic", LATE))
        assert done.count("embeddings of own, other, late by tiny") == count
    assert "Nothing to be done" in done
