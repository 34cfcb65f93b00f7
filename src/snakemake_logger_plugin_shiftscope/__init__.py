"""Snakemake's messages as ShiftScope shows them: one live line on a terminal, one plain line per job elsewhere.

`profiles/default` chooses it (`logger: shiftscope`); Snakemake's own words, all of them, are in `.snakemake/log` as always.

It imports nothing of `shiftscope`: Snakemake loads it from wherever it is installed, before the Snakefile says which clone's
package is meant.
"""

import itertools
import subprocess
import sys
import threading
import time
from logging import ERROR, WARNING, LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from snakemake_logger_plugin_shiftscope.forecast import Forecast, duration

LAST = "all"
"""the rule whose message says where to look"""
SHOWN = 2
"""running jobs that the live line names"""
QUIET = (LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.PROGRESS, LogEvent.RESOURCES_INFO, LogEvent.SHELLCMD,
         LogEvent.RUN_INFO, LogEvent.WORKFLOW_STARTED)  # fmt: skip
"""events that only move the live line"""
NOISE = (
    "Using workflow specific profile",
    "Assuming unrestricted shared",
    "Using shell",
    "Select jobs",
    "Elapsed time",
)
"""beginnings of what Snakemake says of itself on every run"""


def config_problem(arguments: list[str]) -> str:
    """What is wrong with config.yaml and the files after `--configfile`, "" if nothing: what Snakemake says is no line."""
    files: list[str] = []
    for place, argument in enumerate(arguments):
        if argument in ("--configfile", "--configfiles"):
            files += itertools.takewhile(lambda given: not given.startswith("-"), arguments[place + 1 :])
    command = [sys.executable, "-m", "shiftscope.config.read", *files]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


class LogHandler(LogHandlerBase):
    """One line that says how far the run is, what runs, and about how long the rest takes; errors and warnings above it."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Everything goes to the stream that Snakemake would have taken."""
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.verbatim = self.common_settings.dryrun or self.common_settings.verbose
        self.forecast = Forecast()
        self.bar: tqdm | None = None
        self.told = ""
        self.ended = threading.Event()

    def emit(self, record: LogRecord) -> None:
        """Show a record. A dry run is shown as Snakemake shows it: there it is the result."""
        event = getattr(record, "event", None)
        if record.levelno >= ERROR and not self.forecast.jobs and not self.told:
            self.told = config_problem(sys.argv)
            if self.told:
                self._write(self.told)
        if self.told:
            return
        if self.verbatim:
            self._write(self.format(record))
            return
        if event is None and record.levelno < WARNING and str(record.msg).startswith(NOISE):
            return
        if "CalledProcessError" in str(record.msg):
            return  # a job's whole command; the job itself has said what went wrong, and its name follows
        if event is LogEvent.RUN_INFO:
            self._begin(record.stats)
        elif event is LogEvent.JOB_INFO:
            self.forecast.start(record.jobid, record.rule_name, record.rule_msg or record.rule_name, time.monotonic())
            self._show()
        elif event is LogEvent.JOB_FINISHED:
            self._finish(record.job_id)
        elif event is LogEvent.JOB_ERROR:
            job = self.forecast.drop(record.jobid)
            self._write(f"failed: {job.words if job else record.rule_name}")
            self._show()
        elif event not in QUIET and (event or record.levelno >= WARNING or self.bar is None):
            self._write(self.format(record))

    def _begin(self, stats: dict[str, int]) -> None:
        if self.forecast.jobs:
            return  # it is told again where the run ends
        self.forecast.jobs = {rule: count for rule, count in stats.items() if rule != "total"}
        self.began = time.monotonic()
        self._write(f"{self.forecast.total} jobs")
        if self.stream.isatty():
            self.bar = tqdm(
                total=self.forecast.total, file=self.stream, disable=False, leave=False, dynamic_ncols=True,
                bar_format="{n_fmt}/{total_fmt} |{bar:20}| {elapsed}{desc}",
            )  # fmt: skip
            threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        """The line lives while nothing happens, too."""
        while not self.ended.wait(1.0):
            with self.lock:
                self._show()

    def _finish(self, jobid: int) -> None:
        now = time.monotonic()
        job = self.forecast.finish(jobid, now)
        if job and (self.bar is None or job.rule == LAST):
            about = self._about(now)
            self._write(f"[{self.forecast.done}/{self.forecast.total}{about}] {job.words}: {duration(now - job.since)}")
        if self.bar is not None:
            self.bar.update()
            self._show()

    def _about(self, now: float) -> str:
        left = self.forecast.left(now)
        return f", about {duration(left)} left" if left else ""

    def _show(self) -> None:
        if self.bar is None:
            return
        running = sorted(self.forecast.running.values(), key=lambda job: job.since)
        names = [job.words for job in running[:SHOWN]]
        names += [f"{len(running) - SHOWN} more"] if len(running) > SHOWN else []
        self.bar.set_description_str(f"{self._about(time.monotonic())}  {' | '.join(names)}")

    def _write(self, text: str | None) -> None:
        if not text or text == "None":
            return
        if self.bar is not None:
            self.bar.clear()
        print(text, file=self.stream, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    def close(self) -> None:
        """Leave the terminal as it was, and say how long it took."""
        self.ended.set()
        with self.lock:
            if self.bar is not None:
                self.bar.close()
                self.bar = None
        done, self.forecast = self.forecast, Forecast()  # it is closed again where Python ends
        if done.done:
            self._write(f"{done.done} of {done.total} jobs in {duration(time.monotonic() - self.began)}")
        super().close()
