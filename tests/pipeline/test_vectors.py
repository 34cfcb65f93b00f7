"""Own pairs in, steering vectors out: the whole of `make vectors` on a tiny language model, and what an edit makes again."""

import csv
import json
import random
import shutil

import pytest
import yaml
from helpers.clone import ROOT, snakemake, summary
from helpers.tiny_lms import WORDS, save_lm

from shiftscope.config.from_pairs import config_of

pytestmark = pytest.mark.workflow
CONFIG = "work/vectors/mine.yaml"
HERE = ("--configfile", CONFIG)
QUICK = {
    "ssae": {"steps": 60, "grid": {"shrinkage": [0.1, 1]}},
    "shared": {"trained_with": "ssae"},
    "pca": {"trained_with": "ssae"},
}


def write_config(folder, codes, **given):
    sections = config_of(["mine.csv"], "lm", {"lm": {"source": "folder", "path": "lm"}}, given, codes) | {
        "variants": QUICK,
        "seeds": ["0-2"],
    }
    path = folder / CONFIG
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections))


@pytest.fixture(scope="module")
def finished(clone, tmp_path_factory):
    """A clone in which the vectors of sixty pairs were made, a row of which cannot be used."""
    folder = tmp_path_factory.mktemp("vectors") / "project"
    shutil.copytree(clone, folder)
    save_lm(folder / "lm")
    rng = random.Random(0)
    rows = {(" ".join(rng.choices(WORDS, k=5)), rng.choice(["red", "blue", "green"])) for _ in range(80)}
    with (folder / "mine.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows(
            [
                ("casual", "formal"),
                *((f"{text} king", f"{text} {word}") for text, word in sorted(rows)[:60]),
                ("same", "same"),
            ]
        )
    write_config(folder, [1, 2])
    done = snakemake(folder, "vectors", config=HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


def test_vectors_a_card_and_a_page_are_there(finished):
    folder, done = finished
    said = done.stdout + done.stderr
    assert "1 of 61 rows are left out: 1 row: the two texts are identical (row 61)" in said
    assert "mine: 36 pairs to learn from, 24 held out (40% of the rows; the largest group has " in said
    assert "1 of 61 rows left out" in said
    assert "columns guessed: 'casual' holds the texts before, 'formal' those after" in said
    here = folder / "results/vectors/lm/mine"
    card = json.loads((here / "card.json").read_text())
    assert card["about"]["codes"] in (1, 2) and card["manifest"]["counts"] == {"train": 36, "test": 24, "single": 0}
    assert [one["name"] for one in card["vectors"]] == card["about"]["names"] != []
    assert (here / "README.md").read_text().startswith("# Steering vectors of mine on lm\n")
    page = (folder / "results/report/vectors.html").read_text()
    assert "1 of 61 rows were left out." in page and "<svg" in page and "How many codes" in page
    assert 'href="vectors.html"' in (folder / "results/report/index.html").read_text()
    assert (folder / "results/diagnosis/lm/mine.json").is_file()
    assert {path.name for path in here.iterdir()} >= {"recommended", "ssae", "shared", "pca"}


def test_nothing_is_left_to_do_and_a_fixed_number_of_codes_trains_nothing_anew(finished):
    folder, _ = finished
    assert all(row["plan"] == "no update" for row in summary(folder, "vectors", config=HERE))
    write_config(folder, [2])
    made = {row["rule"] for row in summary(folder, "vectors", config=HERE) if row["plan"] != "no update"}
    assert "train" not in made and not any(
        name.startswith("train") for name in made - {"train_ssae_shared_pca", "train_ssae_pca"}
    )
    assert not {"make_pairs", "embed_pairs", "fetch_lm"} & made
    write_config(folder, [1, 2])


def test_the_description_of_the_command_is_in_the_readme():
    assert "make vectors PAIRS=data/examples/formality.csv" in (ROOT / "README.md").read_text()
