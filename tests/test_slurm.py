"""Jobs on a real SLURM cluster, one by one and grouped: nested Snakemakes, hooks and ledger do what they do locally."""

import shutil

import pytest
from clone import Project, new_project
from programs import lacking
from slurm import Cluster, missing

pytestmark = [pytest.mark.workflow, pytest.mark.program]
NODE = "synthetic/tiny/codes_3"
PART = "results/parts/synthetic/tiny.parquet"
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-status-command", "squeue",
           "--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "1")  # fmt: skip
FIVE = {f"{rule}/{NODE}/{variant}" for rule, variant in (
    ("train", "dictionary_learning/seeds_0-1"), ("train", "ssae/seeds_0-1"),
    ("select_setting", "dictionary_learning"), ("select_setting", "ssae"),
)} | {"evaluate/synthetic/tiny"}  # fmt: skip


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A SLURM cluster; without the programs the test is skipped, in CI it fails."""
    if missing():
        reason = f"there is no SLURM here: {', '.join(missing())} (Debian packages slurmctld slurmd slurm-client munge)"
        lacking(reason)
    with Cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="session")
def local(clone, tmp_path_factory) -> Project:
    """A project that was run here, then changed so that five jobs are to be done."""
    project = new_project(clone, tmp_path_factory.mktemp("local"))
    project.executed(PART)
    project.change("config.yaml", "ssae: {steps: 60,", "ssae: {steps: 61,")
    project.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {grid: {steps: [20, 21]}}")
    return project


@pytest.mark.parametrize("groups", [(), ("--groups", "train=fit", "select_setting=fit", "--group-components", "fit=2")])
def test_five_jobs(cluster, local, tmp_path, groups):
    here, there = (Project(shutil.copytree(local.folder, tmp_path / name)) for name in ("here", "there"))
    assert here.executed(PART) == FIVE
    there.environment = cluster.environment
    assert there.executed(PART, *PROFILE, *groups) == FIVE
    models = [path.relative_to(here.folder) for path in (here.folder / "results/models").rglob("*.safetensors")]
    for path in [*models, PART]:
        assert (there.folder / path).read_bytes() == (here.folder / path).read_bytes()
    ledgers = [(project.folder / "results/provenance.jsonl").read_text().count("\n") for project in (here, there)]
    assert ledgers[0] == ledgers[1]
    shutil.rmtree(there.folder / ".snakemake")
    assert there.executed(PART) == set()
