"""The config that `make vectors` writes: what it holds, what it refuses, and that nothing of it reaches a shell."""

import subprocess
import sys

import pytest
import yaml
from helpers.clone import ROOT

from shiftscope.config.from_pairs import SIZES, config_of
from shiftscope.config.read import parse_config
from shiftscope.errors import ShiftScopeError

KNOWN = yaml.safe_load((ROOT / "config.yaml").read_text())["lms"]


def study(pairs=("my pairs.csv.gz",), lm="smollm2_135m", given=None, codes=SIZES):
    sections = config_of(list(pairs), lm, KNOWN, given or {}, codes)
    return sections, parse_config({"seeds": ["0-4"], **sections})


def test_the_number_of_codes_is_chosen_unless_it_is_given():
    sections, read = study()
    assert list(read.pairs) == ["my_pairs"] and read.pairs["my_pairs"].choose_codes
    assert read.codes("smollm2_135m", "my_pairs") == SIZES == read.exported_sizes("smollm2_135m", "my_pairs")
    assert sections["figures"] == ["figure_codes"]
    assert read.for_vectors() == [("smollm2_135m", "my_pairs")]
    _, fixed = study(codes=[4])
    assert fixed.exported_sizes("smollm2_135m", "my_pairs") == [4] and not fixed.pairs["my_pairs"].choose_codes
    assert fixed.figures == []


def test_gains_are_measured_at_every_number_and_variants_are_exported_at_any():
    _, read = study()
    assert set(read.exports_of("smollm2_135m", "my_pairs")) == {"recommended", "ssae", "shared", "shift_mixture", "pca"}
    assert read.compared_on("smollm2_135m", "my_pairs", 6) == ["ssae", "shift_mixture"]
    assert "mean_difference" not in read.variants


def test_labels_bring_what_needs_them():
    _, read = study(given={"concepts": "formal, polite", "text_0": "casual", "text_1": "", "group": "author"})
    params = read.pairs["my_pairs"].params
    assert (params.concepts, params.text_0, params.text_1, params.group) == (
        ("formal", "polite"),
        "casual",
        None,
        "author",
    )
    assert "mean_difference" in read.exports_of("smollm2_135m", "my_pairs")


def test_other_language_models(tmp_path):
    (tmp_path / "my model").mkdir()
    sections, _ = study(lm=str(tmp_path / "my model"))
    assert sections["lms"] == {"my_model": {"source": "folder", "path": str(tmp_path / "my model")}}
    sections, _ = study(lm="models/tiny.Q4.gguf")
    assert sections["lms"] == {"tiny.Q4": {"source": "gguf", "path": "models/tiny.Q4.gguf"}}
    assert list(study(lm="models/smollm2_135m.gguf")[0]["lms"]) == ["smollm2_135m_own"]  # not config.yaml's
    for name in ("smollm2_135", "grammar_untrained"):
        with pytest.raises(
            ShiftScopeError, match=rf"LM={name} is neither a language model of config.yaml \(smollm2_135m.*\)"
        ):
            study(lm=name)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    return tmp_path


