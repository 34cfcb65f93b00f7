"""A project that was run and shared once, and what of it lies on the remote."""

import json
import shutil
from pathlib import Path

import yaml
from helpers.clone import Project

NODE = "synthetic/tiny/codes_3"
WEIGHTS = f"results/models/{NODE}/dictionary_learning/seeds_0-1.safetensors"
AFTER_SELECTION = {"evaluate/synthetic/tiny", "collect_metrics/all", "make_table/table_a6", "make_report/all"}
CHANGED = f"train/{NODE}/dictionary_learning/seeds_0-1"
"""what most cases change: it needs no torch, whose import takes longer than all else"""
MODELS = {f"train/{NODE}/ssae/seeds_0-1", CHANGED, f"train/{NODE}/mean_difference/seeds_0-1"}
EVERYTHING = {"make_synthetic/tiny"} | MODELS | AFTER_SELECTION


def copy_of(shared: Path, folder: Path, *names: str) -> tuple[Project, ...]:
    """Copies of the projects of these names in a folder, with the remotes beside them."""
    shutil.copytree(shared, folder, symlinks=True)
    projects = tuple(Project(folder / name) for name in names)
    for project in projects:
        project.git("remote", "set-url", "origin", "../origin.git")
    return projects


def list_of(project: Project, name: str) -> Path:
    """The remote's list of the directory that a `.dvc` file stands for."""
    out = yaml.safe_load((project.folder / f"results/{name}.dvc").read_text())["outs"][0]["md5"]
    return project.folder.parent / "store/files/md5" / out[:2] / out[2:]


def listing(project: Project, name: str) -> set[str]:
    """The files that a directory's `.dvc` file stands for, as the remote has them."""
    return {row["relpath"] for row in json.loads(list_of(project, name).read_text())}


def objects(project: Project) -> list[Path]:
    return sorted(path for path in (project.folder.parent / "store").rglob("*") if path.is_file())


def object_of(project: Project, file: str) -> Path:
    [found] = [path for path in objects(project) if path.read_bytes() == (project.folder / file).read_bytes()]
    return found
