"""The whole workflow on the small config: what runs, what is left alone, and what a failure leaves behind.

One run in a clone of the working tree; every case takes a copy of that finished folder.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from helpers import warm
from helpers.clone import TEST_CONFIG, snakemake, summary

from shiftscope.files import read_json, sha256_of

pytestmark = pytest.mark.workflow
MODELS = "models/synthetic/tiny/codes_3"


def start(folder: Path, *command: object) -> subprocess.Popen:
    """Start a script of the workflow by hand."""
    return warm.start(["python", *map(str, command)], folder, warm.with_source(folder))


@pytest.fixture(scope="session")
def finished(clone, once) -> Path:
    """A clone in which the small config has been run."""

    def make(folder: Path) -> None:
        shutil.copytree(clone, folder)
        done = snakemake(folder)
        assert done.returncode == 0, done.stdout + done.stderr

    return once("finished", make)


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A copy of the finished folder, for one case to change."""
    return shutil.copytree(finished, tmp_path / "copy", symlinks=True)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def stale(folder: Path) -> set[str]:
    """The outputs that would be made again, without `results/`."""
    rows = [row for row in summary(folder) if row["plan"] != "no update"]
    return {row["output_file"].removeprefix("results/") for row in rows}


def trained(variant: str, block: str = "0-1") -> set[str]:
    return {f"{MODELS}/{variant}/seeds_{block}.safetensors", f"{MODELS}/{variant}/seeds_{block}.json"}


TABLE = {f"tables/table_a6.{kind}" for kind in ("parquet", "csv", "md")}
EVALUATION = {
    "selection/synthetic/tiny.json",
    "parts/synthetic/tiny.parquet",
    "metrics.parquet",
    "metrics.json",
    "report/index.html",
    "run.json",
} | TABLE


# --- what is stale