def ask(folder, *arguments):
    command = [sys.executable, "-m", "shiftscope.config.from_pairs", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src")})


def test_the_config_is_written_and_its_path_is_what_is_printed(folder):
    done = ask(folder, "--pairs=mine/my pairs.csv", "--codes", "2,4", "--template", "{question} {text}")
    assert (done.returncode, done.stdout) == (0, "work/vectors/my_pairs.yaml\n")
    assert "vectors of mine/my pairs.csv on smollm2_135m, the number of codes chosen among 2, 4" in done.stderr
    written = yaml.safe_load((folder / "work/vectors/my_pairs.yaml").read_text())
    assert written["pairs"] == {
        "my_pairs": {
            "kind": "own",
            "path": "mine/my pairs.csv",
            "template": "{question} {text}",
            "codes": [2, 4],
            "choose_codes": True,
        }
    }


def test_a_config_that_was_edited_is_not_overwritten(folder):
    ask(folder, "--pairs=mine.csv")
    again = ask(folder, "--pairs=mine.csv")
    assert again.returncode == 0
    path = folder / "work/vectors/mine.yaml"
    path.write_text(path.read_text().replace("codes:", "seed: 3\n    codes:"))
    done = ask(folder, "--pairs=mine.csv")
    assert done.returncode == 1 and "work/vectors/mine.yaml was edited: run it as it is" in done.stderr
    assert "make run TARGET=vectors CONFIG=work/vectors/mine.yaml" in done.stderr and "seed: 3" in path.read_text()


def test_a_config_that_was_not_edited_is_replaced_for_the_same_file_alone(folder):
    ask(folder, "--pairs=mine.csv")
    assert ask(folder, "--pairs=mine.csv", "--text-0=casual", "--template={question}\\n{text}").returncode == 0
    written = yaml.safe_load((folder / "work/vectors/mine.yaml").read_text())["pairs"]["mine"]
    assert written["text_0"] == "casual" and written["template"] == "{question}\n{text}"
    done = ask(folder, "--pairs=other/mine.csv")
    assert done.returncode == 1 and "work/vectors/mine.yaml is for another file of that name" in done.stderr


def test_names_tell_files_apart():
    names = {
        next(iter(study(pairs=[file])[0]["pairs"])) for file in ("x.v1.csv", "x.v2.csv", "x.csv", "data/*.jsonl.gz")
    }
    assert names == {"x.v1", "x.v2", "x", "my_pairs"}


def test_a_layer_is_the_language_models(folder):
    _, read = study(given={"layer": "resid_post.15"})
    assert read.lms["smollm2_135m_resid_post.15"].layer == "resid_post.15"
    done = ask(folder, "--pairs=a.csv", "--layer=15")
    assert done.returncode == 1 and "a layer is final_norm, or resid_post.L" in done.stderr


def test_two_files_of_lines(folder):
    ask(folder, "--pairs=before.txt", "--after", "after.txt")
    written = yaml.safe_load((folder / "work/vectors/before.yaml").read_text())
    assert written["pairs"]["before"]["path"] == ["before.txt", "after.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pairs=none_*.csv"], "vectors: no file fits none_*.csv"),
        (["--pairs=a.csv", "--lm=nothing"], "vectors: LM=nothing is neither"),
        (["--pairs=a.csv", "--codes=two"], "vectors: CODES=two must be a number"),
        (["--pairs=a.csv", "--template={x"], "template '{x' must hold {text} once"),
    ],
)
def test_what_cannot_work_is_one_line(folder, arguments, said):
    done = ask(folder, *arguments)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


@pytest.mark.parametrize(
    "name", ["$(touch never)", "a;touch never;.csv", "`touch never`.csv", 'it\'s "so".csv', "-x.csv"]
)
def test_a_file_name_is_never_run(tmp_path, name):
    """`make` hands names over in the environment; what the command does with them is read back from the config."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("OWN := PAIRS"))
    last = next(number for number, line in enumerate(lines) if "snakemake vectors" in line)
    recipe = "\n".join(lines[first : last + 1]).replace("vectors: install ##", "vectors: ##")
    recipe = recipe.replace("$(BIN)/snakemake vectors", "echo would run snakemake")
    (tmp_path / "Makefile").write_text(f"BIN := {ROOT}/.venv/bin\nCORES := 1\n{recipe}\n")
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    done = subprocess.run(
        ["make", f"PAIRS={name}", "vectors"], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "GROUP": "staff"},
    )  # fmt: skip
    assert not (tmp_path / "never").exists(), done.stdout
    (written,) = (tmp_path / "work/vectors").iterdir()
    (dataset,) = yaml.safe_load(written.read_text())["pairs"].values()
    assert dataset["path"] == name and "group" not in dataset and "would run snakemake" in done.stdout
