"""The ledger by itself: what is refused instead of guessed at. What it is for is tested in pipeline/test_sharing.py."""

import pytest
import snakemake.persistence

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow import provenance


def test_the_installed_snakemake_keeps_its_records_in_the_known_format():
    assert snakemake.persistence.RECORD_FORMAT_VERSION == provenance.RECORD_FORMAT
    assert set(snakemake.persistence.MetadataRecord.model_fields) == {
        "record_format_version", "code", "rule", "input", "log", "params", "shellcmd", "incomplete", "starttime",
        "endtime", "job_hash", "conda_env", "software_stack_hash", "container_img_url", "input_checksums", "external_jobid",
    }  # fmt: skip


@pytest.mark.parametrize("row", ["<<<<<<< HEAD", '{"sha256": "no output"}', "[]"])
def test_a_damaged_ledger_is_named_by_its_line(tmp_path, monkeypatch, row):
    monkeypatch.chdir(tmp_path)
    provenance.RESULTS.mkdir()
    provenance.LEDGER.write_text(f'{{"output": "results/a"}}\n{row}\n')
    with pytest.raises(ShiftScopeError, match=r"provenance.jsonl line 2 cannot be read .*git checkout"):
        provenance.read_ledger()
