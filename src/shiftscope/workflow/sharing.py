"""`make verify`, `make why`, `make track` and `make pull`: what is there, why it would run, and sharing it.

DVC owns large bytes, git small text, `results/provenance.jsonl` ties both to what made them (`provenance.py`).

    directories that only grow      one `.dvc` file each; DVC's merge driver joins what two clones added
    directories that are rebuilt    one `.dvc` file each; a merge keeps ours, and what differs is stale and made again
    tables, figures, metrics        in git, kept ours on a merge and made again likewise

A clone may hold a part of a tracked directory. So files are added to a directory one by one: `dvc add DIRECTORY` would
shrink its listing to what happens to be here.
"""

import argparse
import contextlib
import io
import logging
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import write_text
from shiftscope.workflow import provenance
from shiftscope.workflow.paths import GROWING, IN_GIT, LEDGER, LEFT_OUT, LMS, MEANS, METRICS, REBUILT, RESULTS

DVC = str(Path(sys.executable).with_name("dvc"))
"""DVC of this environment, by its path: nobody has to activate the environment"""
DRIVERS = {
    "merge.dvc.name": "join what two clones added to a DVC directory",
    "merge.dvc.driver": f"{shlex.quote(DVC)} git-hook merge-driver --ancestor %O --our %A --their %B",
    "merge.rebuilt.name": "keep ours: ShiftScope makes it again",
    "merge.rebuilt.driver": "true",
}


def git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run git and return what it printed.

    Raises:
        ShiftScopeError: it failed; its last words.
    """
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise failed(["git", *arguments], done.stderr + done.stdout)
    return done


def dvc(*arguments: str) -> None:
    """Run DVC in this process, for its start takes longer than most of what is asked of it.

    Its progress bars go to the terminal.

    Raises:
        ShiftScopeError: it failed; its last words.
    """
    from dvc.cli import main

    printed, said = io.StringIO(), io.StringIO()
    handlers = logging.getLogger("dvc").handlers  # made when DVC was imported, for the streams of that time
    streams = [handler.setStream(said) for handler in handlers]
    try:
        with contextlib.redirect_stdout(printed):
            status = main(list(arguments))
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
    if status:
        raise failed(["dvc", *arguments], said.getvalue() + printed.getvalue())


@contextlib.contextmanager
def repository() -> Iterator[Any]:
    """DVC's view of this clone, for what is asked and not done.

    Raises:
        ShiftScopeError: DVC could not answer.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            yield repo
    except DvcException as error:
        raise failed(["dvc"], str(error)) from error


def failed(command: list[str], said: str) -> ShiftScopeError:
    """The error that a command's words are."""
    words = [line for line in said.splitlines() if line.strip() and not line.startswith(("Everything is", "hint:"))]
    return ShiftScopeError(f"`{' '.join(command[:6])}` failed: {' '.join(' '.join(words).split())}")


def setup() -> None:
    """Tell git, in this clone, how to merge what `.gitattributes` names; without it such merges only conflict."""
    for key, value in DRIVERS.items():
        git("config", key, value)
    for name in unverified_remotes():
        dvc("remote", "modify", "--local", name, "verify", "true")


def unverified_remotes() -> list[str]:
    """Remotes whose files DVC would believe unread: a damaged one would stay in the cache for good."""
    config = ConfigParser()
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    sections = {re.fullmatch(r"'?remote \"(.+)\"'?", section): section for section in config.sections()}
    return [found[1] for found, section in sections.items() if found and "verify" not in config[section]]


def pointers() -> list[Path]:
    """The `.dvc` files of this clone."""
    return sorted(RESULTS.glob("*.dvc"))


# --- track


