"""What stops the workflow: a Snakemake whose records are others than the ledger knows."""

import pytest
from helpers import warm


@pytest.mark.workflow
@pytest.mark.parametrize(
    "change", ["persistence.RECORD_FORMAT_VERSION = 7", "persistence.MetadataRecord.__pydantic_fields__.pop('log')"]
)
def test_other_internals_of_snakemake_stop_the_workflow(clone, change):
    program = f"from snakemake import cli, persistence; {change}; cli.main()"
    done = warm.run(["python", "-c", program, "-n"], clone)
    assert done.returncode == 1
    assert "keeps its records otherwise than format 6" in done.stdout + done.stderr
