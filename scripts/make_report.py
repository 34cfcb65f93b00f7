"""Writes the report, one self-contained page, of tables, figures, exported vectors and what was run."""

from pathlib import Path

from shiftscope.files import write_json, write_text
from shiftscope.report.page import ReportSlice, render
from shiftscope.report.run_facts import run_facts
from shiftscope.workflow.job import run


def main(
    tables: list[Path],
    figures: list[Path],
    vectors: list[Path],
    params: ReportSlice,
    report: Path,
    run: Path,
    benchmarks: Path,
    logs: Path,
    samples: list[Path] = [],  # noqa: B006 (job reads it)
) -> None:
    facts = run_facts(benchmarks, logs, params.config)
    write_json(run, facts)
    write_text(
        report, render(tables, figures, vectors, params.config, facts, report, params.latents, samples, params.vectors)
    )


if __name__ == "__main__":
    run(main)
