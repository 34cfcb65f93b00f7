"""What every script shares: options from the signature, one-line failures, a log, and a check of the code it ran."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.clone import ROOT

from shiftscope.kinds import Strict
from shiftscope.workflow.job import state_folder

HEAD = '''"""Make something of something."""
from pathlib import Path
from shiftscope.workflow.job import run
'''
TAIL = """
if __name__ == "__main__":
    run(main)
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """`job(body, *arguments)` writes `job.py` with this body and runs it in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def start(body: str, *arguments: str, script: str = "job.py", **environment: str) -> subprocess.CompletedProcess:
        path = tmp_path / script
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + body + TAIL)
        return subprocess.run(
            [sys.executable, script, *arguments], cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment,
        )  # fmt: skip

    return start


SHOW = """
from shiftscope.kinds import Strict

class Slice(Strict):
    x: list = []

def main(pairs: Path, parts: list[Path], params: Slice, name: str, count: int = 3, of: list[Path] = []) -> None:
    print([pairs, parts, params.x, name, count, of])
"""


def test_arguments_come_from_the_signature(job):
    arguments = ["--pairs", "a/b", "--parts", "c", "d", "--params", '{"x": [1, "é"]}', "--name", "n"]
    done = job(SHOW, *arguments)
    expected = [Path("a/b"), [Path("c"), Path("d")], [1, "é"], "n", 3, []]
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, repr(expected), "")
    done = job(SHOW, *arguments, "--count", "7", "--of", "--parts")
    assert done.stdout.strip() == repr([*expected[:1], [], *expected[2:4], 7, []])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "a"], "the following arguments are required: --parts, --params, --name"),
        (
            ["--pairs", "a", "--parts", "--params", "{", "--name", "n"],
            "argument --params: it is no Slice: Invalid JSON",
        ),
        (["--pairs", "a", "--parts", "--params", "{}", "--name", "n", "--count", "x"], "argument --count: invalid int"),
        (
            ["--pairs", "a", "--parts", "--params", "{}", "--name", "n", "--color", "x"],
            "unrecognized arguments: --color",
        ),
    ],
)
def test_wrong_arguments_end_with_2_and_name_the_option(job, arguments, message):
    done = job(SHOW, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


SLICED = """
from shiftscope.kinds import Strict

class Inner(Strict):
    steps: int

class Slice(Strict):
    lm: str
    inner: Inner

def main(params: Slice) -> None:
    print(repr(params))
"""


def test_a_slice_of_the_config_is_read_by_its_type_and_what_it_does_not_have_is_refused(job):
    done = job(SLICED, "--params", '{"inner": {"steps": 3}, "lm": "m"}')
    assert (done.returncode, done.stdout, done.stderr) == (0, "Slice(lm='m', inner=Inner(steps=3))\n", "")
    for wrong, said in (
        ('{"lm": "m", "inner": {"steps": 3}, "x": 1}', "it is no Slice: x: Extra inputs are not permitted"),
        ('{"lm": "m", "inner": {"steps": "many"}}', "it is no Slice: inner.steps: Input should be a valid integer"),
        ('{"inner": {"steps": 3}}', "it is no Slice: lm: Field required"),
        ("{", "it is no Slice: "),
    ):
        done = job(SLICED, "--params", wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"argument --params: {said}" in done.stderr.splitlines()[-1]


def test_help_says_what_the_script_does(job):
    done = job(SHOW, "--help")
    assert done.returncode == 0
    assert "Make something of something." in done.stdout
    assert {"--pairs", "--parts", "--params", "--name", "--count", "--of", "--log", "--modules", "--threads"} <= set(
        done.stdout.replace(",", " ").replace("[", " ").replace("]", " ").split()
    )


def test_every_script_of_the_project_says_what_it_does():
    for script in sorted((ROOT / "scripts").glob("*.py")):
        source = script.read_text()
        assert source.startswith('"""')
        assert re.search(r"\n\nif __name__ == \"__main__\":\n    run\(main\)\n$", source)


def failing(statement: str) -> str:
    return f"\nimport logging\n\ndef main() -> None:\n    {statement}\n"


USER_ERROR = failing(
    "from shiftscope.errors import ShiftScopeError; raise ShiftScopeError('row 3 is\\n empty: fill it')"
)


