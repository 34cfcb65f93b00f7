"""What every script shares: arguments from its signature, a log, one-line failures, and a check of the code it ran."""

import argparse
import ctypes
import errno
import fcntl
import hashlib
import inspect
import logging
import os
import sys
import time
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shiftscope.errors import ShiftScopeError
from shiftscope.files import cannot_write, canonical_json, sha256_of
from shiftscope.kinds import Strict
from shiftscope.workflow.imports import code_of

logger = logging.getLogger("shiftscope")
SOURCE = Path(__file__).resolve().parents[2]
USERS_TO_MEND = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""no permission, no space, read-only: whoever reads the message can act on it without a traceback"""


def run(main: Callable[..., None]) -> None:
    """Call `main` with arguments parsed from the command line, and end the process with its status.

    Each parameter of `main` becomes one option of the same name: `Path` takes a path, `list[Path]` one or more,
    a type of `Strict` a JSON object with its fields, `str` and `int` themselves; a default makes it optional. Three options are added: `--log` (a file for everything that is logged; without it the log goes to the
    terminal), `--modules` (the files the rule declares as the script's code) and `--threads` (CPU threads of numpy and
    torch, default 1).

    Exit status: 0 done, 1 a failure that the last line on the terminal names, 2 wrong arguments.
    """
    script = Path(sys.argv[0]).resolve()
    parser = argparse.ArgumentParser(prog=script.name, description=inspect.getdoc(sys.modules["__main__"]))
    for name, parameter in inspect.signature(main).parameters.items():
        _add_option(parser, name, parameter)
    parser.add_argument("--log", type=Path, help="append everything that is logged to this file")
    parser.add_argument("--modules", type=Path, nargs="*", help="the project files this job may load")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for numpy and torch")
    arguments = vars(parser.parse_args())
    log, modules, threads = (arguments.pop(key) for key in ("log", "modules", "threads"))
    try:
        with _alone(script):
            _start_log(script, log)
            _limit_threads(threads)
            _keep_freed_memory()
            _trace(script, log)
            main(**arguments)
        _check_modules(script, modules)
    except ShiftScopeError as error:
        _fail(script, str(error), log)
    except OSError as error:
        if error.errno not in USERS_TO_MEND:
            logger.debug("unexpected failure", exc_info=True)
            _fail(script, f"{type(error).__name__}: {error}", log)
        _fail(script, cannot_write(Path(error.filename or "a file"), error), log)
    except Exception as error:
        logger.debug("unexpected failure", exc_info=True)
        _fail(script, f"{type(error).__name__}: {error}", log)


def _add_option(parser: argparse.ArgumentParser, name: str, parameter: inspect.Parameter) -> None:
    kind = parameter.annotation
    if isinstance(kind, types.UnionType):  # `Path | None`
        (kind,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
    option: dict[str, Any] = {"required": parameter.default is inspect.Parameter.empty}
    if not option["required"]:
        option["default"] = parameter.default
    if typing.get_origin(kind) is list:
        option |= {"nargs": "*", "type": typing.get_args(kind)[0]}
    else:
        option["type"] = _slice_of(kind) if issubclass(kind, Strict) else kind
    parser.add_argument(f"--{name.replace('_', '-')}", **option)


def _slice_of(kind: type[Strict]) -> Callable[[str], Strict]:
    """An option that is JSON with the fields of a declared type."""

    def read(text: str) -> Strict:
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise argparse.ArgumentTypeError(
                ": ".join(filter(None, [f"it is no {kind.__name__}", where, first["msg"]]))
            ) from error

    return read


def _start_log(script: Path, log: Path | None) -> None:
    handlers: list[logging.Handler] = []
    handler: logging.Handler = logging.StreamHandler()
    if log:
        handlers = [_warnings_on_the_terminal(script, log)]
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(log, mode="w", encoding="utf-8")
        except OSError as error:
            raise ShiftScopeError(cannot_write(log, error)) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler, *handlers])
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log on a full disk must not bury the message on the terminal
    logger.setLevel(logging.DEBUG)


def _warnings_on_the_terminal(script: Path, log: Path) -> logging.Handler:
    """Warnings stand on the terminal, too, where the log goes to a file; errors do so by `_fail`."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    told: set[str] = set()

    def new(record: logging.LogRecord) -> bool:
        """Of one kind the first: twenty fits that did not converge are one thing to know; the log has them all."""
        first = record.msg not in told
        told.add(record.msg)
        return first and record.levelno < logging.ERROR

    handler.addFilter(new)
    handler.setFormatter(_OneLine(script, log))
    return handler


