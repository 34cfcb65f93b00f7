"""`make pull`: merge what others pushed and fetch its data; with a target, fetch what building that needs, no more.

Nothing of one's own is lost: what is not tracked yet stops it, and what is not tracked since its bytes are damaged is set
aside. Where two clones made one path differently, theirs is taken, and ours stays in DVC's cache and in git's history.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic
from shiftscope.workflow.paths import GROWING, LMS, RESULTS
from shiftscope.workflow.repository import (
    UPSTREAM,
    check_remote,
    dvc,
    fetch_list,
    fetch_objects,
    files_of,
    git,
    pointers,
    refuse_beside_a_run,
    repository,
    setup,
    texts,
    tracked_files,
)
from shiftscope.workflow.track import unshared

ASIDE = Path("work/set_aside")


def pull(target: str | None, configfiles: list[str]) -> None:
    """Without a target: merge, and fetch everything. With one: fetch what building it needs.

    Raises:
        ShiftScopeError: something would be lost, cannot be merged, or is not on the remote; what to do.
    """
    refuse_beside_a_run("pull")
    setup()
    if target:
        pull_target(target, configfiles)
        return
    if pointers():
        check_remote()
    keep_what_is_ours()
    if git("rev-parse", "--abbrev-ref", UPSTREAM, check=False).returncode == 0:
        git("fetch", "--quiet")
        take_theirs_where_both_made_one()
        merge()
    fetch_everything()
    print(f"{len(pointers())} directories are as their .dvc files say")


def keep_what_is_ours() -> None:
    """Refuse while results are tracked by nobody; set aside what has other bytes than those that were recorded.

    Raises:
        ShiftScopeError: some are not tracked.
    """
    left, damaged = unshared(committed=True)
    for file in damaged:
        aside = ASIDE / file
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, aside)
        print(f"{file}: its bytes are not those that were recorded: set aside in {aside}, and fetched again")
    if left:
        raise ShiftScopeError(
            f"{len(left)} results here are not tracked yet ({', '.join(left[:3])}{', …' if len(left) > 3 else ''}), and what "
            "others made could take their place: `make track` and `git commit --all -m 'my results'`, then `make pull` again"
        )


def take_theirs_where_both_made_one() -> None:
    """Let ours be theirs where both made one path differently: nobody can join two contents."""
    both: dict[str, str] = {}
    base = git("merge-base", "HEAD", UPSTREAM).stdout.strip()
    if base == git("rev-parse", "HEAD").stdout.strip():
        return  # all that is new is theirs
    for pointer in _pointers_on_both_sides():
        ours, theirs, *before = [
            text for commit in ("HEAD", UPSTREAM, base)
            if (text := git("show", f"{commit}:{pointer}", check=False).stdout)
        ]  # fmt: skip
        for text in (ours, theirs, *before):
            fetch_list(text)
        mine, others, *old = files_of([ours, theirs, *before])
        known = old[0] if old else {}
        both |= {
            path: md5
            for path, md5 in others.items()
            if path in mine and mine[path] != md5 and known.get(path) not in (mine[path], md5)
        }
    if not both:
        return
    if not fetch_objects(both.values()):
        raise ShiftScopeError(
            f"{', '.join(sorted(both)[:5])}: you and others made these differently, and theirs are not on the remote: whoever "
            "made them runs `make push`, then `make pull` again"
        )
    with repository() as repo:
        for path, md5 in both.items():
            with atomic(Path(path)) as temporary:
                shutil.copyfile(repo.cache.local.oid_to_path(md5), temporary)
    dvc("add", *both)
    git("commit", "--quiet", "-m", f"Theirs of {len(both)} results that both made", "--", *map(str, pointers()))
    print(f"you and others made {len(both)} files differently; theirs are taken, yours are in the commit before:")
    print(*(f"    {path}" for path in sorted(both)), sep="\n")


def _pointers_on_both_sides() -> list[Path]:
    """`.dvc` files of growing directories that both sides have, and have differently."""
    names = git("diff", "--name-only", "HEAD", UPSTREAM, "--", f"{RESULTS}/*.dvc").stdout.split()
    theirs = git("ls-tree", "--name-only", UPSTREAM, f"{RESULTS}/").stdout.split()
    return [Path(name) for name in names if name in theirs and Path(name).stem in GROWING and Path(name).exists()]


def merge() -> None:
    """`git merge`.

    Raises:
        ShiftScopeError: it conflicts, or something uncommitted is in the way.
    """
    done = git("merge", "--no-edit", UPSTREAM, check=False)
    if not done.returncode:
        return
    conflicts = git("diff", "--name-only", "--diff-filter=U").stdout.split("\n")[:-1]
    if conflicts:
        raise ShiftScopeError(
            f"you and others changed {', '.join(conflicts)}: edit what git has marked there, then "
            f"`git add {' '.join(conflicts)}`, `git commit --no-edit`, and `make pull` again"
        )
    words = " ".join(f"{done.stdout} {done.stderr}".split())
    raise ShiftScopeError(
        f"git could not merge ({words}): commit what you changed (`git commit --all -m 'my changes'`), then `make pull` again"
    )


def fetch_everything() -> None:
    """Fetch every tracked directory; one whose list is not on the remote keeps back no other.

    Raises:
        ShiftScopeError: some data could not be had; which, why, and what to do.
    """
    whole, problems = [], []
    for pointer in pointers():
        try:
            fetch_list(pointer.read_text(encoding="utf-8"))
            whole.append(str(pointer))
        except ShiftScopeError as error:
            problems.append(str(error))
    try:
        fetch(whole)
    except ShiftScopeError as error:
        problems.append(str(error))
    if problems:
        raise ShiftScopeError("; ".join(problems))


def fetch(paths: list[str]) -> None:
    """`dvc pull`, every file verified.

    Raises:
        ShiftScopeError: some data could not be had; which, why, and what to do.
    """
    try:
        if paths:
            with repository() as repo:
                repo.pull(targets=paths)
    except ShiftScopeError as error:
        # what came lies in DVC's cache, and of a directory that lacks a file DVC brings none unless they are named
        missing = {path: md5 for path, md5 in tracked_files().items() if not Path(path).exists()}
        with repository() as repo:
            came = sorted(path for path, md5 in missing.items() if repo.cache.local.exists(md5))
        if came:
            dvc("checkout", *came)
        absent = sorted(path for path in missing if not Path(path).exists())
        which = f". Not here: {', '.join(absent[:5])}{' and others' if len(absent) > 5 else ''}" if absent else ""
        raise ShiftScopeError(
            f"{error}{which}. What came is here, and running again goes on from it. If the disk is full, free some "
            "space; if files are missing on the remote, whoever made them runs `make push`; if they are damaged there, "
            "delete them there first (objects are named by md5); else `make run` computes them again"
        ) from error


def pull_target(target: str, configfiles: list[str]) -> None:
    """Fetch the tracked files without which building `target` would compute what is there already."""
    from shiftscope.workflow.dag import jobs_of

    for text in texts():
        fetch_list(text)
    known, fetched = set(tracked_files()), set()
    jobs = jobs_of([target], configfiles)

    def absent(paths: Iterable[str]) -> set[str]:
        return {path for path in set(paths) & known - fetched if not Path(path).exists()}

    todo = absent(inputs_of_target(jobs))
    while True:
        if todo:
            todo |= {file for path in todo for file in beside(path, known)}
            fetch(sorted(todo))
            fetched |= todo
            jobs = jobs_of([target], configfiles)
        stale = [job for job in jobs if job.stale]
        # a job that only lacks what others have made is not stale once that is here: so first outputs, then inputs
        todo = absent(path for job in stale for path in job.missing)
        todo = todo or absent(path for job in stale for path in job.inputs)
        if not todo:
            break
    stale = [job for job in jobs if job.stale and job.outputs]
    print(f"{len(fetched)} files fetched; to build {target}, {len(stale)} jobs run")


def inputs_of_target(jobs: list[Any]) -> set[str]:
    """What the target is made of: the inputs of its job, or, for a name such as `table_a2`, of the jobs that it names."""
    *others, last = jobs
    if last.outputs:
        return set(last.inputs)
    return {path for job in others if set(job.outputs) & set(last.inputs) for path in job.inputs}


def beside(path: str, known: set[str]) -> list[str]:
    """What belongs to a manifest without being an output of its own: a language model's files."""
    folder = str(Path(path).parent)
    return [file for file in known if file.startswith(f"{LMS}/") and str(Path(file).parent) == folder]