def test_a_failure_that_the_user_can_mend_is_one_line_with_the_log(job):
    done = job(USER_ERROR, "--log", "logs/a/job.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "job: row 3 is empty: fill it [log: logs/a/job.log]\n"
    log = Path("logs/a/job.log").read_text()
    assert " ERROR shiftscope: row 3 is" in log
    assert "Traceback" not in log


def test_any_other_failure_is_one_line_too_and_its_traceback_is_in_the_log(job):
    done = job(failing("raise ValueError('two\\nlines')"), "--log", "job.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "job: ValueError: two lines [log: job.log]\n"
    log = Path("job.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "in main" in log
    assert "ValueError: two\nlines" in log


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("OSError(28, 'No space left on device', 'out.txt')", "the disk is full while writing out.txt: free some space"),
        ("OSError(122, 'Disk quota exceeded', 'out.txt')", "the disk is full while writing out.txt: free some space"),
        ("OSError(30, 'Read-only file system', 'out.txt')", "cannot write out.txt: Read-only file system. Check that"),
        ("OSError(13, 'Permission denied', 'out.txt')", "cannot write out.txt: Permission denied. Check that"),
        ("FileNotFoundError(2, 'No such file or directory', 'in.txt')", "FileNotFoundError: [Errno 2] No such file or directory: 'in.txt'"),
    ],
)  # fmt: skip
def test_failures_of_the_file_system(job, error, line):
    done = job(failing(f"raise {error}"), "--log", "job.log")
    assert done.returncode == 1
    assert done.stderr.startswith(f"job: {line}")
    assert len(done.stderr.splitlines()) == 1
    assert ("Traceback" in Path("job.log").read_text()) == line.startswith("FileNotFoundError")


def test_without_a_log_the_last_line_on_the_terminal_is_the_cause(job):
    done = job(USER_ERROR)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "job: row 3 is empty: fill it"


def test_messages_and_warnings_go_to_the_log(job):
    statement = "import warnings; warnings.warn('odd'); logging.getLogger('shiftscope.x').info('took 3 steps')"
    done = job(failing(statement), "--log", "job.log")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "job: warning: UserWarning: odd [log: job.log]\n")
    log = Path("job.log").read_text()
    assert "UserWarning: odd" in log
    assert "INFO shiftscope.x: took 3 steps" in log


def test_a_warning_stands_on_the_terminal_and_an_error_there_once(job):
    body = """
def main() -> None:
    import logging, warnings
    from shiftscope.errors import ShiftScopeError
    logging.getLogger("shiftscope.x").info("nothing of interest")
    for number in range(3):
        logging.getLogger("shiftscope.x").warning("mind %d of these", number)
    warnings.warn("and this")
    raise ShiftScopeError("no more")
"""
    done = job(body, "--log", "a.log")
    lines = done.stderr.splitlines()
    assert lines[0] == "job: warning: mind 0 of these [log: a.log]"
    assert "and this" in lines[1] and lines[1].startswith("job: warning: ")
    assert lines[-1] == "job: no more [log: a.log]"
    assert done.stderr.count("no more") == 1 and "of interest" not in done.stderr
    assert done.stderr.count("of these") == 1 and Path("a.log").read_text().count("of these") == 3


def test_a_log_is_of_one_run(job):
    job(failing("raise ValueError('first')"), "--log", "job.log")
    job(failing("raise ValueError('second')"), "--log", "job.log")
    assert "first" not in Path("job.log").read_text()


def test_a_log_that_cannot_be_written_is_named_and_not_pointed_to(job):
    Path("file").write_text("")
    done = job(failing("pass"), "--log", "file/job.log")
    assert done.returncode == 1
    line = (
        "job: cannot write file/job.log: {}. Check that the folder exists, is writable and is not mounted read-only\n"
    )
    assert done.stderr in {line.format("File exists"), line.format("Not a directory")}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_on_a_full_disk_does_not_bury_the_message(job):
    done = job(USER_ERROR, "--log", "/dev/full")
    assert (done.returncode, done.stderr) == (1, "job: row 3 is empty: fill it\n")


# --- one run at a time

STOPPED = """
import os, signal

def stop(where: str) -> None:
    if os.environ.get("STOP") == where:
        os.kill(os.getpid(), signal.SIGSTOP)

stop("early")

def main(out: Path) -> None:
    stop("within")
    out.write_text(out.read_text() + os.environ["NAME"])
"""


@pytest.fixture
def runs(job, tmp_path):
    """`runs(name, stop)` starts the one command; where it stops itself, the call returns when it has."""
    job(STOPPED, "--help")
    Path("out").write_text("")
    started = []

    def start(name: str, stop: str = "") -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "NAME": name, "STOP": stop}
        command = [sys.executable, "job.py", "--out", "out", "--log", "job.log"]
        run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(run)
        if stop:
            os.waitid(os.P_PID, run.pid, os.WSTOPPED)
        return run

    yield start
    for run in started:
        run.kill()
        run.wait()
        run.stderr.close()


def test_an_old_run_that_comes_after_a_newer_one_writes_nothing(runs):
    old = runs("old", stop="early")
    assert runs("new").wait() == 0
    log = Path("job.log").stat().st_mtime_ns
    old.send_signal(signal.SIGCONT)
    assert old.wait() == 1
    assert "a newer run of the same command" in old.stderr.read()
    assert Path("out").read_text() == "new"
    assert Path("job.log").stat().st_mtime_ns == log


