"""This clone as git and DVC have it: their commands, their views, the lists of tracked directories.

A DVC remote's files are believed unread unless its `verify` is set, and a damaged one would stay in the cache for good. It
is set here for whatever this process asks of DVC, and written nowhere: a section of `.dvc/config.local` whose remote
another commit does not have makes every DVC command fail there.
"""

import contextlib
import io
import logging
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow.paths import RESULTS

DVC = str(Path(sys.executable).with_name("dvc"))
"""DVC of this environment, by its path: nobody has to activate the environment"""
DRIVERS = {
    "merge.dvc.name": "join what two clones added to a DVC directory",
    "merge.dvc.driver": f"{shlex.quote(DVC)} git-hook merge-driver --ancestor %O --our %A --their %B",
    "merge.rebuilt.name": "keep ours: ShiftScope makes it again",
    "merge.rebuilt.driver": "true",
}
SHARED, LOCAL = Path(".dvc/config"), Path(".dvc/config.local")
LOCKS = Path(".snakemake/locks")
UPSTREAM = "@{upstream}"


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
    """Run a DVC command in this process, for its start takes longer than most of what is asked of it.

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


class _Words(logging.Handler):
    """What DVC logs while it does something: its exceptions name less."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, and that of an exception."""
        cause = record.exc_info[1] if record.exc_info else None
        self.said += [str(one) for one in (record.getMessage(), cause) if one]


