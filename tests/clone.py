"""The workflow as a user has it: Snakemake in a clone of the working tree."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEST_CONFIG = ("--configfile", "config/test.yaml")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def snakemake(folder: Path, *arguments: str, config: tuple[str, ...] = TEST_CONFIG) -> subprocess.CompletedProcess:
    """Run Snakemake in a folder; targets come first, for `--configfile` takes all names that follow it."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", *config]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