def test_a_new_run_waits_for_an_old_one_and_of_those_that_wait_the_newest_writes(runs):
    old = runs("old ", stop="within")
    between = runs("between ")
    assert "waiting for it to end" in between.stderr.readline()
    new = runs("new")
    assert "waiting for it to end" in new.stderr.readline()
    old.send_signal(signal.SIGCONT)
    assert [run.wait() for run in (old, between, new)] == [0, 1, 0]
    assert Path("out").read_text() == "old new"
    assert runs(" again").wait() == 0


def test_a_run_of_the_future_is_none(runs):
    assert runs("first ").wait() == 0
    (own,) = Path("work/locks").glob("*/*")
    (own.parent / str(float(own.name) + 3600)).touch()  # the clock was set back since
    assert runs("second").wait() == 0
    assert Path("out").read_text() == "first second"
    assert len(list(own.parent.iterdir())) == 1


# --- the check of code


LOADS = "\nimport importlib\n\ndef main() -> None:\n    importlib.import_module('shiftscope.variants.pca')\n"
BASE = [f"{ROOT}/src/shiftscope/{name}.py" for name in
        ("__init__", "errors", "files", "kinds", "workflow/__init__", "workflow/imports", "workflow/job")]  # fmt: skip
PCA = [f"{ROOT}/src/shiftscope/variants/{name}.py" for name in ("__init__", "base", "pca")]


def test_a_module_that_the_rule_does_not_declare_is_an_error(job):
    done = job(LOADS, "--log", "job.log", "--modules", "job.py", *BASE)
    assert done.returncode == 1
    assert done.stderr == (
        "job: job.py loaded shiftscope/variants/__init__.py, shiftscope/variants/base.py, "
        "shiftscope/variants/pca.py, which its rule does not declare as code: "
        "import it by name in the script or add it to the rule's modules_of(…) [log: job.log]\n"
    )


def test_declared_modules_may_be_loaded_and_need_not_be(job):
    assert job(LOADS, "--modules", "job.py", *BASE, *PCA).returncode == 0
    assert job(failing("pass"), "--modules", "job.py", *BASE, *PCA).returncode == 0
    assert job(LOADS).returncode == 0  # started by hand: nothing is declared, nothing is checked


def test_the_modules_of_another_clone_are_an_error(job, tmp_path):
    done = job(failing("pass"), "--log", "job.log", script="scripts/job.py")
    assert done.returncode == 1
    assert done.stderr.startswith(f"job: {ROOT}/src/shiftscope/")
    assert (
        f"was loaded from another copy of shiftscope than {tmp_path}/src: run `make install` in this clone"
        in done.stderr
    )


# --- threads


THREADS = """
import os
import numpy

def main() -> None:
    from threadpoolctl import threadpool_info
    print(os.environ["OMP_NUM_THREADS"], {pool["num_threads"] for pool in threadpool_info()})
"""


def test_the_number_of_threads_is_set_and_never_inherited(job):
    many = {"OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "7", "MKL_NUM_THREADS": "7"}
    assert job(THREADS, **many).stdout == "1 {1}\n"
    assert job(THREADS, "--threads", "2", **many).stdout == "2 {2}\n"


@pytest.mark.parametrize("late", [False, True])
def test_torch_has_as_many_threads_whether_loaded_before_or_later(job, late):
    early, within = ("pass", "import torch") if late else ("import torch", "pass")
    body = f"\n{early}\n\ndef main() -> None:\n    {within}\n    import torch\n    print(torch.get_num_threads())\n"
    assert job(body, "--threads", "2", OMP_NUM_THREADS="1").stdout == "2\n"


# --- the folder of a job's state


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script in an empty folder that is the one that runs."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "job.py"
    path.write_text("import shiftscope.pair_embeddings\n")
    (tmp_path / "in.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["job.py"])
    return path


class Slice(Strict):
    a: int
    b: int = 2


def test_the_state_of_a_job_is_found_by_its_config_code_and_inputs(script):
    def folder(a: int = 1, modules: tuple[str, ...] = ("shiftscope.variants.pca",), more: object = None) -> Path:
        return state_folder(Slice(a=a), [Path("in.json")], list(modules), more)

    first = folder()
    assert first.parent == Path("work/state")
    assert (
        state_folder(Slice.model_validate_json('{"b": 2, "a": 1}'), [Path("in.json")], ["shiftscope.variants.pca"])
        == first
    )
    os.utime("in.json", (1, 1))
    assert folder() == first
    assert not first.exists()  # it is a name; whoever needs it makes it

    others = {folder(3), folder(modules=("shiftscope.variants.ssae",)), folder(more=["final_norm"])}
    Path("in.json").write_text("{ }")
    others.add(folder())
    Path("in.json").write_text("{}")
    script.write_text("import shiftscope.pair_embeddings  # changed\n")
    others.add(folder())
    assert len(others | {first}) == 6
