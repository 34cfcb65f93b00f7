"""Metric parts, the catalogue of tables and figures, and their verdicts."""

import doctest
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_metrics import LANGUAGE, SYNTHETIC, language_rows, row, synthetic_rows

from shiftscope.errors import ShiftScopeError
from shiftscope.parts import SCHEMA, read_parts, write_part
from shiftscope.tables import verdicts, words
from shiftscope.tables.catalogue import NEEDS, entry, names
from shiftscope.tables.drawing import write_figure
from shiftscope.tables.sheet import sheet, write_table

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    paths = {"synthetic": folder / "synthetic.parquet", "language": folder / "language.parquet"}
    write_part(paths["synthetic"], synthetic_rows())
    write_part(paths["language"], language_rows())
    return paths


def built(name, rows, tmp_path):
    write_part(tmp_path / "part.parquet", rows)
    return entry(name).build(read_parts([tmp_path / "part.parquet"]))


def one(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


# --- parts


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
        ({"metric": "mcc_true"}, "row 0 has the unknown metric 'mcc_true'"),
        ({"control": "chance"}, "row 0 has control 'chance': allowed are"),
        ({"split": "validation"}, "row 0 has split 'validation': allowed are"),
        ({"codes": None}, "row 0 has no codes"),
        ({"value": float("nan")}, r"row 0 \(mcc_truth of ssae on synth_3_2\) has the value nan"),
        ({"value": float("inf")}, "has the value inf"),
    ],
)
def test_parts_refuse_what_is_not_in_the_schema(tmp_path, change, message):
    with pytest.raises(ShiftScopeError, match=message):
        write_part(tmp_path / "part.parquet", [row("synth_3_2", "ssae", "mcc_truth", 1.0, 3) | change])
    assert not list(tmp_path.iterdir())


def test_parts_accept_further_truths_and_refuse_nothing_at_all(tmp_path):
    write_part(tmp_path / "part.parquet", [row("cat_135_3", "ssae", "mcc_truth_onehot", 0.9, 27)])
    with pytest.raises(ShiftScopeError, match="no metric rows"):
        write_part(tmp_path / "none.parquet", [])
    with pytest.raises(ShiftScopeError, match="no metric parts were given"):
        read_parts([])


def test_hidden_variants_are_left_out(parts):
    everything, rest = read_parts([parts["language"]]), read_parts([parts["language"]], ["ssae_paper"])
    assert set(everything["variant"]) - set(rest["variant"]) == {"ssae_paper"}
    assert len(rest) == (everything["variant"] != "ssae_paper").sum()


def test_damaged_and_foreign_parts_are_named(tmp_path):
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ShiftScopeError, match=r"damaged\.parquet is not a readable Parquet file"):
        read_parts([tmp_path / "damaged.parquet"])
    pd.DataFrame({"value": [1.0]}).to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(ShiftScopeError, match=r"foreign\.parquet has the columns \['value'\]"):
        read_parts([tmp_path / "foreign.parquet"])


# --- catalogue


def test_catalogue_is_found_by_file_name_and_complete():
    assert {"table_a2", "table_a6", "figure_a2"} <= set(names())
    for name in names():
        module = entry(name)
        assert module.PARTS in NEEDS
        assert set(module.PUBLISHED) <= set(module.METRICS)
        assert all(
            isinstance(text, str) and text for text in (module.TITLE, module.CLAIM, module.SOURCE, module.__doc__)
        )
        assert hasattr(module, "draw") == name.startswith("figure_")


def test_unknown_entry_names_the_nearest():
    with pytest.raises(ShiftScopeError, match=r"unknown table or figure 'table_a22'.*did you mean table_a2\?"):
        entry("table_a22")


