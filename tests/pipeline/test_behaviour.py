"""Behaviour on TruthfulQA's questions, from a folder with a model and a file of questions to the table."""

import json
import shutil

import pytest
from helpers.clone import snakemake
from helpers.configs import truthfulqa_config
from helpers.questions import question, save
from helpers.tiny_lms import save_lm

from shiftscope.evaluation.parts import read_parts


@pytest.mark.workflow
def test_the_workflow_measures_a_tiny_model_on_tiny_questions(clone, tmp_path):
    """From a folder with a model and a file of questions to the table, once; then nothing is left to do."""
    folder = tmp_path / "clone"
    file = save(tmp_path / "mc_task.json", [question(number) for number in range(20)])
    shutil.copytree(clone, folder)
    save_lm(folder / "lm")
    text = json.dumps(
        truthfulqa_config(
            lms={"tiny": {"source": "folder", "path": "lm"}},
            pairs={"truthfulqa_1_1": {"path": str(file.parent), "template": "{question} : {answer}"}},
            synthetic={},
            activations={},
            variants={"ssae": {"steps": 60}},
            behaviour={"truthfulqa_1_1": {"doses": [-1, 1], "random": 2, "neutral": "neutral.txt"}},
        )
    )
    (folder / "neutral.txt").write_text("the king is red\nthe queen in a book\n")
    save(folder / "config/tiny.json", text)
    given = ("--configfile", "config/tiny.json")
    done = snakemake(folder, "table_truthfulqa", config=given)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = read_parts([folder / "results/parts/tiny/behaviour/truthfulqa_1_1.parquet"])
    assert set(rows["metric"]) >= {"mc1_accuracy", "mc2", "perplexity", "mc2_chosen", "dose_chosen"}
    curve = rows[(rows["metric"] == "mc2") & (rows["variant"] == "ssae") & (rows["control"] == "")]
    assert sorted(set(curve["dose"])) == [-1, 0, 1]
    assert sorted(set(curve["seed"])) == [0, 1]
    unsteered = rows[(rows["metric"] == "mc2") & (rows["control"] == "no_steering")]["value"].item()
    assert set(curve.loc[curve["dose"] == 0, "value"]) == {unsteered}
    assert set(curve.loc[curve["dose"] == 1, "value"]) != {unsteered}
    assert "mc2, steered" in (folder / "results/tables/table_truthfulqa.md").read_text()
    assert not list((folder / "work").rglob("texts_*"))
    again = snakemake(folder, "table_truthfulqa", "--dry-run", config=given)
    assert "Nothing to be done" in again.stdout + again.stderr
    entries = json.loads(file.read_text())
    save(file, entries[:-1])  # the user's file is compared by its content
    changed = snakemake(folder, "table_truthfulqa", "--dry-run", config=given)
    assert "make_pairs" in changed.stdout + changed.stderr