@contextlib.contextmanager
def repository() -> Iterator[Any]:
    """DVC's view of this clone, in which every remote's files are verified.

    Raises:
        ShiftScopeError: DVC could not do what was asked of it; its words.
    """
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_objects.errors import ObjectFormatError

    words, logs = _Words(), [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    for log in logs:
        log.addHandler(words)
    try:
        remotes = Config.from_cwd(validate=False)["remote"]  # else every one has a `verify`, of DVC's
        # with their addresses, for DVC looks at HEAD, too, and its config may not know a remote yet
        verified = {name: entry | {"verify": True} for name, entry in remotes.items() if "verify" not in entry}
        with Repo(config={"remote": verified}) as repo:
            yield repo
    except (DvcException, ObjectFormatError, OSError) as error:
        raise failed(["dvc"], "\n".join(dict.fromkeys([*words.said, *_causes(error)]))) from error
    finally:
        for log in logs:
            log.removeHandler(words)


def _causes(error: BaseException | None) -> Iterator[str]:
    while error:
        yield str(error)
        error = error.__cause__


def failed(command: list[str], said: str) -> ShiftScopeError:
    """The error that a command's words are, without its advice: what it would have us force or check out loses files."""
    quoted = ("Everything is", "hint:")
    lines = [line.replace("Use `--force` to force.", "").strip() for line in said.splitlines()]
    words = " ".join(line for line in lines if line and not line.startswith(quoted))
    return ShiftScopeError(f"`{' '.join(command[:6])}` failed: {' '.join(words.split())}")


def setup() -> None:
    """Tell git, in this clone, how to merge what `.gitattributes` names; without it such merges only conflict.

    Raises:
        ShiftScopeError: DVC cannot work in this clone as it is; says what to do.
    """
    here = Path.cwd()
    if set("{}") & set(str(here)):
        raise ShiftScopeError(f"DVC cannot work in a folder whose path has braces: rename {here}")
    if SHARED.exists() and not SHARED.read_bytes().strip() and git("show", f"HEAD:{SHARED}", check=False).stdout:
        raise ShiftScopeError(
            f"{SHARED} is empty: DVC cannot write a remote's address with letters beyond ASCII, and empties it: take it "
            f"back (`git checkout -- {SHARED}`), and give the remote an address in ASCII"
        )
    for key, value in DRIVERS.items():
        git("config", key, value)
    drop_sections_without_address()
    refuse_in_a_merge()


def refuse_in_a_merge() -> None:
    """Half of a merge is no state to share from.

    Raises:
        ShiftScopeError: git is in the middle of a merge or a rebase.
    """
    for mark, words in (("MERGE_HEAD", "git commit --no-edit"), ("rebase-merge", "git rebase --continue")):
        if Path(git("rev-parse", "--git-path", mark).stdout.strip()).exists():
            raise ShiftScopeError(
                f"git is in the middle of a merge: edit what it has marked (`git status` names it), `git add` that, "
                f"`{words}`, and run this again"
            )


def check_remote() -> None:
    """There is a default remote, and if it is a folder, it is there: DVC would make one where a drive is not mounted.

    Raises:
        ShiftScopeError: there is none, or its folder is not there.
    """
    with repository() as repo:
        name = repo.config["core"].get("remote")
        if not name:
            raise ShiftScopeError(
                "there is no DVC remote: name a folder that all of you can write (`dvc remote add --default lab FOLDER`), and "
                "commit .dvc/config"
            )
        remote = repo.cloud.get_remote(name)
        if remote.fs.protocol == "local" and not Path(remote.path).is_dir():
            raise ShiftScopeError(
                f"the DVC remote {name} is the folder {remote.path}, which is not there: is its drive mounted? If it is to be "
                f"new: `mkdir -p {shlex.quote(remote.path)}`"
            )


def drop_sections_without_address() -> None:
    """Clean `.dvc/config.local` of remotes that say `verify` and no more, as earlier versions of this module wrote them.

    Raises:
        ShiftScopeError: it has a user's own settings for a remote without a `url`, which no commit's DVC may read.
    """
    own = _config(LOCAL)
    for section in [name for name in _remotes(own) if set(own[name]) == {"verify"}]:
        del own[section]
        own.write()
    outer = [_config(file) for file in _outer_configs()]
    addressed = {name for config in outer for name in _remotes(config) if "url" in config[name]}
    for section in _remotes(own):
        if "url" not in own[section] and section not in addressed:
            raise ShiftScopeError(
                f"{LOCAL} has settings for {section}, whose address this commit's {SHARED} does not have, so DVC refuses "
                "every command: add a line `url = …` to that section, or delete it"
            )


def _config(file: Path) -> Any:
    from configobj import ConfigObj

    return ConfigObj(str(file), encoding="utf-8")


def _remotes(config: Any) -> list[str]:
    return [section for section in config.sections if section.startswith("remote ")]


def _outer_configs() -> list[Path]:
    """The configs that DVC reads besides `.dvc/config.local`."""
    from dvc.config import Config

    return [*(Path(Config.get_dir(level), Config.CONFIG) for level in ("system", "global")), SHARED]


def refuse_beside_a_run(command: str) -> None:
    """Nothing is shared while Snakemake writes: what it has just made would lose its record.

    Raises:
        ShiftScopeError: Snakemake holds its lock on this folder.
    """
    if LOCKS.is_dir() and any(LOCKS.iterdir()):
        program = Path(sys.executable).with_name("snakemake")
        raise ShiftScopeError(
            f"Snakemake is at work in this folder, or was killed: wait until it has ended (if none runs: `{program} "
            f"--unlock`), then `make {command}` again"
        )


# --- what DVC tracks


def pointers() -> list[Path]:
    """The `.dvc` files of this clone."""
    return sorted(RESULTS.glob("*.dvc"))


def texts() -> list[str]:
    """What these files say."""
    return [pointer.read_text(encoding="utf-8") for pointer in pointers()]


def data_status() -> dict[str, Any]:
    """`dvc data status --granular`."""
    with repository() as repo:
        return repo.data_status(granular=True)


def uncommitted(but: str | None = None) -> dict[str, list[str]]:
    """What DVC finds added or changed in the directories that it tracks, `but` for one.

    Raises:
        ShiftScopeError: the list of a directory is neither here nor on the remote.
    """
    status = data_status()
    # where nothing lies, nothing can have changed
    without_list = sorted(path for path in status.get("not_in_cache", ()) if path.endswith("/") and Path(path).exists())
    without_list = [path for path in without_list if path != f"{but}/"]
    for path in without_list:
        fetch_list(Path(f"{path.rstrip('/')}.dvc").read_text(encoding="utf-8"))
    return (data_status() if without_list else status).get("uncommitted", {})


def changed(status: dict[str, list[str]]) -> list[str]:
    """Files of tracked directories that are new or have other bytes; what is absent is not ours to remove."""
    paths = {path for kind in ("added", "modified", "unknown") for path in status.get(kind, ())}
    return sorted(path for path in paths if not path.endswith("/"))


def tracked_files() -> dict[str, str]:
    """Every file in the directories that DVC tracks, here or not, with its md5; of one without a list none is known."""
    return {path: md5 for files in files_of(texts()) for path, md5 in files.items()}


def files_of(pointers: Iterable[str]) -> list[dict[str, str]]:
    """The files that each text of a `.dvc` file stands for, with their md5; none where a list is not here."""
    with repository() as repo:
        return [_files(repo.cache.local, *output_of(pointer)) for pointer in pointers]


def _files(cache: Any, path: Path, md5: str) -> dict[str, str]:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    if not md5.endswith(".dir"):
        return {str(path): md5}
    tree = Tree.load(cache, HashInfo("md5", md5)) if cache.exists(md5) else ()
    return {str(path.joinpath(*key)): hashed.value for key, _, hashed in tree}


def output_of(pointer: str) -> tuple[Path, str]:
    """The path that a `.dvc` file's text is about, and its md5: of a directory that of its list, which ends in `.dir`."""
    import yaml

    [out] = yaml.safe_load(pointer)["outs"]
    return RESULTS / out["path"], out["md5"]


def fetch_list(pointer: str) -> None:
    """Bring the list of a tracked directory, not its files, from the remote into the cache.

    Raises:
        ShiftScopeError: there is no remote, or it does not have the list.
    """
    path, md5 = output_of(pointer)
    try:
        came = fetch_objects([md5])
    except ShiftScopeError as error:
        raise ShiftScopeError(f"the list of {path} cannot be fetched ({error}): check `dvc remote list`") from error
    if not came:
        raise ShiftScopeError(
            f"the list of {path} cannot be fetched: {md5} is missing on the remote or damaged there: whoever has it runs "
            f"`make push`; if nobody has, `make track LOST={path}` makes it anew of what lies here"
        )


def fetch_objects(hashes: Iterable[str]) -> bool:
    """Bring objects from the remote into the cache, each verified; False if one is missing or damaged there."""
    from dvc_objects.errors import ObjectFormatError

    with repository() as repo:
        cache, remote = repo.cache.local, repo.cloud.get_remote_odb()
        absent = {one: remote.oid_to_path(one) for one in set(hashes) if not cache.exists(one)}
        for one in [one for one, path in absent.items() if remote.fs.exists(path)]:
            with contextlib.suppress(ObjectFormatError):
                cache.add(absent[one], remote.fs, one, verify=True)
        return all(cache.exists(one) for one in absent)