def test_catalogue_is_light_while_the_snakefile_is_parsed():
    code = (
        "import sys; from shiftscope.tables.catalogue import NEEDS, entry, names; [entry(name) for name in names()]; "
        "heavy = {'numpy', 'pandas', 'pyarrow', 'scipy', 'matplotlib', 'torch'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- tables


def test_table_a6_summarises_selected_models_over_seeds_and_data(parts):
    metrics = read_parts([parts["synthetic"]])
    table = entry("table_a6").build(metrics)
    found = one(table, dataset="synth_10_7", variant="ssae", metric="mcc_truth")
    values = metrics.query(
        "dataset == 'synth_10_7' and variant == 'ssae' and metric == 'mcc_truth' and control == '' and selected"
    )["value"]
    assert (found["mean"], found["n"]) == (pytest.approx(values.mean()), 12)
    assert found["minimum"] == values.min() > 0.9  # the unselected setting scores .1
    assert found["low"] < found["mean"] < found["high"]
    assert found["ceiling"] == 1.0  # written without a variant, so it stands beside each
    assert 0.1 < found["permuted_labels"] < 0.2
    assert pd.isna(found["untrained_lm"])
    assert pd.isna(found["published"])
    assert found["rival"] == "affine"
    affine = one(table, dataset="synth_10_7", variant="affine", metric="mcc_truth")
    assert found["difference"] == pytest.approx(found["mean"] - affine["mean"])
    assert list(dict.fromkeys(table["dataset"])) == list(SYNTHETIC)


def test_only_final_held_out_rows_of_the_training_dataset_count(tmp_path):
    kept = [row("own", "ssae", "mcc_truth", 0.8, 4, seed=seed) for seed in (0, 1)]
    other = [
        row("own", "ssae", "mcc_truth", 0.1, 4, seed=0, step=100),
        row("own", "ssae", "mcc_truth", 0.1, 4, seed=0, split="train"),
        row("own", "ssae", "mcc_truth", 0.1, 4, seed=0, eval_dataset="binary_2_2"),
        row("own", "ssae", "reconstruction", 0.1, 4, seed=0),
    ]
    table = built("table_a6", kept + other, tmp_path)
    assert table[["mean", "n"]].to_numpy().tolist() == [[0.8, 2]]


@pytest.mark.parametrize("name", [name for name in names() if name not in ("table_a6s", "figure_a5", "figure_pairs")])
def test_datasets_without_the_metrics_give_an_honest_empty_table(tmp_path, caplog, name):
    table = built(name, [row("own", "ssae", "l0", 2.0, 4, seed=0)], tmp_path)
    module = entry(name)
    assert len(table) == 0
    assert "no selected row of" in caplog.text
    assert (module.verdict(table)[0], module.finding(table)) == (verdicts.NOT_TESTED, "")
    write_table(table, module, tmp_path / "t.parquet", tmp_path / "t.csv", tmp_path / "t.md")
    assert "Not tested" in (tmp_path / "t.md").read_text()
    if name.startswith("figure_"):
        write_figure(module, table, tmp_path / "t.svg")
        assert "No dataset has what this figure shows" in (tmp_path / "t.svg").read_text()


def test_published_numbers_stand_beside_every_variant_of_the_system(parts):
    table = entry("table_a2").build(read_parts([parts["language"]]))
    cat = table[(table["dataset"] == "cat_135_3") & (table["metric"] == "mcc_seeds_decoder")].set_index("variant")
    assert cat["published"].to_dict() == {
        "ssae": 0.906, "ssae_paper": 0.906, "ssae_paper_repaired": 0.906, "affine": 0.66, "affine_paper": 0.66,
    }  # fmt: skip
    assert cat.loc["ssae", "untrained_lm"] > 0.9
    assert list(dict.fromkeys(table["dataset"])) == list(LANGUAGE)
    truth = table[table["metric"] == "mcc_truth"]
    assert set(truth["dataset"]) == {"binary_2_2", "cat_135_3"}


def test_further_truths_get_rows_of_their_own(tmp_path):
    rows = [row("cat_135_3", "ssae", metric, 0.9, 27, seed=0) for metric in ("mcc_truth", "mcc_truth_onehot")]
    assert set(built("table_a2", rows, tmp_path)["metric"]) == {"mcc_truth", "mcc_truth_onehot"}


def test_figure_a2_keeps_the_spread_over_pairs_and_what_was_not_run(parts):
    table = entry("figure_a2").build(read_parts([parts["language"]]))
    lang = table[table["dataset"] == "lang_1_1"]
    found = one(lang, variant="ssae", metric="cosine_heldout")
    assert found["sd_pairs"] == pytest.approx(0.08)
    assert found["no_steering"] == pytest.approx(0.47)
    assert found["n"] == 4
    alone = one(lang, variant="mean_difference", metric="cosine_published")
    assert pd.isna(alone["low"])
    assert pd.isna(alone["sd"])
    foreign = one(lang, variant="pretrained_sae")
    assert (foreign["published"], foreign["n"]) == (0.49, 0)
    assert pd.isna(foreign["mean"])


# --- verdicts


def synthetic_case(levels, permuted=0.1):
    rows = []
    for variant, level in levels.items():
        for seed in range(4):
            value = level - 0.001 * seed
            rows.append(row("synth_3_2", variant, "mcc_truth", value, 3, seed=seed))
            rows.append(row("synth_3_2", variant, "mcc_truth", permuted, 3, seed=seed, control="permuted_labels"))
    return rows


@pytest.mark.parametrize(
    ("levels", "permuted", "status"),
    [
        ({"ssae": 1.0, "affine": 0.5}, 0.1, verdicts.REPRODUCED),
        ({"ssae": 1.0, "affine": 0.5, "ssae_paper": 0.99, "affine_paper": 0.5}, 0.1, verdicts.REPRODUCED),
        ({"ssae": 1.0, "affine": 0.5, "ssae_paper": 0.6, "affine_paper": 0.5}, 0.1, verdicts.OUR_RECIPE),
        ({"ssae": 0.8, "affine": 0.5}, 0.1, verdicts.NOT_REPRODUCED),
        ({"ssae": 1.0, "affine": 1.0}, 0.1, verdicts.NOT_REPRODUCED),
        ({"ssae": 1.0, "affine": 0.5}, 0.99, verdicts.WITHOUT_CONTROL),
        ({"ssae": 1.0}, 0.1, verdicts.NOT_TESTED),
    ],
)
def test_verdict_on_recovery(tmp_path, levels, permuted, status):
    table = built("table_a6", synthetic_case(levels, permuted), tmp_path)
    assert entry("table_a6").verdict(table)[0] == status


def agreement_case(ssae, affine, untrained):
    rows = []
    for variant, level in (("ssae", ssae), ("affine", affine)):
        for seed, other in ((0, 1), (0, 2), (1, 2)):
            for control, value in (("", level), ("untrained_lm", untrained)):
                rows.append(
                    row("cat_135_3", variant, "mcc_seeds_decoder", value, 27, seed=seed, seed_2=other, control=control)
                )
    return rows


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ((0.95, 0.6, 0.7), verdicts.REPRODUCED),
        ((0.95, 0.6, 0.94), verdicts.WITHOUT_CONTROL),
        ((0.8, 0.6, 0.5), verdicts.NOT_REPRODUCED),
        ((0.95, 0.95, 0.5), verdicts.NOT_REPRODUCED),
    ],
)
def test_verdict_on_agreement_asks_the_untrained_network(tmp_path, scores, status):
    module = entry("table_a2")
    table = built("table_a2", agreement_case(*scores), tmp_path)
    assert module.verdict(table)[0] == status
    assert ("trained or not" in module.finding(table)) == (status == verdicts.WITHOUT_CONTROL)


