"""Facts about a run that change no result: versions, hardware, wall times. They are told, never compared."""

import csv
import os
import platform
import re
from collections.abc import Collection, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from shiftscope.vocabulary import SPLITS, SYNTHETIC
from shiftscope.workflow.paths import job_of_log, lm_of, parts_of_job, rule_of_benchmark

PACKAGES = ("shiftscope", "snakemake", "torch", "cooper-optim", "transformers", "numpy", "scipy", "scikit-learn",
            "pandas", "pyarrow", "safetensors", "matplotlib")  # fmt: skip


def run_facts(benchmarks: Path, logs: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What ran: `versions` by package, `hardware`, `rules`, the wall time of each, and the `warnings` of its jobs.

    Files of jobs that the resolved `config` does not ask for lie there from earlier runs, and are passed over.
    """
    names = names_of(config)
    return {
        "versions": versions(), "hardware": hardware(), "rules": wall_times(benchmarks, names),
        "warnings": warned(logs, names),
    }  # fmt: skip


def names_of(config: dict[str, Any]) -> set[str]:
    """Every name in a resolved configuration that stands in the path of a job's log or benchmark."""
    sections = (
        "corpora", "lms", "pairs", "synthetic", "simulations", "activations", "variants", "tables", "figures"
    )  # fmt: skip
    return {SYNTHETIC, "all"}.union(*(config.get(section, ()) for section in sections))


def jobs_of(folder: Path, ending: str, names: Collection[str]) -> list[Path]:
    """The files below `folder` that are of jobs whose every wildcard has one of the names."""
    found = sorted(folder.rglob(f"*.{ending}"))
    return [path for path in found if all(_known(part, names) for part in parts_of_job(path, folder))]


def _known(part: str, names: Collection[str]) -> bool:
    return lm_of(part) in names or part.startswith(("codes_", "seeds_", *(f"{split}_" for split in SPLITS)))


def warned(logs: Path, names: Collection[str]) -> list[dict[str, Any]]:
    """Of every job whose log has warnings: its `rule`, `lm` and `dataset` (each empty if it has none) and the `messages`."""
    found = []
    for path in jobs_of(logs, "log", names):
        messages = warnings_in(path)
        if messages:
            found.append(job_of_log(path, logs) | {"messages": messages})
    return found


def warnings_in(log: Path) -> list[str]:
    """The warnings that a job's log has, each once, without their time."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line.partition(" WARNING ")[2].partition(": ")[2] for line in lines if " WARNING " in line]
    found = [re.sub(r"^\S+:\d+: (?=\w*Warning: )", "", message) for message in found]  # the file that warned
    return list(dict.fromkeys(filter(None, found)))


def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages that compute something."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def hardware() -> dict[str, str]:
    """The machine on which the report was written, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def wall_times(benchmarks: Path, names: Collection[str]) -> list[dict[str, Any]]:
    """Per rule, of Snakemake's benchmark files: jobs, summed and longest wall seconds, largest memory in MiB.

    The slowest rule comes first; without the folder the list is empty.
    """
    jobs: dict[str, list[dict[str, str]]] = {}
    for path in jobs_of(benchmarks, "tsv", names):
        rule = rule_of_benchmark(path, benchmarks)
        with path.open(encoding="utf-8", newline="") as opened:
            jobs.setdefault(rule, []).extend(csv.DictReader(opened, delimiter="\t"))
    rules = [_of_rule(rule, rows) for rule, rows in jobs.items() if rows]
    return sorted(rules, key=lambda rule: (-rule["seconds"], rule["rule"]))


def _of_rule(rule: str, rows: list[dict[str, str]]) -> dict[str, Any]:
    seconds = _numbers(row["s"] for row in rows)
    return {
        "rule": rule,
        "jobs": len(rows),
        "seconds": sum(seconds),
        "longest": max(seconds, default=0.0),
        "memory": max(_numbers(row.get("max_rss", "") for row in rows), default=None),
    }


def _numbers(texts: Iterable[str]) -> list[float]:
    """Snakemake writes NA or - for what it could not measure in a job that ended at once."""
    return [float(text) for text in texts if text not in ("", "-", "NA")]
