"""Fixtures that several test files use."""

import compileall
import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.clone import ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first, and before them those that mostly wait for a cluster: short ones then fill every process."""
    items.sort(key=lambda item: (item.path.name != "test_slurm.py", not item.get_closest_marker("workflow")))


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """`mount(folder, *options)` for the length of a test; the test is skipped where mounting is not permitted."""
    mounted: list[Path] = []

    def mount_at(folder: Path, *options: str) -> None:
        if not shutil.which("mount"):
            pytest.skip("there is no `mount` on this machine")
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount_at
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def once(tmp_path_factory, request) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once(name, make)`: a folder that the first of several test processes makes, while the others wait for it."""
    root = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # pytest-xdist gives each process a folder in a common one
        root = root.parent

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder, done = root / name, root / f"{name}.done"
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """The working tree as a clone would have it: all files but those that git ignores, compiled once for all copies of it."""
    folder = tmp_path_factory.mktemp("clone") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():  # git also lists what was deleted and not committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    compileall.compile_dir(folder / "src", quiet=2)
    return folder