def steering_case(published, heldout, random_heldout):
    """Published and held-out scores of ssae, beside affine at .6, PCA at .5 and no steering at .4."""
    rows = []
    for variant, scores in (("ssae", (published, heldout)), ("affine", (0.6, 0.6)), ("pca", (0.5, 0.5))):
        for seed in range(2):
            here = {"seed": seed, "split": "single", "concept": "c"}
            for metric, value in zip(("cosine_published", "cosine_heldout"), scores, strict=True):
                rows.append(row("lang_1_1", variant, metric, value, 1, **here))
    here = {"split": "single", "concept": "c"}
    rows.append(row("lang_1_1", "", "cosine_heldout", 0.4, 1, **here, control="no_steering"))
    rows.append(row("lang_1_1", "", "cosine_heldout", random_heldout, 1, **here, control="random_dictionary"))
    return rows


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ((0.7, 0.7, 0.5), verdicts.REPRODUCED),
        ((0.7, 0.5, 0.4), verdicts.WITHOUT_CONTROL),
        ((0.7, 0.7, 0.8), verdicts.WITHOUT_CONTROL),
        ((0.55, 0.7, 0.5), verdicts.NOT_REPRODUCED),
    ],
)
def test_verdict_on_steering_asks_the_held_out_score(tmp_path, scores, status):
    assert entry("figure_a2").verdict(built("figure_a2", steering_case(*scores), tmp_path))[0] == status


