"""The user's loop with real git, DVC and Snakemake: run, track, push; elsewhere clone, pull, and nothing runs twice.

One project is run and shared once; every case takes a copy of it, remotes included. What was executed is told by the
scripts themselves.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import remotes, warm
from helpers.clone import Project, new_project
from helpers.programs import lacking
from helpers.sharing import AFTER_SELECTION, CHANGED, NODE, WEIGHTS, copy_of, listing, object_of

from shiftscope.files import sha256_of

pytestmark = pytest.mark.workflow
AFTER_CHANGE = {CHANGED} | AFTER_SELECTION


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every output that must be the same whoever made it, when and after how many interruptions."""
    results = folder / "results"
    kinds = (".safetensors", ".parquet", ".svg", ".csv", ".md")  # others tell times
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("*") if path.is_file()}
    made = {
        name: path for name, path in files.items() if path.suffix in kinds or name.startswith(("models/", "selection/"))
    }
    return {name: sha256_of(path) for name, path in made.items()}


# --- nothing changed, nothing runs


def test_a_clone_that_pulled_has_nothing_to_do(second):
    assert "Nothing to be done" in second.run("snakemake", "-n")
    assert second.executed() == set()
    assert second.git("status", "--short") == ""
    assert "DIFFERS" not in second.sharing("verify")


def touch_everything(project: Project) -> None:
    for path in project.folder.rglob("*"):
        if path.is_file() and not {".git", ".snakemake", ".dvc"} & set(path.parts):
            path.touch()


def test_touching_every_file_or_losing_snakemakes_records_makes_nothing_run(pair):
    first, second = pair  # the one that computed everything, and the one that only pulled
    touch_everything(second)
    assert second.executed() == set()
    shutil.rmtree(first.folder / ".snakemake")
    touch_everything(first)
    assert first.executed() == set()


