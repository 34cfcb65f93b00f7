"""`make track`: give DVC and git what was made since the last time, small files to git, all others to DVC.

    directories that only grow      one `.dvc` file each; DVC's merge driver joins what two clones added
    directories that are rebuilt    one `.dvc` file each; a merge keeps ours, and what differs is stale and made again
    tables, figures, metrics        in git, kept ours on a merge and made again likewise

A clone may hold a part of a tracked directory. So files are added to a directory one by one: `dvc add DIRECTORY` would
shrink its listing to what happens to be here.
"""

from collections.abc import Iterable
from pathlib import Path

from shiftscope.errors import ShiftScopeError
from shiftscope.files import write_text
from shiftscope.workflow import provenance
from shiftscope.workflow.paths import GROWING, IN_GIT, LEDGER, LEFT_OUT, LMS, MEANS, METRICS, REBUILT, RESULTS
from shiftscope.workflow.repository import (
    changed,
    dvc,
    git,
    pointers,
    refuse_beside_a_run,
    repository,
    setup,
    uncommitted,
)

TRACKED = tuple(RESULTS / name for name in (*GROWING, *REBUILT, Path(METRICS).name))
"""what DVC tracks, a `.dvc` file each"""


def track(lost: str | None = None) -> None:
    """Track what is new or changed, but for files whose bytes are not those that anything recorded wrote.

    `lost` is a directory whose list nobody has any more: it is tracked anew, as it lies here.

    Raises:
        ShiftScopeError: there is nothing yet, or Snakemake is at work here.
    """
    refuse_beside_a_run("track")
    setup()
    provenance.record()
    if not LEDGER.exists():
        raise ShiftScopeError("there is nothing to track: run the workflow first (`make run`)")
    leave_out_links()
    status = uncommitted(but=lost)
    made, replaced = changed(status), set(status.get("modified", ()))
    odd = set(unrecorded(made))
    new = []
    for path in (one for one in TRACKED if one.exists()):
        whole = str(path) == lost or not Path(f"{path}.dvc").exists()
        files = [str(path)] if whole else [file for file in made if Path(file).is_relative_to(path) and file not in odd]
        print(f"{path}: {'tracked' if whole else f'{len(files)} files added'}")
        others = sorted(replaced & set(files))
        if others:
            print(f"    {len(others)} of them have other bytes than the tracked ones: {', '.join(others[:5])}")
        new += files
    if new:
        dvc("add", *new)
    for path in sorted(odd):
        print(f"{path}: left out: its bytes are not those that were recorded; `make run` makes it again")
    if Path(MEANS).exists():  # else a part was built, and no stage of dvc.yaml is complete
        dvc("commit", "--force", "dvc.yaml")
    kept = [path for path in (Path("dvc.lock"), LEFT_OUT, *(RESULTS / name for name in IN_GIT)) if path.exists()]
    git("add", "--force", *map(str, [*pointers(), *kept]))
    print("next: git commit --all -m 'what you made', then make push")


def unrecorded(files: Iterable[str]) -> list[str]:
    """Of some files those that were recorded when they were made, and have other bytes now."""
    lines = provenance.read_ledger()
    known = [file for file in files if file in lines]
    with provenance.locked_notes() as notes:
        found = provenance.digests(known, notes)
    return [file for file in known if found[file] not in {line["sha256"] for line in lines[file]}]


def unshared(committed: bool = False) -> tuple[list[str], list[str]]:
    """Results that are here and that neither DVC nor git has: those to be tracked, and those that `unrecorded` names.

    Where the list of a directory cannot be had, `committed` asks the ledger of the last commit: what that knows was
    tracked.
    """
    new = [path for path in TRACKED if path.exists() and not Path(f"{path}.dvc").exists()]
    files = [str(file) for path in new for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    small = [str(RESULTS / name) for name in IN_GIT]
    in_git = git("ls-files", "--others", "--modified", "--", *small).stdout.split("\n")
    try:
        made = changed(uncommitted())
    except ShiftScopeError:
        if not committed:
            raise
        made = unknown_to_the_last_commit()
    found = {*files, *made, *(path for path in in_git if Path(path).is_file())}
    damaged = unrecorded(found)
    return sorted(found - set(damaged)), sorted(damaged)


def unknown_to_the_last_commit() -> list[str]:
    """Files of tracked directories with a line in this ledger and none for their bytes in the last commit's."""
    lines = provenance.read_ledger()
    committed = provenance.lines_of(git("show", f"HEAD:{LEDGER}").stdout)
    known = {(path, line["sha256"]) for path, about in committed.items() for line in about}
    here = [
        path for path in lines if provenance.is_here(path) and any(Path(path).is_relative_to(one) for one in TRACKED)
    ]
    with provenance.locked_notes() as notes:
        found = provenance.digests(here, notes)
    return [path for path in here if (path, found[path]) not in known]


def leave_out_links() -> None:
    """Weights that are only linked (from a user's folder, or the hub's cache) stay where they are: DVC would copy them."""
    links = [path for path in LMS.glob("*/*") if path.is_symlink()]
    if not links:
        return
    with repository() as repo:
        cache = Path(repo.cache.local.path).resolve()  # with `cache.type symlink` all files are links
    outside = {f"/{path.relative_to(RESULTS)}" for path in links if cache not in path.resolve().parents}
    known = set(LEFT_OUT.read_text(encoding="utf-8").splitlines()) if LEFT_OUT.exists() else set()
    if not outside <= known:
        write_text(LEFT_OUT, "".join(f"{line}\n" for line in sorted(outside | known)))