def test_findings_are_empty_without_a_sparse_variant(tmp_path):
    rows = [row("lang_1_1", "pca", metric, 0.5, 1, seed=0) for metric in ("cosine_heldout", "cosine_published")]
    module = entry("figure_a2")
    table = built("figure_a2", rows, tmp_path)
    assert module.finding(table) == ""
    assert module.verdict(table)[0] == verdicts.NOT_TESTED


# --- what people read


def test_numbers_are_written_for_people():
    assert doctest.testmod(words).failed == 0
    assert words.number(-0.0001) == ".000"
    assert words.number(0.05, signed=True) == "+.050"
    assert words.span([0.42, 0.996]) == ".420 to .996"
    assert words.span([float("nan")]) == words.ABSENT
    assert words.spoken(0.996) == ".996"


def test_sheet_has_a_row_per_variant_and_controls_beside_their_metric(parts):
    table = entry("table_a2").build(read_parts([parts["language"]]))
    wide = sheet(table, "mcc_seeds_decoder")
    assert wide.keys == ["dataset", "codes", "variant"]
    assert len(wide.rows) == 5 * 5
    kinds = [column.kind for column in wide.columns if column.metric == "mcc_truth"]
    assert kinds == ["mean", "untrained_lm", "ceiling"]


@pytest.mark.parametrize("name", ["table_a2", "table_a6", "figure_a2"])
def test_outputs_are_the_same_bytes_each_time(parts, tmp_path, name):
    module = entry(name)
    metrics = read_parts([parts[module.PARTS]])
    written = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        table = module.build(metrics)
        write_table(table, module, folder / f"{name}.parquet", folder / f"{name}.csv", folder / f"{name}.md")
        if name.startswith("figure_"):
            write_figure(module, table, folder / f"{name}.svg")
        written.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert written[0] == written[1]
    text = written[0][f"{name}.md"].decode()
    assert module.CLAIM in text
    assert text.count("\n| ") == 1 + 1 + len(sheet(table, module.METRICS[0]).rows)


def test_figure_follows_the_page_and_refers_to_nothing_outside(parts, tmp_path):
    module = entry("figure_a2")
    write_figure(module, module.build(read_parts([parts["language"]])), tmp_path / "figure_a2.svg")
    text = (tmp_path / "figure_a2.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == module.TITLE
    written = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ssae", "affine", "pretrained_sae", "cat_135_3, 27 codes", "no steering"} <= set(written)
    assert "prefers-color-scheme:dark" in text
    assert "currentColor" in text
    references = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert references
    assert all(reference.startswith("#figure_a2-") for reference in references)


def test_scripts_make_a_table_and_all_metrics_from_the_command_line(parts, tmp_path):
    def script(name, *arguments):
        command = [sys.executable, ROOT / "scripts" / name, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    out = [tmp_path / f"table_a6.{ending}" for ending in ("parquet", "csv", "md")]
    named = ["--table", out[0], "--csv", out[1], "--markdown", out[2]]
    done = script("table.py", "--parts", parts["synthetic"], *named, "--params", json.dumps({"table": "table_a6"}))
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(out[0])
    assert pd.read_csv(out[1])["mean"].to_numpy() == pytest.approx(table["mean"].to_numpy(), abs=1e-5)

    done = script("table.py", "--parts", parts["synthetic"], *named, "--params", json.dumps({"table": "tabel_a6"}))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("did you mean table_a6?")

    files = ("--metrics", tmp_path / "metrics.parquet", "--means", tmp_path / "metrics.json")
    done = script("collect_metrics.py", "--parts", *parts.values(), *files)
    assert done.returncode == 0, done.stderr
    means = json.loads((tmp_path / "metrics.json").read_text())
    chosen = [row for row in synthetic_rows() if row["selected"] and not row["control"]]
    [row, *_] = [row for row in chosen if row["metric"] == "mcc_truth"]
    key = (row["dataset"], row["variant"], row["codes"], row["metric"])
    same = [r["value"] for r in chosen if (r["dataset"], r["variant"], r["codes"], r["metric"]) == key]
    found = means["synthetic"][row["dataset"]][f"{row['variant']}_{row['codes']}"]["mcc_truth"]
    assert found == pytest.approx(sum(same) / len(same), abs=1e-6)
    assert len(read_parts([tmp_path / "metrics.parquet"])) == len(synthetic_rows()) + len(language_rows())
