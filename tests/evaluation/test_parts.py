"""Metric parts: their schema, what they refuse, and the means of all."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers.answers import part_rows
from helpers.clone import ROOT
from helpers.fake_metrics import language_rows, mapped_rows, row, synthetic_rows

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.parts import SCHEMA, means_by_name, read_parts, write_part


def test_parts_hold_what_was_written_whatever_the_order(tmp_path):
    rows = language_rows(seeds=2)
    write_part(tmp_path / "a.parquet", rows)
    write_part(tmp_path / "b.parquet", rows[::-1])
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    found = read_parts([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert len(found) == 2 * len(rows)
    assert found["value"].sum() == pytest.approx(2 * sum(row["value"] for row in rows))
    assert str(found["seed_2"].dtype) == "Int32"


def test_parts_keep_every_value_to_the_bit(tmp_path):
    values = [0.1, -1 / 3, 5e-324, 1.7e308, 2**53 + 1, 0, np.float32(0.1), np.float64(1e-7), np.int64(3)]
    names = ["é\n", 'a "quoted" \\', "null", "3", "", None]
    rows = [
        row("own", "ssae", "mcc_truth", values[n % len(values)], np.int32(3), seed=n, concept=names[n % len(names)])
        for n in range(6000)  # more than pyarrow reads at once
    ]
    write_part(tmp_path / "part.parquet", rows)
    written = pq.read_table(tmp_path / "part.parquet")
    assert written.schema.equals(SCHEMA)
    found = {one["seed"]: (one["value"], one["concept"], one["codes"]) for one in written.to_pylist()}
    assert found == {one["seed"]: (float(one["value"]), one["concept"], 3) for one in rows}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sede": 1}, "row 0 has the unknown column 'sede'"),
        ({"metric": "mcc_true"}, "row 0: metric 'mcc_true' is unknown"),
        ({"control": "chance"}, "row 0 has control 'chance': allowed are"),
        ({"split": "validation"}, "row 0 has split 'validation': allowed are"),
        ({"codes": None}, "row 0 has no codes"),
        ({"kind": None}, "row 0 has no kind"),
        ({"value": float("nan")}, r"row 0 \(mcc_truth of ssae on synth_3_2\) has the value nan"),
        ({"value": float("inf")}, "has the value inf"),
    ],
)
def test_parts_refuse_what_is_not_in_the_schema(tmp_path, change, message):
    with pytest.raises(ShiftScopeError, match=message):
        write_part(tmp_path / "part.parquet", [row("synth_3_2", "ssae", "mcc_truth", 1.0, 3) | change])
    assert not list(tmp_path.iterdir())


def test_a_hidden_variant_is_hidden_with_its_paths(tmp_path):
    names = ("mine", "mine (sparse path)", "mine (structured path)", "mine_too", "other (sparse path)")
    write_part(tmp_path / "part.parquet", [row("text", name, "fvu", 0.1, 3, seed=0) for name in names])
    found = read_parts([tmp_path / "part.parquet"], hidden=["mine"])
    assert found["variant"].tolist() == ["mine_too", "other (sparse path)"]


def test_parts_accept_further_truths_and_refuse_nothing_at_all(tmp_path):
    write_part(tmp_path / "part.parquet", [row("cat_135_3", "ssae", "mcc_truth_onehot", 0.9, 27)])
    with pytest.raises(ShiftScopeError, match="no metric rows"):
        write_part(tmp_path / "none.parquet", [])
    with pytest.raises(ShiftScopeError, match="no metric parts were given"):
        read_parts([])


def test_hidden_variants_are_left_out(tmp_path):
    part = tmp_path / "part.parquet"
    write_part(part, language_rows())
    everything, rest = read_parts([part]), read_parts([part], ["ssae_paper"])
    assert set(everything["variant"]) - set(rest["variant"]) == {"ssae_paper"}
    assert len(rest) == (everything["variant"] != "ssae_paper").sum()


def test_damaged_and_foreign_parts_are_named(tmp_path):
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ShiftScopeError, match=r"damaged\.parquet is not a readable Parquet file"):
        read_parts([tmp_path / "damaged.parquet"])
    pd.DataFrame({"value": [1.0]}).to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(ShiftScopeError, match=r"foreign\.parquet has the columns \['value'\]"):
        read_parts([tmp_path / "foreign.parquet"])


def test_mapped_embeddings_do_not_enter_the_means_of_their_language_model(tmp_path):
    write_part(
        tmp_path / "part.parquet",
        mapped_rows({"ssae": (0.95, 0.9), "affine": (0.7, 0.6)}, {"ssae": (0, 0), "affine": (0, 0)}),
    )
    means = means_by_name(read_parts([tmp_path / "part.parquet"]))
    assert means["smollm2_135m"]["cat_135_3"]["ssae_27"]["mcc_truth"] == pytest.approx(0.899)


def test_layers_have_means_of_their_own(tmp_path):
    main, further = ([row("own", "ssae", "l0", value, 4, seed=0, layer=layer)] for layer, value in
                     (("final_norm", 2.0), ("resid_post.4", 3.0)))  # fmt: skip
    for name, rows in (("main", main), ("further", further)):
        write_part(tmp_path / f"{name}.parquet", rows)
    found = means_by_name(read_parts([tmp_path / "main.parquet", tmp_path / "further.parquet"]))
    assert {lm: tree["own"]["ssae_4"]["l0"] for lm, tree in found.items()} == {
        "smollm2_135m": 2.0, "smollm2_135m@resid_post.4": 3.0,
    }  # fmt: skip


def test_means_for_dvc_leave_out_the_curve(tmp_path):
    write_part(tmp_path / "part.parquet", part_rows())
    means = means_by_name(read_parts([tmp_path / "part.parquet"]))["tiny"]["truthfulqa_1_1"]["ssae_1"]
    assert "mc2" not in means
    assert means["mc2_chosen"] == pytest.approx(0.5, abs=1e-3)


def test_the_script_collects_all_parts_and_their_means(tmp_path):
    parts = {name: tmp_path / f"{name}.parquet" for name in ("synthetic", "language")}
    write_part(parts["synthetic"], synthetic_rows())
    write_part(parts["language"], language_rows())
    files = ("--metrics", tmp_path / "metrics.parquet", "--means", tmp_path / "metrics.json")
    command = [sys.executable, ROOT / "scripts/collect_metrics.py", "--parts", *parts.values(), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    means = json.loads((tmp_path / "metrics.json").read_text())
    chosen = [row for row in synthetic_rows() if row["selected"] and not row["control"]]
    [row, *_] = [row for row in chosen if row["metric"] == "mcc_truth"]
    key = (row["dataset"], row["variant"], row["codes"], row["metric"])
    same = [r["value"] for r in chosen if (r["dataset"], r["variant"], r["codes"], r["metric"]) == key]
    found = means["synthetic"][row["dataset"]][f"{row['variant']}_{row['codes']}"]["mcc_truth"]
    assert found == pytest.approx(sum(same) / len(same), abs=1e-6)
    assert len(read_parts([tmp_path / "metrics.parquet"])) == len(synthetic_rows()) + len(language_rows())