def test_a_second_look_finds_nothing_to_do(copy):
    assert stale(copy) == set()
    done = snakemake(copy, "--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_every_output_verifies_and_is_an_ordinary_file(finished):
    for manifest in (finished / "results").rglob("*.json"):
        facts = read_json(manifest)
        if "sha256" in facts:
            tensors = "embeddings.safetensors" if manifest.name == "manifest.json" else f"{manifest.stem}.safetensors"
            assert sha256_of(manifest.parent / tensors) == facts["sha256"]
    assert not [path for path in (finished / "results").rglob("*") if path.suffix == ".tmp" or path.is_symlink()]
    assert not list((finished / "work").rglob("*.safetensors"))  # no state is left of a training that ended


def test_every_job_has_a_log_and_a_benchmark(finished):
    names = {
        kind: {path.relative_to(finished / "results" / kind).with_suffix("") for path in
               (finished / "results" / kind).rglob(f"*.{suffix}")}
        for kind, suffix in (("logs", "log"), ("benchmarks", "tsv"))
    }  # fmt: skip
    assert names["logs"] == names["benchmarks"]
    assert len(names["logs"]) == 8


def test_touching_every_file_makes_nothing_stale(copy):
    files = [path for path in copy.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    # sources newest: by time alone, every output would be older than what it is made of
    files.sort(key=lambda path: "results" not in path.relative_to(copy).parts)
    now = time.time()
    for number, path in enumerate(files):
        os.utime(path, (now + number, now + number))
    assert stale(copy) == set()


@pytest.mark.parametrize(
    ("module", "nodes"),
    [
        ("variants/ssae.py", trained("ssae")),
        ("variants/_whitening.py", trained("ssae") | trained("dictionary_learning")),
    ],
)
def test_a_changed_module_makes_exactly_its_nodes_stale(copy, module, nodes):
    with (copy / "src/shiftscope" / module).open("a") as source:
        source.write("# changed\n")
    assert stale(copy) == nodes | EVALUATION


def test_a_changed_table_makes_the_table_stale_and_no_training(copy):
    with (copy / "src/shiftscope/tables/table_a6.py").open("a") as source:
        source.write("# changed\n")
    assert stale(copy) == TABLE | {"report/index.html", "run.json"}


def test_the_config_schema_makes_nothing_stale(copy):
    for name in ("config/read", "config/check", "config/sections", "config/study", "workflow/digests"):
        with (copy / f"src/shiftscope/{name}.py").open("a") as source:
            source.write("# changed\n")
    with (copy / "config/test.yaml").open("a") as config:
        config.write("# changed\n")
    assert stale(copy) == set()


def test_a_changed_parameter_makes_exactly_its_variant_stale(copy):
    change(copy / "config/test.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    assert stale(copy) == trained("dictionary_learning") | EVALUATION


def test_one_more_block_of_seeds_trains_only_that_block(copy):
    change(copy / "config/test.yaml", 'seeds: ["0-1"]', 'seeds: ["0-1", "2"]')
    blocks = trained("ssae", "2") | trained("dictionary_learning", "2")  # no seed enters mean_difference
    assert stale(copy) == blocks | EVALUATION


def test_a_new_variant_is_one_file_and_one_line_and_makes_no_other_stale(copy):
    shutil.copy(copy / "src/shiftscope/variants/affine.py", copy / "src/shiftscope/variants/mine.py")
    change(copy / "config/test.yaml", "mean_difference: {}", "mean_difference: {}\n  mine: {steps: 60}")
    assert stale(copy) == trained("mine") | EVALUATION


def test_variants_that_share_a_job_are_trained_as_if_alone(copy):
    before = sha256_of(copy / "results" / MODELS / "mean_difference/seeds_0-1.safetensors")
    beside = "mean_difference: {}\n  pca: {trained_with: mean_difference}\n  affine: {trained_with: ssae, steps: 60}"
    change(copy / "config/test.yaml", "mean_difference: {}", beside)
    fitted = trained("mean_difference") | trained("pca")
    assert stale(copy) == fitted | trained("ssae") | trained("affine") | EVALUATION
    found = [row for row in jobs(copy) if any(MODELS in output for output in row["outputs"])]
    assert {row["rule"]: len(row["outputs"]) for row in found} == {
        "train": 2, "train_mean_difference_pca": 4, "train_ssae_affine": 4
    }  # fmt: skip
    done = snakemake(copy, f"results/{MODELS}/pca/seeds_0-1.json", f"results/{MODELS}/affine/seeds_0-1.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sha256_of(copy / "results" / MODELS / "mean_difference/seeds_0-1.safetensors") == before
    assert stale(copy) == EVALUATION
    # where one of them is not wanted, the others are trained without it, by the rule for any variant
    change(copy / "config/test.yaml", "data_seeds: 1}", "data_seeds: 1, codes: {3: all, 4: [ssae]}}")
    [alone] = [row for row in jobs(copy) if any("codes_4" in output for output in row["outputs"])]
    assert (alone["rule"], len(alone["outputs"])) == ("train", 2)
    # an edit of one of them is none of the other jobs' business
    with (copy / "src/shiftscope/variants/pca.py").open("a") as source:
        source.write("# changed\n")
    assert stale(copy) & trained("ssae") == set()
    assert stale(copy) >= fitted


def test_what_lies_there_of_an_earlier_run_is_no_result_of_this_one(copy):
    """Where a branch cannot be built, Snakemake takes what is there for the user's own, and ends well."""
    change(copy / "rules/synthetic.smk", "        dataset=one_of(STUDY.synthetic),", '        dataset="nothing",')
    with (copy / "src/shiftscope/tables/table_a6.py").open("a") as source:
        source.write("# changed\n")
    done = snakemake(copy)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "no rule makes results/embeddings/synthetic/tiny/" in said and "of an earlier run" in said


# --- what a job is


def test_fitting_in_closed_form_loads_no_torch(copy):
    command = next(row for row in jobs(copy) if row["rule"] == "train" and "mean_difference" in row["outputs"][0])
    process = start(
        copy, "-X", "importtime", "scripts/train.py", "--embeddings", command["inputs"][0][0], "--manifest", command["inputs"][1][0],
        "--weights", copy / "w.safetensors", "--sidecars", copy / "w.json", "--params", command["params"],
    )  # fmt: skip
    _, imported = process.communicate()
    assert process.returncode == 0, imported
    assert sha256_of(copy / "w.safetensors") == sha256_of(copy / command["outputs"][0])
    assert re.search(r"\| +numpy$", imported, re.MULTILINE)
    assert not re.search(r"\| +(torch|cooper|transformers)$", imported, re.MULTILINE)


JOBS = """
import json
from snakemake import cli, dag
from snakemake.io import is_flagged

async def show(self, detailed=False):
    for job in self.jobs:
        yield "JOB " + json.dumps({
            "rule": job.rule.name,
            "inputs": [[str(file), is_flagged(file, "ancient")] for file in job.input],
            "outputs": [str(file) for file in job.output],
            "params": str(job.params.get("slice", "")),
        })

dag.DAG.summary = show
cli.main()
"""


def jobs(folder: Path, config: tuple[str, ...] = TEST_CONFIG) -> list[dict]:
    """Every job of the DAG with its inputs and whether they are `ancient`, which Snakemake prints nowhere."""
    done = warm.run(["python", "-c", JOBS, "--summary", *config], folder)
    found = [json.loads(line.removeprefix("JOB ")) for line in done.stdout.splitlines() if line.startswith("JOB ")]
    assert found, done.stdout + done.stderr
    return found


def test_inputs_that_are_compared_by_content_are_small(copy):
    """Above 1 MB Snakemake compares no content but only times, and a touch would rerun what follows."""
    files = {file for job in jobs(copy) if job["rule"] != "all" for file, ancient in job["inputs"] if not ancient}
    assert len(files) > 30
    assert {file for file in files if (copy / file).stat().st_size > 1_000_000} == set()


def test_inputs_that_grow_with_the_data_are_not_compared_by_content(clone):
    """The same for the default config, whose files are not there: what holds a row per pair or weights is ancient."""
    compared = {file for job in jobs(clone, config=()) for file, ancient in job["inputs"] if not ancient}
    large = re.compile(r"(embeddings|model|seeds_[\d-]+)\.safetensors|results/pairs/.*\.parquet")
    assert {file for file in compared if large.search(file)} == set()
    assert {Path(file).name for file in compared} >= {"manifest.json", "seeds_0-4.json", "ssae.py"}


# --- what a failure says and leaves


def test_a_wrong_config_is_one_error_before_anything_runs(copy):
    done = snakemake(copy, "--dry-run", "--config", "sed=[3]")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "sed: this key is unknown: allowed are activations, behaviour, corpora," in said
    assert "did you mean 'seeds'?" in said
    assert "Traceback" not in said


def test_own_pairs_that_are_not_there_are_named(copy):
    change(copy / "config/own_pairs.yaml", "data/examples/formality.csv", "nowhere.csv")
    done = snakemake(copy, "--dry-run", config=("--configfile", "config/own_pairs.yaml"))
    assert done.returncode == 1
    expected = "pairs.my_pairs.path: cannot read nowhere.csv (No such file or directory): name a file that is there"
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failed_job_is_named_with_its_cause_and_the_others_finish(copy):
    """`affine` diverges, a made-up variant is killed as if memory had run out, `ssae` is to be trained anew."""
    change(copy / "config/test.yaml", "ssae: {steps: 60,", "ssae: {steps: 61,")
    diverging = "mean_difference: {}\n  affine: {steps: 60, lr: 1.0e+30}\n  killed: {}"
    change(copy / "config/test.yaml", "mean_difference: {}", diverging)
    source = (copy / "src/shiftscope/variants/pca.py").read_text()
    source = source.replace("        import numpy as np\n\n", "        import os\n\n        os.kill(os.getpid(), 9)\n")
    assert "os.kill" in source
    (copy / "src/shiftscope/variants/killed.py").write_text(source)

    before = {path: sha256_of(path) for path in (copy / "results/models").rglob("mean_difference/*")}
    done = snakemake(copy)
    assert done.returncode != 0
    said = (done.stdout + done.stderr).splitlines()
    start = said.index("What failed:")
    logs = "results/logs/train/synthetic/tiny/codes_3"
    assert sorted(said[start + 1 : start + 3]) == [
        f"{logs}/affine/seeds_0-1.log: training of setting 0, data seed 0, seed 0 diverged "
        "(NaN or infinity in its weights): lower the variant's `lr`",
        f"{logs}/killed/seeds_0-1.log: no message; unless there is one above, it was killed (out of memory?)",
    ]
    assert not said[start + 3].startswith("results/")
    assert sum(line.startswith("train: training of setting 0") for line in said) == 1

    killed_outputs = trained("killed")
    assert stale(copy) == trained("affine") | killed_outputs | EVALUATION
    assert read_json(copy / "results" / MODELS / "ssae/seeds_0-1.json")["settings"][0]["steps"] == 61
    assert before == {path: sha256_of(path) for path in before}


def test_a_read_only_results_folder_is_named(copy, mount):
    change(copy / "config/test.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    mount(copy / "results", "--bind", str(copy / "results"))
    subprocess.run(["mount", "-o", "remount,ro,bind", str(copy / "results")], check=True)
    done = snakemake(copy)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "Write-protected output files" in said
    assert "results/" in said
    assert "Traceback" not in said


def test_an_empty_read_only_results_folder_is_named(clone, tmp_path, mount):
    folder = shutil.copytree(clone, tmp_path / "copy")
    (folder / "results").mkdir(exist_ok=True)
    mount(folder / "results", "-t", "tmpfs", "-o", "ro", "tmpfs")
    done = snakemake(folder)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "Read-only file system: 'results/" in said
    assert "Traceback" not in said


def test_a_full_disk_is_named_and_what_was_written_before_verifies(clone, tmp_path, mount):
    folder = shutil.copytree(clone, tmp_path / "copy")
    (folder / "results").mkdir(exist_ok=True)
    change(folder / "config/test.yaml", 'seeds: ["0-1"]', 'seeds: ["0-19"]')
    change(folder / "config/test.yaml", "d_model: 6", "d_model: 40")
    # embeddings take 164, what belongs to them 12, and the 40 replicas of ssae alone 40 more
    mount(folder / "results", "-t", "tmpfs", "-o", "size=208k", "tmpfs")
    done = snakemake(folder)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert re.search(
        r"^\w+: the disk is full while writing results/\S+: free some space on .* and run again", said, re.MULTILINE
    )
    assert "Logging error" not in said
    manifests = [path for path in (folder / "results").rglob("*.json") if "sha256" in read_json(path)]
    assert manifests
    for manifest in manifests:
        tensors = "embeddings.safetensors" if manifest.name == "manifest.json" else f"{manifest.stem}.safetensors"
        assert sha256_of(manifest.parent / tensors) == read_json(manifest)["sha256"]
    assert not list((folder / "results").rglob("*.tmp"))


@pytest.mark.parametrize(("variant", "steps"), [("ssae", 600), ("ssae_paper", 400)])
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(copy, variant, steps):
    data = copy / "results/embeddings/synthetic/tiny"
    params = {"lm": "synthetic", "dataset": "tiny", "codes": 3, "seeds": [0, 1],
              "variants": [{"variant": variant, "kind": variant, "settings": [{"steps": steps}]}]}  # fmt: skip

    def training(name: str) -> list[str]:
        common = ["--embeddings", data / "embeddings.safetensors", "--manifest", data / "manifest.json",
                  "--weights", copy / f"{name}.safetensors", "--sidecars", copy / f"{name}.json",
                  "--params", json.dumps(params), "--log", copy / f"{name}.log"]  # fmt: skip
        return ["scripts/train.py", *map(str, common)]

    def finish(name: str) -> subprocess.CompletedProcess:
        return warm.run(["python", *training(name)], copy, warm.with_source(copy))

    whole = finish("whole")
    assert whole.returncode == 0, whole.stderr
    state = copy / "work/state"
    assert list(state.glob("*")) == []

    killed = start(copy, *training("killed"), "--checkpoint-seconds", 0)
    while killed.poll() is None and not list(state.rglob("batch_0.safetensors")):
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert not (copy / "killed.safetensors").exists()

    again = finish("killed")
    assert again.returncode == 0, again.stderr
    step = re.search(rf"resumed 2 replicas at step (\d+) of {steps}", (copy / "killed.log").read_text())
    assert 0 < int(step[1]) < steps
    assert sha256_of(copy / "killed.safetensors") == sha256_of(copy / "whole.safetensors")
    assert read_json(copy / "killed.json") == read_json(copy / "whole.json")
    assert list(state.glob("*")) == []