def track() -> None:
    """Give DVC and git what was made since the last time: small files to git, all others to DVC."""
    setup()
    provenance.record()
    if not LEDGER.exists():
        raise ShiftScopeError("there is nothing to track: run the workflow first (`make run`)")
    leave_out_links()
    changed, new = uncommitted(), []
    for name in (*GROWING, *REBUILT, Path(METRICS).name):
        made = RESULTS / name
        if made.exists():
            whole = not Path(f"{made}.dvc").exists()
            files = [str(made)] if whole else changed_in(made, changed)
            print(f"{made}: {'tracked' if whole else f'{len(files)} files added'}")
            new += files
    if new:
        dvc("add", *new)
    if Path(MEANS).exists():  # else a part was built, and no stage of dvc.yaml is complete
        dvc("commit", "--force", "dvc.yaml")
    kept = [path for path in (Path("dvc.lock"), LEFT_OUT, *(RESULTS / name for name in IN_GIT)) if path.exists()]
    git("add", "--force", *map(str, [*pointers(), *kept]))
    print("next: git commit, dvc push, git push")


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


def uncommitted() -> dict[str, list[str]]:
    """What DVC finds added or changed in the directories that it tracks."""
    status = data_status()
    without_list = sorted(path for path in status.get("not_in_cache", ()) if path.endswith("/"))
    for path in without_list:
        fetch_listing(Path(f"{path.rstrip('/')}.dvc").read_text(encoding="utf-8"), path)
    return (data_status() if without_list else status).get("uncommitted", {})


def data_status() -> dict[str, Any]:
    """`dvc data status --granular`."""
    with repository() as repo:
        return repo.data_status(granular=True)


def changed_in(folder: Path, changed: dict[str, list[str]]) -> list[str]:
    """Files of a tracked directory (or that file itself) that are new or have other bytes; what is absent is not ours to remove."""
    paths = [path for kind in ("added", "modified", "unknown") for path in changed.get(kind, ())]
    return sorted({path for path in paths if path == str(folder) or path.startswith(f"{folder}/")} - {f"{folder}/"})


# --- pull


def fetch_listing(pointer: str, what: str) -> None:
    """Bring the list of a tracked directory, not its files, from the remote into the cache.

    Raises:
        ShiftScopeError: there is no remote, or it does not have the list.
    """
    import yaml
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    out = yaml.safe_load(pointer)["outs"][0]
    try:
        with Repo() as repo:
            if repo.cache.local.exists(out["md5"]):
                return
            repo.cloud.pull({HashInfo("md5", out["md5"])})
            came = repo.cache.local.exists(out["md5"])
        if not came:
            raise FileNotFoundError(f"the remote does not have {out['md5']}")
    except (DvcException, OSError) as error:
        raise ShiftScopeError(
            f"the list of {what} cannot be fetched ({' '.join(str(error).split())}): check `dvc remote list`; whoever "
            "committed it has to `dvc push`"
        ) from error


def pull(target: str | None, configfiles: list[str]) -> None:
    """Without a target: merge what others pushed and fetch its data. With one: fetch what building it needs, no more."""
    setup()
    if target:
        pull_target(target, configfiles)
        return
    if git("rev-parse", "--abbrev-ref", "@{upstream}", check=False).returncode == 0:
        git("fetch", "--quiet")
        for name in git("ls-tree", "--name-only", "@{upstream}", f"{RESULTS}/").stdout.split():
            if Path(name).suffix == ".dvc" and Path(name).stem in GROWING and Path(name).exists():
                fetch_listing(git("show", f"@{{upstream}}:{name}").stdout, name)
        merged = git("merge", "--no-edit", "@{upstream}", check=False)
        if merged.returncode:
            words = " ".join(merged.stdout.split())
            raise ShiftScopeError(
                f"git could not merge ({words} {merged.stderr.strip()}): resolve it, commit, and run this again"
            )
    fetch([str(pointer) for pointer in pointers()])
    print(f"{len(pointers())} directories are as their .dvc files say")


