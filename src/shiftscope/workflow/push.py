"""`make push`: send what was tracked and committed, data first, so that nobody pulls what is not there yet."""

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow.repository import files_of, git, pointers, refuse_beside_a_run, repository, setup


def push() -> None:
    """`dvc push`, then `git push`; files that the remote has lost are sent again.

    DVC takes a directory for complete where its list is on the remote, so files are asked for one by one.

    Raises:
        ShiftScopeError: there is no remote, one cannot be reached, or git refuses.
    """
    from dvc_data.hashfile.hash_info import HashInfo

    refuse_beside_a_run("push")
    setup()
    wanted = {md5 for pointer in pointers() for md5 in files_of(pointer.read_text(encoding="utf-8")).values()}
    with repository() as repo:
        sent = repo.push()
        here = {HashInfo("md5", md5) for md5 in wanted if repo.cache.local.exists(md5)}
        # not `repo.cloud.push`, which believes what this machine has noted of the remote
        again = repo.cloud.transfer(repo.cache.local, repo.cloud.get_remote_odb(), here)
    print(f"{sent + len(again.transferred)} files sent to the DVC remote")
    if again.failed:
        raise ShiftScopeError(f"{len(again.failed)} files could not be sent: check the remote, then `make push` again")
    done = git("push", check=False)
    if done.returncode:
        words = " ".join(done.stderr.split())
        behind = "fetch first" in words or "non-fast-forward" in words
        todo = (
            "others have pushed meanwhile: `make pull`, `make run`, then track, commit and push again"
            if behind
            else words
        )
        raise ShiftScopeError(f"the data is on the DVC remote, but git could not push: {todo}")
