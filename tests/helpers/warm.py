"""Snakemake, DVC and ShiftScope's own commands and scripts from processes that have imported what they need.

Their imports take two seconds of every start, of a script with a language model six, and the tests start them some
hundred and fifty times. So every test process has helpers that import them once and fork for each command; the fork then
runs what the program's entry point runs, with its own folder, environment and output. Where a start or its end is tested,
programs are started as usual.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""a user's: the package is that of the clone that a command runs in"""
PROGRAMS = {"snakemake": "snakemake.cli", "dvc": "dvc.cli"}
"""the module whose `main` a program's entry point calls"""
IMPORTED = {
    "programs": (
        *PROGRAMS.values(), "dvc.cli.parser", "dvc.repo", "docutils.core", "dulwich.porcelain", "jinja2", "networkx",
        "PIL.Image", "pygit2", "ruamel.yaml", "scmrepo.git", "smart_open", "yaml",
    ),
    "torch": ("torch",),
    "transformers": ("torch", "transformers.models.llama.modeling_llama", "transformers.models.auto.tokenization_auto"),
}  # fmt: skip
"""what each helper has imported: those of the programs import more of it later, if it is there"""
SCRIPTS = {"train": "torch", "embed_pairs": "transformers", "fetch_lm": "transformers", "train_lm": "transformers"}
"""scripts that load much, and the helper that has it"""


def with_source(tree: Path) -> dict[str, str]:
    """The environment for scripts of a tree, in any folder."""
    return ENVIRONMENT | {"PYTHONPATH": str(tree / "src")}


OF_THIS_TREE = with_source(Path(__file__).parents[2])


@functools.cache
def helper(kind: str = "programs") -> subprocess.Popen:
    """The process that has imported everything; it ends when its input does."""
    command = [sys.executable, "-P", __file__, kind]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)
    return process


def run(
    command: list[str], folder: Path, environment: dict[str, str] = ENVIRONMENT, killed_after: float | None = None
) -> subprocess.CompletedProcess:
    """Run `snakemake …`, `dvc …` or `python …` (`-m module`, `-c code` or a script) in a folder.

    After `killed_after` seconds it gets SIGKILL, and the processes that it has started do not.
    """
    process = helper(SCRIPTS.get(Path(command[1]).stem, "programs") if command[0] == "python" else "programs")
    with tempfile.TemporaryDirectory() as printed:
        files = [str(Path(printed, name)) for name in ("stdout", "stderr")]
        request = {"command": command, "folder": str(folder), "environment": environment, "files": files,
                   "killed_after": killed_after}  # fmt: skip
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        status = int(process.stdout.readline())
        return subprocess.CompletedProcess(command, status, *(Path(file).read_text() for file in files))


def start(command: list[str], folder: Path, environment: dict[str, str] = ENVIRONMENT) -> subprocess.Popen:
    """Start a `python …` command as usual, in a process that may be killed; its errors can be read."""
    command = [sys.executable, *command[1:]]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def serve(kind: str) -> dict:
    """Fork for every request; returns only in the fork, with its request."""
    for name in IMPORTED[kind]:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    assert "shiftscope" not in sys.modules, "it must come from the clone that a command runs in"
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if process == 0:
            return request
        if request["killed_after"]:
            time.sleep(request["killed_after"])
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)


def become(request: dict) -> None:
    """Do what a start of the command would do."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    for number, file in enumerate([os.devnull, *request["files"]]):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(file, flags), number)
    program, *arguments = request["command"]
    if program == "python":
        option = arguments[0]
        sys.argv = arguments[option == "-m" :]
        if option == "-m":
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        elif option == "-c":
            exec(sys.argv.pop(1), {"__name__": "__main__"})
        else:
            runpy.run_path(option, run_name="__main__")
    else:
        sys.argv = [program, *arguments]
        sys.exit(importlib.import_module(PROGRAMS[program]).main())


if __name__ == "__main__":
    become(serve(sys.argv[1]))
