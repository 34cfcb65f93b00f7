"""What the terminal shows of a run: one live line, else a line per job; errors and warnings always."""

import io
import logging
import re
import shutil
import time

import pytest
from helpers.clone import ROOT
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_shiftscope import LogHandler


class Terminal(io.StringIO):
    def isatty(self):
        return True


def handler(stream, monkeypatch, tmp_path, **settings):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stderr", stream)
    made = LogHandler(OutputSettings(**settings), None)
    made.setFormatter(logging.Formatter("%(message)s"))
    return made


def tell(handler, event, message="", level=logging.INFO, **fields):
    record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    record.__dict__ |= fields | ({"event": event} if event else {})
    handler.handle(record)


def a_run(handler):
    tell(handler, None, "Building DAG of jobs...")
    tell(handler, LogEvent.RUN_INFO, "Job stats: …", stats={"train": 2, "all": 1, "total": 3})
    for jobid, (rule, words) in enumerate([("train", "train ssae"), ("train", "train pca"), ("all", "done: open it")]):
        tell(handler, LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, rule_msg=words)
        tell(handler, LogEvent.SHELLCMD, "python scripts/train.py …", shellcmd="…")
        if rule == "train":
            tell(handler, None, "a warning of Snakemake's", level=logging.WARNING)
        tell(handler, LogEvent.JOB_FINISHED, f"Finished jobid: {jobid}", job_id=jobid)
        tell(handler, LogEvent.PROGRESS, "1 of 3 steps", done=1, total=3)
    tell(handler, LogEvent.RUN_INFO, "Job stats: …", stats={"train": 2, "all": 1, "total": 3})
    handler.close()


def test_without_a_terminal_each_job_is_a_line(monkeypatch, tmp_path):
    stream = io.StringIO()
    a_run(handler(stream, monkeypatch, tmp_path))
    lines = stream.getvalue().splitlines()
    assert lines == [
        "Building DAG of jobs...", "3 jobs",
        "a warning of Snakemake's", "[1/3] train ssae: 0 s",
        "a warning of Snakemake's", "[2/3] train pca: 0 s",
        "[3/3, about 0 s left] done: open it: 0 s".replace(", about 0 s left", ""), "3 of 3 jobs in 0 s",
    ]  # fmt: skip


def test_on_a_terminal_there_is_one_live_line(monkeypatch, tmp_path):
    stream = Terminal()
    a_run(handler(stream, monkeypatch, tmp_path))
    shown = stream.getvalue()
    assert "train ssae" in shown and "| 0/3 |" not in shown and re.search(r"[0-3]/3 \|", shown)
    kept = [line.rpartition("\r")[2].strip() for line in shown.split("\n")]
    assert [line for line in kept if line and "/3 |" not in line] == [
        "Building DAG of jobs...", "3 jobs", "a warning of Snakemake's", "a warning of Snakemake's",
        "[3/3] done: open it: 0 s", "3 of 3 jobs in 0 s",
    ]  # fmt: skip


def test_a_failed_job_is_named(monkeypatch, tmp_path):
    stream = io.StringIO()
    made = handler(stream, monkeypatch, tmp_path)
    tell(made, LogEvent.RUN_INFO, stats={"train": 1, "total": 1})
    tell(made, LogEvent.JOB_INFO, jobid=1, rule_name="train", rule_msg="train ssae")
    tell(
        made,
        LogEvent.JOB_ERROR,
        "Error in rule train",
        level=logging.ERROR,
        jobid=1,
        rule_name="train",
        rule_msg="train ssae",
    )
    tell(made, LogEvent.ERROR, "RuleException:\nCalledProcessError in file …", level=logging.ERROR)
    tell(made, LogEvent.ERROR, "the DAG cannot be built", level=logging.ERROR)
    assert stream.getvalue().splitlines() == ["1 jobs", "failed: train ssae", "the DAG cannot be built"]


def test_the_live_line_lives_while_a_job_runs(monkeypatch, tmp_path):
    stream = Terminal()
    made = handler(stream, monkeypatch, tmp_path)
    tell(made, LogEvent.RUN_INFO, stats={"train": 1, "total": 1})
    tell(made, LogEvent.JOB_INFO, jobid=1, rule_name="train", rule_msg="train ssae")
    before = len(stream.getvalue())
    until = time.monotonic() + 10
    while len(stream.getvalue()) == before and time.monotonic() < until:
        time.sleep(0.05)
    assert "train ssae" in stream.getvalue()[before:]
    made.close()


def test_a_mistake_in_a_config_is_told_by_our_reader_and_not_by_snakemakes(monkeypatch, tmp_path):
    """Snakemake reads what stands after `--configfile` before the Snakefile, and shows a traceback, or no line number."""
    for name, content in {"tab.yaml": b"variants:\n\tssae: {}\n", "latin.yaml": "seeds: [ö]".encode("latin-1")}.items():
        (tmp_path / name).write_bytes(content)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    for arguments, says in (
        (["--configfile", "tab.yaml", "-n"], "config: tab.yaml is not valid YAML"),
        (["--configfiles", "latin.yaml"], "config: latin.yaml is not UTF-8"),
        (["table_a6", "--configfile", "gone.yaml"], "config: cannot read the config gone.yaml"),
        (["--configfile", "config.yaml", "table_a6"], "targets stand before `--configfile`"),
        (["--cores", "1"], "Traceback: odd"),
        (["--configfile", "config.yaml"], "Traceback: odd"),
    ):
        stream = io.StringIO()
        made = handler(stream, monkeypatch, tmp_path)
        monkeypatch.setattr("sys.argv", ["snakemake", *arguments])
        tell(made, LogEvent.ERROR, "Traceback: odd", level=logging.ERROR)
        assert says in stream.getvalue()
        assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("settings", [{"dryrun": True}, {"verbose": True}])
def test_a_dry_run_is_shown_as_snakemake_shows_it(monkeypatch, tmp_path, settings):
    stream = io.StringIO()
    made = handler(stream, monkeypatch, tmp_path, **settings)
    tell(made, LogEvent.RUN_INFO, "Job stats: …", stats={"train": 1, "total": 1})
    tell(made, LogEvent.JOB_INFO, "Rule: train", jobid=1, rule_name="train", rule_msg="train ssae")
    assert stream.getvalue().splitlines() == ["Job stats: …", "Rule: train"]
