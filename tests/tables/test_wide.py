"""Tables as people read them: wide, and written as files."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from helpers.clone import ROOT
from helpers.fake_metrics import language_rows, synthetic_rows
from helpers.tables import built, metrics_of, write

from shiftscope.evaluation.parts import write_part
from shiftscope.metrics.correlation import MCC_SEEDS_DECODER
from shiftscope.tables.base import entry
from shiftscope.tables.wide import sheet


def test_sheet_has_a_row_per_variant_and_controls_beside_their_metric(tmp_path):
    wide = sheet(built("table_a2", language_rows(), tmp_path), MCC_SEEDS_DECODER)
    assert wide.keys == ["dataset", "codes", "variant"]
    assert len(wide.rows) == 5 * 5
    kinds = [column.kind for column in wide.columns if column.metric == "mcc_truth"]
    assert kinds == ["mean", "untrained_lm", "ceiling"]


@pytest.mark.parametrize("name", ["table_a2", "table_a6", "figure_a2"])
def test_outputs_are_the_same_bytes_each_time(tmp_path, name):
    module = entry(name)
    metrics = metrics_of({"synthetic": synthetic_rows, "language": language_rows}[module.PARTS](), tmp_path)
    contents = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        table = module.build(metrics)
        contents.append({path.name: path.read_bytes() for path in write(name, table, folder)})
    assert contents[0] == contents[1]
    assert len(contents[0]) == (4 if name.startswith("figure_") else 3)
    text = contents[0][f"{name}.md"].decode()
    assert module.CLAIM in text
    assert text.count("\n| ") == 1 + 1 + len(sheet(table, module.METRICS[0]).rows)


def test_the_script_makes_a_table_from_the_command_line(tmp_path):
    write_part(tmp_path / "part.parquet", synthetic_rows())

    def script(params):
        command = [sys.executable, ROOT / "scripts/make_table.py", "--parts", tmp_path / "part.parquet", *named]
        return subprocess.run([*command, "--params", json.dumps(params)], capture_output=True, text=True)

    out = [tmp_path / f"table_a6.{ending}" for ending in ("parquet", "csv", "md")]
    named = ["--table", out[0], "--csv", out[1], "--markdown", out[2]]
    done = script({"entry": "table_a6", "hidden": []})
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(out[0])
    assert pd.read_csv(out[1])["mean"].to_numpy() == pytest.approx(table["mean"].to_numpy(), abs=1e-5)

    done = script({"entry": "tabel_a6", "hidden": []})
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("did you mean 'table_a6'?")

    done = script({"entry": "table_a6"})
    assert done.returncode == 2 and "it is no EntrySlice: hidden: Field required" in done.stderr
