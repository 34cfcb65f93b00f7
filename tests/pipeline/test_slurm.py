"""Jobs on a real SLURM cluster, one by one and grouped: nested Snakemakes, hooks and ledger do what they do locally."""

import shutil
from pathlib import Path

import pytest
from helpers.clone import Project, new_project
from helpers.programs import lacking
from helpers.slurm import Cluster, missing

pytestmark = [pytest.mark.workflow, pytest.mark.program]
NODE = "synthetic/tiny/codes_3"
PART = "results/parts/synthetic/tiny.parquet"
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-status-command", "squeue",
           "--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "1")  # fmt: skip
JOBS = {f"train/{NODE}/{variant}/seeds_0-1" for variant in ("dictionary_learning", "ssae")} | {
    "evaluate/synthetic/tiny"
}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A SLURM cluster; without the programs the test is skipped, in CI it fails."""
    if missing():
        reason = f"there is no SLURM here: {', '.join(missing())} (Debian packages slurmctld slurmd slurm-client munge)"
        lacking(reason)
    with Cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="session")
def local(clone, once) -> tuple[Project, Project]:
    """A project that was run here, then changed so that three jobs are to be done, and one in which these were done here."""

    def make(folder: Path) -> None:
        project = new_project(clone, folder)
        project.executed(PART)
        project.change("config.yaml", "ssae: {steps: 60,", "ssae: {steps: 61,")
        project.change(
            "config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {grid: {steps: [20, 21]}}"
        )
        here = Project(shutil.copytree(project.folder, folder / "here"))
        assert here.executed(PART) == JOBS

    folder = once("local", make)
    return Project(folder / "first"), Project(folder / "here")


@pytest.mark.parametrize("groups", [(), ("--groups", "train=fit", "evaluate=fit", "--group-components", "fit=3")])
def test_three_jobs(cluster, local, tmp_path, groups):
    changed, here = local
    there = Project(shutil.copytree(changed.folder, tmp_path / "there"))
    there.environment = cluster.environment
    assert there.executed(PART, *PROFILE, *groups) == JOBS
    models = [path.relative_to(here.folder) for path in (here.folder / "results/models").rglob("*.safetensors")]
    for path in [*models, PART]:
        assert (there.folder / path).read_bytes() == (here.folder / path).read_bytes()
    ledgers = [(project.folder / "results/provenance.jsonl").read_text().count("\n") for project in (here, there)]
    assert ledgers[0] == ledgers[1]
    shutil.rmtree(there.folder / ".snakemake")
    assert there.executed(PART) == set()
