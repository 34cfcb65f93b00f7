"""`make verify` and `make why`: what is there, whether its bytes are those that were recorded, and why it would run."""

from collections import Counter
from pathlib import Path

from shiftscope.workflow import provenance


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
