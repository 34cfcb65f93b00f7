"""The DAG as Snakemake sees it now: which jobs would run, and why, in words."""

import json
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow.provenance import UNKNOWN, Records


class Job(NamedTuple):
    """One job of the DAG."""

    rule: str
    inputs: list[str]
    outputs: list[str]
    stale: bool
    missing: list[str]
    """outputs that are not there and are wanted"""
    reasons: list[str]
    """why it would run by itself, in words; none if it only follows from another job"""


def jobs_of(targets: list[str], configfiles: list[str] = ()) -> list[Job]:
    """Every job on the way to `targets` (files, or names such as `table_a6`; none: everything).

    Raises:
        ShiftScopeError: Snakemake cannot build the DAG; its message.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    logging.disable(logging.WARNING)  # what Snakemake says about itself
    try:
        with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
            workflow_api = api.workflow(
                ResourceSettings(cores=1),
                ConfigSettings(configfiles=[Path(file) for file in configfiles]),
                snakefile=Path("Snakefile"),
            )
            workflow_api.dag(DAGSettings(targets=set(targets), force_incomplete=True)).execute_workflow("dryrun")
            dag = workflow_api._workflow.dag
            return [_job(dag, job) for level in dag.toposorted() for job in level]
    except Exception as error:
        words = " ".join(str(error).split())
        hint = f" (targets are files such as results/run.json, and the names {_names()})" if "No rule" in words else ""
        raise ShiftScopeError(f"the DAG cannot be built: {words}{hint}") from error
    finally:
        logging.disable(logging.NOTSET)


def _names() -> str:
    from shiftscope.tables import base as catalogue

    return ", ".join([*catalogue.names(), "embeddings", "models", "report"])


def _job(dag: Any, job: Any) -> Job:
    stale, reason = bool(dag.needrun(job)), dag.reason(job)
    missing = sorted(map(str, reason.missing_output))
    return Job(job.rule.name, list(map(str, job.input)), list(map(str, job.output)), stale, missing,
               list(_words(dag, job, reason)) if stale else [])  # fmt: skip


def _words(dag: Any, job: Any, reason: Any):
    """What Snakemake's reason means, one line each."""
    for path in sorted(map(str, reason.missing_output)):
        yield f"{path} is not there"
    for path in sorted(map(str, job.output)):
        if dag.workflow.persistence._filter_incomplete_keys([path]) and Path(path).exists():
            yield f"{path} was being written when a run was killed"
    by_jobs = set(map(str, reason.updated_input_run))
    for path in sorted(set(map(str, reason.updated_input)) - by_jobs):
        yield f"{path} has changed" + (" (code)" if path.endswith(".py") else "")
    records = Records()
    if reason.input_changed:
        known = records.get(str(job.output[0]))
        before, now = set(known.input or ()) if known else set(), set(map(str, job.input))
        yield from (f"{path} is a new input" for path in sorted(now - before))
        yield from (f"{path} is no longer an input" for path in sorted(before - now))
    if reason.code_changed:
        yield "the rule's command has changed"
    if reason.params_changed:
        yield from _changed_params(records, job, reason.params_changed)
    if reason.forced:
        yield "it is forced"


def _changed_params(records: Records, job: Any, change: Any):
    unknown = [path for path in map(str, job.output) if (rec := records.get(path)) and rec.params == [UNKNOWN]]
    yield from (f"{path} is not what was recorded: changed, damaged, or from elsewhere" for path in unknown)
    before, now = (_flat(values) for values in (change.only_old - {UNKNOWN}, change.only_new))
    if unknown and not before:
        return
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            yield f"config: {key}: {before.get(key, 'nothing')} → {now.get(key, 'nothing')}"


def _flat(serialised: Any) -> dict[str, str]:
    """Parameters as Snakemake records them (the repr of a canonical JSON string), as dotted keys."""
    flat: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
            for number, inner in enumerate(value):
                walk(inner, f"{path}[{number}]")
        else:
            flat[path] = json.dumps(value, ensure_ascii=False)

    for text in serialised:
        try:
            walk(json.loads(re.sub(r"\\(['\\])", r"\1", text[1:-1])), "")
        except ValueError:
            flat[text] = "given"
    return flat
