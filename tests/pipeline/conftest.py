"""One project is run and shared once; every case takes a copy of it, remotes included."""

from pathlib import Path

import pytest
from helpers.clone import Project, new_project
from helpers.sharing import EVERYTHING, copy_of


@pytest.fixture(scope="session")
def shared(clone, once) -> Path:
    """A folder with a finished project that was shared (`first`), a second clone that pulled it, and both remotes."""

    def make(folder: Path) -> None:
        first = new_project(clone, folder)
        assert first.executed() == EVERYTHING
        first.share("results")
        second = first.clone(folder / "second")
        second.sharing("pull")

    return once("shared", make)


@pytest.fixture
def pair(shared, tmp_path) -> tuple[Project, Project]:
    """Copies of the project that was run, and of the clone that pulled it."""
    return copy_of(shared, tmp_path / "shared", "first", "second")


@pytest.fixture
def second(pair) -> Project:
    """A clone that pulled everything and computed nothing."""
    return pair[1]