class _OneLine(logging.Formatter):
    """A warning as errors are shown; of Python's own without the file and the source line."""

    def __init__(self, script: Path, log: Path) -> None:
        super().__init__()
        self.before = "\r\033[K" if sys.stderr.isatty() else ""  # where Snakemake's live line stands
        self.script, self.log = script, log

    def format(self, record: logging.LogRecord) -> str:
        """`train: warning: … [log: …]`."""
        message = record.getMessage()
        if record.name == "py.warnings":
            message = message.partition("\n")[0].partition(": ")[2]
        return f"{self.before}{self.script.stem}: warning: {' '.join(message.split())} [log: {self.log}]"


def _limit_threads(threads: int) -> None:
    """Results are fixed for a machine and a thread count, so the count is set, never inherited."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)  # for libraries loaded from here on: torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)  # for those already loaded: numpy's BLAS
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


@contextmanager
def _alone(script: Path) -> Iterator[None]:
    """Let no two runs of this very command write beside each other, and the newest write last.

    When Snakemake was killed, the jobs it had started still run. A newer run of such a job waits for it. An older one
    that comes too late, for it waited itself or was slow to start, gives up: what it wrote would be newer than
    Snakemake's record of it, and would be made again. Where there are no locks (some network file systems) every file
    is still written atomically, with the same content.

    Raises:
        ShiftScopeError: a newer run of the command is at work or has ended.
    """
    name = hashlib.sha256("\0".join([str(script), *sys.argv[1:]]).encode()).hexdigest()[:24]
    runs = Path("work/locks") / name  # a file for each, named by the time when it was started
    started = round(_started(), 3)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        (runs / str(started)).touch()
        lock = os.open(runs, os.O_RDONLY)
    except OSError:
        yield  # where nothing can be written there, there is no training state to share either
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{script.stem}: another process is running the same command: waiting for it to end", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass
        others = {run: float(run.name) for run in runs.iterdir()}
        if any(started < other <= time.time() for other in others.values()):  # later than now: the clock was set back
            raise ShiftScopeError("a newer run of the same command is at work, or has ended: this one gives up")
        yield
        for run, other in others.items():
            if other != started:
                run.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _started() -> float:
    """When this process was started, in seconds since 1970; where the system does not tell, now."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])  # since boot
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.time()


def _trace(script: Path, log: Path | None) -> None:
    """Append one line to the file `SHIFTSCOPE_TRACE` names: which node was really executed (for tests)."""
    trace = os.environ.get("SHIFTSCOPE_TRACE")
    if trace:
        with Path(trace).open("a", encoding="utf-8") as opened:
            opened.write(f"{log or script.stem}\n")


def _keep_freed_memory() -> None:
    """Tell glibc to reuse freed blocks: it returns large ones to the system, and the next training step wants them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent where the C library is another
    if mallopt:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)  # bytes; the most it accepts


def _fail(script: Path, message: str, log: Path | None) -> typing.NoReturn:
    if logging.getLogger().handlers:
        logger.error(message)
    where = f" [log: {log}]" if log and log.is_file() else ""
    print(f"{script.stem}: {' '.join(message.split())}{where}", file=sys.stderr)
    raise SystemExit(1)


def _check_modules(script: Path, declared: list[Path] | None) -> None:
    """Every shiftscope module in memory must be one of the rule's inputs and lie in this clone.

    Raises:
        ShiftScopeError: a module was loaded that the rule does not declare (its change would not make the output
            stale), or an installed copy of another clone was imported.
    """
    loaded = [Path(module.__file__).resolve() for name, module in list(sys.modules.items())
              if name.split(".")[0] == "shiftscope" and getattr(module, "__file__", None)]  # fmt: skip
    home = script.parents[1] / "src"
    for file in loaded:
        if script.parent.name == "scripts" and not file.is_relative_to(home):
            raise ShiftScopeError(
                f"{file} was loaded from another copy of shiftscope than {home}: "
                "run `make install` in this clone, or `pip install -e .` in its environment"
            )
    if declared is not None:
        missing = sorted(set(loaded) - {file.resolve() for file in declared})
        if missing:
            names = ", ".join(str(file.relative_to(SOURCE)) for file in missing)
            raise ShiftScopeError(
                f"{script.name} loaded {names}, which its rule does not declare as code: "
                "import it by name in the script or add it to the rule's modules_of(…)"
            )


def state_folder(params: Strict, inputs: Sequence[Path], modules: Sequence[str] = (), more: Any = None) -> Path:
    """Where a job keeps what it has done so far: `work/state/<digest of config slice, code and inputs>`; `more`
    is what else the job was asked.

    A killed job that is started again finds its state; one whose config, code or input changed finds an empty
    folder and starts at step 0.
    """
    script = Path(sys.argv[0]).resolve()
    code = code_of(script, list(modules), SOURCE) if script.suffix == ".py" and script.exists() else []
    asked = [params.model_dump(mode="json"), more]
    parts = [canonical_json(asked), *(sha256_of(path) for path in [*inputs, *code])]
    return Path("work/state") / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