def fetch(paths: list[str]) -> None:
    """`dvc pull`.

    Raises:
        ShiftScopeError: some data could not be had; which, why, and what to do.
    """
    try:
        if paths:
            dvc("pull", *paths)
    except ShiftScopeError as error:
        # what came lies in DVC's cache, and of a directory that lacks a file DVC brings none unless they are named
        absent = sorted(path for path in data_status().get("not_in_cache", ()) if not path.endswith("/"))
        came = sorted(path for path in tracked_files() - set(absent) if not Path(path).exists())
        if came:
            with contextlib.suppress(ShiftScopeError):
                dvc("checkout", *came)
        which = f". Not here: {', '.join(absent[:5])}{' and others' if len(absent) > 5 else ''}" if absent else ""
        raise ShiftScopeError(
            f"{error}{which}. What came is here, and running again goes on from it. If the disk is full, free some "
            "space; if files are missing on the remote, whoever made them has to `dvc push`; if they are damaged there, "
            "delete them and their directory's list (objects are named by md5), then `dvc push`; else they are computed again"
        ) from error


def pull_target(target: str, configfiles: list[str]) -> None:
    """Fetch the tracked files without which building `target` would compute what is there already."""
    from shiftscope.workflow.dag import jobs_of

    known, fetched = tracked_files(), set()
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


def tracked_files() -> set[str]:
    """Every file in the directories that DVC tracks, here or not."""
    with repository() as repo:
        return {f"{RESULTS}/{row['path']}" for row in repo.ls(".", str(RESULTS), recursive=True, dvc_only=True)}


# --- verify and why


def verify() -> int:
    """List recorded outputs that are absent or have other bytes, and what was made of older inputs; 1 if bytes differ."""
    with provenance.locked_notes() as notes:
        lines = provenance.read_ledger()
        here = [path for path in lines if provenance.is_here(path)]
        found = provenance.digests(here, notes)
        inputs = {name for path in here for line in lines[path] for name in line["inputs"] if Path(name).is_file()}
        now = provenance.digests(inputs, notes)
    count: Counter[str] = Counter()
    for path in sorted(lines):
        about = [line for line in lines[path] if line["sha256"] == found.get(path)]
        words = _verdict(path, lines[path], about, now)
        count[words.split(":")[0]] += 1
        if words != "ok":
            print(f"{path}: {words}")
    print(", ".join(f"{number} {verdict}" for verdict, number in count.items()) or "nothing is recorded yet")
    return int(count["DIFFERS"] > 0)


def _verdict(path: str, lines: list[dict], about: list[dict], now: dict[str, str]) -> str:
    if not Path(path).is_file():
        return "not here: `make pull` fetches it, or it will be made"
    if not about:
        made = lines[0]
        return (
            f"DIFFERS: its bytes are not those that `{made['rule']}` wrote ({made['made_with']}); it will be made again"
        )
    changed = {
        name
        for line in about
        for name, checksum in line["inputs"].items()
        if checksum and name in now and checksum != f"sha256:{now[name]}"
    }
    return f"older than its inputs: {', '.join(sorted(changed))} changed since" if changed else "ok"


def why(node: str, configfiles: list[str]) -> None:
    """Say in words why a node, or what it depends on, would run."""
    from shiftscope.workflow.dag import jobs_of

    stale = [job for job in jobs_of([node], configfiles) if job.stale and job.outputs]
    if not stale:
        print(f"{node} is up to date: nothing would run")
        return
    for job in stale:
        if job.reasons:
            print(f"{job.rule} {job.outputs[0]}", *job.reasons, sep="\n    ")
    follow = Counter(job.rule for job in stale if not job.reasons)
    if follow:
        print("and what is made of these:", ", ".join(f"{rule} x {number}" for rule, number in follow.items()))


COMMANDS = ("track", "pull", "verify", "why")


def main() -> None:
    """The command line: `python -m shiftscope.workflow.sharing track`."""
    parser = argparse.ArgumentParser(
        prog="python -m shiftscope.workflow.sharing", description="Share what was computed."
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("target", nargs="?", help="pull: a table or file to fetch for; why: the node to explain")
    parser.add_argument("--configfile", nargs="*", default=[], help="as given to snakemake")
    given = parser.parse_args()
    if given.command == "why" and not given.target:
        parser.error("why needs a node, for example results/tables/table_a6.md")
    calls = {
        "track": track,
        "pull": lambda: pull(given.target, given.configfile),
        "verify": verify,
        "why": lambda: why(given.target, given.configfile),
    }
    try:
        sys.exit(calls[given.command]())
    except ShiftScopeError as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
