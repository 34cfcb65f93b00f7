"""How long the rest of a run takes, from what its jobs have taken so far and what the ledger says of earlier ones."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

LEDGER = Path("results/provenance.jsonl")
LEAST = 3
"""jobs that must have ended before those of which nothing is known are guessed to take as long"""


class Running(NamedTuple):
    """A job at work: its rule, what the user is told that it does, and since when, in seconds."""

    rule: str
    words: str
    since: float


class Forecast:
    """Seconds that are left; `jobs` says how many of each rule run in all."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.running: dict[int, Running] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.ended: Counter[str] = Counter()
        self.most = 1
        """jobs that were seen at work at the same time"""
        self.earlier = earlier_seconds()

    @property
    def total(self) -> int:
        """All jobs."""
        return sum(self.jobs.values())

    @property
    def done(self) -> int:
        """Jobs that have ended."""
        return self.ended.total()

    def start(self, jobid: int, rule: str, words: str, now: float) -> None:
        """A job begins."""
        self.running[jobid] = Running(rule, words, now)
        self.most = max(self.most, len(self.running))

    def finish(self, jobid: int, now: float) -> Running | None:
        """A job has ended well; what it was."""
        job = self.drop(jobid)
        if job:
            self.seconds[job.rule].append(now - job.since)
            self.ended[job.rule] += 1
        return job

    def drop(self, jobid: int) -> Running | None:
        """A job has ended; what it was."""
        return self.running.pop(jobid, None)

    def left(self, now: float) -> float | None:
        """Seconds until the last job ends, None while too little is known."""
        every = [seconds for found in self.seconds.values() for seconds in found]
        unknown = [rule for rule in self.jobs if not self.seconds[rule] and rule not in self.earlier]
        if unknown and len(every) < LEAST:
            return None
        guess = median(every) if every else 0.0  # not the mean: some rules take a hundred times as long as others
        each = {rule: fmean(self.seconds[rule] or [self.earlier.get(rule, guess)]) for rule in self.jobs}
        spent = sum(min(now - job.since, each.get(job.rule, 0)) for job in self.running.values())
        work = sum(each[rule] * max(0, self.jobs[rule] - self.ended[rule]) for rule in self.jobs)
        return max(0.0, work - spent) / self.most


def earlier_seconds() -> dict[str, float]:
    """What a job of each rule has taken on average, by the ledger, in seconds."""
    taken: dict[str, dict[str, float]] = defaultdict(dict)
    try:
        for row in LEDGER.read_text(encoding="utf-8").splitlines():
            line = json.loads(row)
            taken[line["rule"]][str(line["log"])] = line["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a fresh clone, or a ledger that is refused elsewhere
    return {rule: fmean(found.values()) for rule, found in taken.items()}


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 10 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
