"""`make push`: send what was tracked and committed, data first, so that nobody pulls what is not there yet."""

import hashlib
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow.paths import RESULTS
from shiftscope.workflow.repository import (
    UPSTREAM,
    check_remote,
    files_of,
    git,
    output_of,
    refuse_beside_a_run,
    repository,
    setup,
    texts,
)
from shiftscope.workflow.track import unshared


def push() -> None:
    """The objects of every commit that is not pushed yet, then `git push`; what the remote has lost is sent again.

    DVC takes a directory for complete where its list is on the remote, and believes what this machine has noted of the
    remote. So every file is looked for, and every list is read.

    Raises:
        ShiftScopeError: results are not tracked, there is no remote, one cannot be reached, or git refuses.
    """
    refuse_beside_a_run("push")
    setup()
    left, _ = unshared()
    if left:
        raise ShiftScopeError(
            f"{len(left)} results here are not tracked ({left[0]}, …): `make track`, `git commit --all -m 'my results'`, then "
            "`make push` again"
        )
    check_remote()
    wanted, lists = wanted_objects()
    with repository() as repo:
        keep_what_is_on_disk(repo, wanted)
        remote = repo.cloud.get_remote_odb()
        drop_damaged_lists(repo, remote, lists)
        lost = send(repo, remote, {md5 for _, md5 in wanted} | lists)
    names = sorted(path for path, md5 in wanted if md5 in lost)
    if names:
        print(
            f"neither here nor on the remote: {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}: whoever has "
            "them runs `make push`, or `make run` computes them again, and then `make push`"
        )
    push_commits()


def wanted_objects() -> tuple[set[tuple[str, str]], set[str]]:
    """Every tracked file with its md5, and the lists, of this commit and of those that are not pushed yet."""
    said = texts()
    new = git("rev-list", f"{UPSTREAM}..HEAD", check=False).stdout.split()
    for commit in new[1:]:  # the first is HEAD
        names = git("ls-tree", "--name-only", commit, f"{RESULTS}/").stdout.split()
        said += [git("show", f"{commit}:{name}").stdout for name in names if name.endswith(".dvc")]
    said = list(dict.fromkeys(said))
    lists = {md5 for _, md5 in map(output_of, said) if md5.endswith(".dir")}
    return {pair for files in files_of(said) for pair in files.items()}, lists


def keep_what_is_on_disk(repo: Any, wanted: set[tuple[str, str]]) -> None:
    """Put into the cache what lies in the working tree alone: a file that was computed anew with the bytes that it had."""
    for path, md5 in wanted:
        if not repo.cache.local.exists(md5) and Path(path).is_file() and md5_of(Path(path)) == md5:
            repo.cache.local.add(str(Path(path).resolve()), repo.fs, md5)


def md5_of(file: Path) -> str:
    """The name that DVC gives to a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def drop_damaged_lists(repo: Any, remote: Any, lists: set[str]) -> None:
    """Delete lists on the remote whose bytes are not those that their name says, if they are here to be sent again."""
    for md5 in lists:
        path = remote.oid_to_path(md5)
        if repo.cache.local.exists(md5) and remote.fs.exists(path):
            found = hashlib.md5(remote.fs.cat_file(path), usedforsecurity=False).hexdigest()
            if f"{found}.dir" != md5:
                remote.fs.rm(path)


def send(repo: Any, remote: Any, objects: set[str]) -> set[str]:
    """Send what the remote lacks and is here; what is on neither side."""
    cache = repo.cache.local
    there = set(remote.oids_exist(list(objects)))
    # lists last: whoever sees one finds the files that it names
    here = sorted((md5 for md5 in objects - there if cache.exists(md5)), key=lambda md5: md5.endswith(".dir"))
    remote.add([cache.oid_to_path(md5) for md5 in here], cache.fs, here)
    print(f"{len(here)} files sent to the DVC remote")
    return objects - there - set(here)


def push_commits() -> None:
    """`git push`.

    Raises:
        ShiftScopeError: it is refused.
    """
    done = git("push", check=False)
    if done.returncode:
        words = " ".join(done.stderr.split())
        behind = "fetch first" in words or "non-fast-forward" in words
        todo = (
            "others have pushed meanwhile: `make pull`, `make run`, `make track`, `git commit --all -m 'both'`, `make push`"
            if behind
            else words
        )
        raise ShiftScopeError(f"the data is on the DVC remote, but git could not push: {todo}")