def test_without_data_everything_can_be_computed(pair, tmp_path):
    first, _ = pair
    third = first.clone(first.folder.parent / "third")
    shutil.rmtree(first.folder.parent / "store")  # no remote can be reached
    for file in (third.folder / "results").glob("*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    said = third.run("snakemake", "--cores", "2")
    assert "dvc" not in said.lower()
    assert digests(third.folder) == digests(first.folder)


# --- one thing changed: exactly what depends on it runs, in a clone that made nothing itself


def test_one_parameter(second):
    second.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    said = second.sharing("why", "results/tables/table_a6.md")
    assert "config: variants[0].settings[0].steps: 20 → 21" in said
    assert "evaluate x 1, make_table x 1" in said
    assert second.executed() == AFTER_CHANGE
    assert second.executed() == set()
    assert "synthetic.tiny.dictionary_learning_3.mcc_truth" in second.dvc("metrics", "diff")
    assert "index.html" in second.dvc("plots", "show", "--out", "work/plots")
    assert "table_a6.csv" in (second.folder / "work/plots/index.html").read_text()
    second.change("config.yaml", "dictionary_learning: {steps: 21}", "dictionary_learning: {steps: 20}")
    assert second.executed() == AFTER_CHANGE


@pytest.mark.parametrize(
    ("file", "nodes", "age"),
    [
        ("scripts/make_table.py", {"make_table/table_a6", "make_report/all"}, "old"),
        ("src/shiftscope/variants/dictionary_learning.py", AFTER_CHANGE, "new"),
        ("src/shiftscope/metrics/udr.py", AFTER_SELECTION, "new"),
        ("src/shiftscope/report/templates/page.css", {"make_report/all"}, "old"),
    ],
)
def test_one_file(second, file, nodes, age):
    path = second.folder / file
    text = path.read_text()
    path.write_text(text + ("\n# a comment\n" if file.endswith(".py") else "\n"))
    if age == "old":  # as after `cp -p` or `mv`
        os.utime(path, (1e9, 1e9))
    assert f"{file} has changed" in second.sharing("why", "results/report/index.html")
    assert second.executed() == nodes


def test_bytes_that_are_not_those_recorded_are_made_again(second):
    path = second.folder / WEIGHTS
    stat, good = path.stat(), path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert f"{WEIGHTS}: DIFFERS" in second.sharing("verify", check=False)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # even with the clock turned back
    assert f"{WEIGHTS}: DIFFERS" in second.sharing("verify", check=False)
    assert "is not what was recorded" in second.sharing("why", "results/report/index.html")
    assert second.executed() == AFTER_CHANGE
    assert path.read_bytes() == good
    assert "DIFFERS" not in second.sharing("verify")


def test_a_file_from_elsewhere_is_made_again_but_comes_back_with_its_record(second):
    path = second.folder / WEIGHTS
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(b"from elsewhere")
    assert "Nothing to be done" not in second.run("snakemake", "-n")
    path.unlink()
    path.write_bytes(good)
    assert second.executed() == set()


def test_dvc_repro_works_from_a_plain_shell(second):
    """Nobody has activated an environment: the stages call what `make` installed."""
    environment = second.folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != "installed":
            (environment / part.name).symlink_to(part)
    (environment / "installed").touch()
    trace = second.folder / "trace"
    plain = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "SHIFTSCOPE_TRACE": str(trace),
    }
    done = subprocess.run(
        [environment / "bin/dvc", "repro", "--force", "models"],
        cwd=second.folder,
        env=plain,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "make run TARGET=models" in done.stdout and "Nothing to be done" in done.stdout + done.stderr
    assert not trace.exists()


# --- branches, merges, two clones


def test_a_change_of_branch_with_its_data_makes_nothing_run(second):
    second.git("switch", "--quiet", "--create", "other")
    second.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    assert second.executed() == AFTER_CHANGE
    second.sharing("track")
    second.git("commit", "--quiet", "--all", "-m", "21 steps")
    for branch in ("main", "other"):
        second.git("switch", "--quiet", branch)
        second.dvc("checkout", "--quiet")
        assert second.executed() == set()
    second.git("switch", "--quiet", "main")  # and without its data, what differs is seen
    assert second.executed() == AFTER_CHANGE


def test_two_clones_push_and_neither_trains_what_the_other_has(pair):
    first, second = pair
    second.change("config.yaml", '["0-1"]', '["0-1", "2"]')
    more = {
        f"{rule}/{NODE}/{variant}"
        for rule, variant in (("train", "ssae/seeds_2"), ("train", "dictionary_learning/seeds_2"))
    }
    assert second.executed() == more | AFTER_SELECTION
    second.share("one seed more")

    first.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    pca = {f"train/{NODE}/pca/seeds_0-1"}
    assert first.executed() == pca | AFTER_SELECTION
    first.sharing("track")
    first.git("commit", "--quiet", "--all", "-m", "one variant more")
    first.sharing("pull")
    assert first.executed() == AFTER_SELECTION  # rebuilt of both sides' models; nothing is trained again
    first.share("both")

    second.sharing("pull")
    assert second.executed() == set()
    assert digests(second.folder) == digests(first.folder)

    second.change("config.yaml", "tiny: {", "small: {n_varying: 3, max_changed: 2, d_model: 6, n_train: 200, "
                  "n_test: 100, n_single: 60, data_seeds: 1, variants: [mean_difference]}\n  tiny: {")  # fmt: skip
    nodes = second.executed()
    assert not {node for node in nodes if "tiny" in node}
    assert {node for node in nodes if "small" in node} == {
        f"{rule}/synthetic/small{rest}" for rule, rest in (("train", "/codes_3/mean_difference/seeds_0-1"), ("evaluate", ""))
    } | {"make_synthetic/small"}  # fmt: skip


def test_git_pulled_without_dvc(pair):
    first, second = pair
    first.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    first.executed()
    first.share("21 steps")
    second.git("pull", "--quiet")
    assert "DIFFERS" in second.sharing("verify", check=False)
    assert second.executed("--dry-run") == set()  # a look changes nothing
    assert "Nothing to be done" not in second.run("snakemake", "-n")
    second.dvc("pull", "--quiet")
    assert second.executed() == set()


def test_dvc_pulled_without_git(pair):
    first, second = pair
    first.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    first.executed()
    first.share("21 steps")
    second.dvc("pull", "--quiet")
    assert second.executed() == set()


# --- results that are links to DVC's cache


@pytest.fixture(params=["symlink", "reflink"])
def linked(request, shared, tmp_path, mount) -> tuple[Project, Project]:
    """The same pair, with another way from DVC's cache into the working tree."""
    if request.param == "reflink":
        make = shutil.which("mkfs.btrfs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if not make:
            lacking("there is no mkfs.btrfs here (Debian package btrfs-progs)")
        (tmp_path / "disk").mkdir()
        with (tmp_path / "image").open("wb") as image:
            image.truncate(300 * 2**20)
        subprocess.run([make, "-q", tmp_path / "image"], check=True)
        mount(tmp_path / "disk", "-o", "loop", str(tmp_path / "image"))
        pair = copy_of(shared, tmp_path / "disk/shared", "first", "second")
    else:
        pair = copy_of(shared, tmp_path / "shared", "first", "second")
    for project in pair:
        project.dvc("config", "--local", "cache.type", request.param)
        project.dvc("checkout", "--quiet", "--relink")
        assert (project.folder / WEIGHTS).is_symlink() == (request.param == "symlink")
    return pair


def test_with_links_to_the_cache(linked):
    first, second = linked
    assert second.executed() == set()
    shutil.rmtree(second.folder / ".snakemake")
    touch_everything(second)
    assert second.executed() == set()
    with (second.folder / "scripts/make_table.py").open("a") as script:
        script.write("# a comment\n")
    assert second.executed() == {"make_table/table_a6", "make_report/all"}
    second.share("a comment")
    first.sharing("pull")
    assert first.executed() == set()
    path = first.folder / f"results/models/{NODE}/mean_difference/seeds_0-1.safetensors"
    good = path.read_bytes()
    if path.is_symlink():
        path.unlink()  # else it would be the cache that is damaged
    path.write_bytes(b"damaged")
    assert first.executed() == {f"train/{NODE}/mean_difference/seeds_0-1"} | AFTER_SELECTION
    assert path.read_bytes() == good


# --- remotes far away


@pytest.mark.parametrize("kind", [pytest.param("ssh", marks=pytest.mark.program), "s3"])
def test_a_remote_far_away(pair, tmp_path, kind):
    if kind == "ssh" and not remotes.SSHD:
        lacking("there is no sshd here (Debian package openssh-server)")
    first, _ = pair
    with getattr(remotes, kind)(tmp_path) as (address, private):
        first.dvc("remote", "add", "--quiet", "--default", "far", address)
        own = "".join(f"    {key} = {value}\n" for key, value in private.items())
        keep = "['remote \"far\"']\n" + own  # as `dvc remote modify --local far KEY VALUE` writes it
        (first.folder / ".dvc/config.local").write_text(keep)
        first.dvc("push", "--quiet")
        first.git("commit", "--quiet", "--all", "-m", "the data lives elsewhere")
        first.git("push", "--quiet")
        shutil.rmtree(first.folder.parent / "store")
        third = first.clone(first.folder.parent / "third")
        (third.folder / ".dvc/config.local").write_text(keep)
        third.sharing("pull")
        assert third.executed() == set()
        assert digests(third.folder) == digests(first.folder)
        assert private.get("secret_access_key", "keyfile") not in third.git("grep", "-h", "=", "--", ".dvc")


# --- a part of the data


def test_what_one_table_needs_and_no_more(pair):
    first, _ = pair
    third = first.clone(first.folder.parent / "third")
    with (third.folder / "scripts/make_table.py").open("a") as script:  # the table itself is in git
        script.write("# a comment\n")
    third.sharing("pull", "table_a6")
    results = third.folder / "results"
    fetched = {path.relative_to(results).as_posix() for path in results.rglob("*/*") if path.is_file()}
    assert {path for path in fetched if not path.startswith("tables/")} == {"parts/synthetic/tiny.parquet"}
    assert third.executed("table_a6") == {"make_table/table_a6"}

    third.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    third.sharing("pull", "table_a6")
    pca = {f"train/{NODE}/pca/seeds_0-1"}
    assert third.executed("table_a6") == pca | {"evaluate/synthetic/tiny", "make_table/table_a6"}
    before = {path.stem: listing(third, path.stem) for path in results.glob("*.dvc") if path.stem != "metrics.parquet"}
    shutil.rmtree(results / f"models/{NODE}/ssae")  # even what was fetched and thrown away is not lost to others
    third.share("from a part")
    for name, files in before.items():
        assert files <= listing(third, name)
    assert f"{NODE}/pca/seeds_0-1.json" in listing(third, "models")
    first.git("pull", "--quiet")
    first.dvc("pull", "--quiet")
    assert (first.folder / f"results/models/{NODE}/pca/seeds_0-1.json").is_file()
    assert (first.folder / f"results/models/{NODE}/ssae/seeds_0-1.json").is_file()


def test_what_a_part_of_the_workflow_made_is_shared(clone, tmp_path):
    project = new_project(clone, tmp_path)
    weights = f"results/models/{NODE}/mean_difference/seeds_0-1.safetensors"
    made = {"make_synthetic/tiny", f"train/{NODE}/mean_difference/seeds_0-1"}
    assert project.executed(weights) == made
    project.share("one model")
    other = project.clone(tmp_path / "other")
    other.sharing("pull", weights)
    assert other.executed(weights) == set()
    assert (other.folder / weights).read_bytes() == (project.folder / weights).read_bytes()


# --- what goes wrong


def test_a_failed_job_leaves_what_was_made_recorded(second):
    second.change("config.yaml", "ssae: {steps: 60,", "ssae: {steps: 60, lr: 1.0e+30,")
    second.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    said = second.run("snakemake", "--cores", "2", check=False)
    assert "lower the variant's `lr`" in said
    ledger = (second.folder / "results/provenance.jsonl").read_text()
    assert f"results/models/{NODE}/pca/seeds_0-1.json" in ledger
    shutil.rmtree(second.folder / ".snakemake")
    second.change("config.yaml", "lr: 1.0e+30,", "")
    assert second.executed() == {f"train/{NODE}/ssae/seeds_0-1"} | AFTER_SELECTION


def test_a_corrupt_object_on_the_remote_is_found_and_made_again(pair):
    first, _ = pair
    bad = object_of(first, WEIGHTS)
    bad.chmod(0o644)
    bad.write_bytes(b"bad")
    third = first.clone(first.folder.parent / "third")
    said = third.sharing("pull", check=False)
    assert f"Not here: {WEIGHTS}" in said
    assert third.executed() == set()  # all that is made of it came
    assert third.executed(WEIGHTS) == {CHANGED}
    assert digests(third.folder) == digests(first.folder)
    bad.unlink()
    first.sharing("push")
    fourth = first.clone(first.folder.parent / "fourth")
    fourth.sharing("pull")
    assert digests(fourth.folder) == digests(first.folder)


def test_a_full_disk_during_pull(pair, mount):
    first, _ = pair
    third = first.clone(first.folder.parent / "third")
    cache = third.folder / ".dvc/cache"
    cache.mkdir()
    mount(cache, "-t", "tmpfs", "-o", "size=16k", "tmpfs")
    said = third.sharing("pull", check=False)
    assert "No space left on device" in said
    subprocess.run(["umount", cache], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", cache], check=True)
    third.sharing("pull")
    assert third.executed() == set()


def test_without_a_remote_pulling_says_what_to_do(clone, tmp_path):
    alone = new_project(clone, tmp_path)
    alone.dvc("remote", "remove", "store")
    said = alone.sharing("track", check=False)
    assert "run the workflow first" in said


def test_killed_at_any_moment_the_same_results_come_out(shared, clone, tmp_path):
    project = new_project(clone, tmp_path)
    moments = random.Random(0)
    for _ in range(20):
        warm.run(["snakemake", "--cores", "2"], project.folder, killed_after=moments.uniform(0.1, 2))
        shutil.rmtree(project.folder / ".snakemake/locks", ignore_errors=True)  # as `snakemake --unlock`
    project.run("snakemake", "--cores", "2")
    assert digests(project.folder) == digests(shared / "first")
    assert project.executed() == set()
    shutil.rmtree(project.folder / ".snakemake")
    assert project.executed() == set()
