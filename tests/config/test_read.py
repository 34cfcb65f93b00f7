"""What the configuration accepts, and the one line with which it refuses: key, value, what is allowed, nearest name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import warm
from helpers.clone import ROOT
from helpers.configs import GOOD, keys, refusal, with_value

from shiftscope.config.read import _read_yaml, parse_config, read_config
from shiftscope.errors import ShiftScopeError


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ([0.1], "variants.ssae.grid must give each parameter a list of values, e.g. {lr: [0.01, 0.02]}"),
        (None, "variants.ssae.grid must give each parameter a list of values"),
        ({"lr": 0.1}, "variants.ssae.grid must give each parameter a list of values"),
        ({"lr": []}, "variants.ssae.grid must give each parameter a list of values"),
        ({"lrs": [1]}, f"variants.ssae.grid.lrs: this key is unknown: allowed are {keys('variants', 'ssae')}; did you mean 'lr'?"),
        ({"kind": ["ssae"]}, f"variants.ssae.grid.kind: this key is unknown: allowed are {keys('variants', 'ssae')}"),
        ({"lr": [0.1, -1]}, "variants.ssae.grid.lr: -1 is not allowed: Input should be greater than 0"),
        ({"lr": [0.1, 0.2, 0.1]}, "variants.ssae.grid: {'lr': 0.1} is there twice: list each value once"),
        ({"slack": [0.1]}, "variants.ssae.grid.slack: slack is also set outside the grid: remove one"),
    ],
)  # fmt: skip
def test_grids_that_are_not_allowed(grid, expected):
    assert expected in refusal(with_value("variants.ssae", {"slack": 0.05, "grid": grid}))


def test_an_unknown_key_beside_a_grid_is_not_blamed_on_the_grid():
    message = refusal(with_value("variants.ssae", {"lrr": 1, "grid": {"slack": [0.1]}}))
    assert message.startswith("variants.ssae.lrr: this key is unknown")


def test_a_grid_is_every_combination_of_its_values():
    config = parse_config(with_value("variants.ssae", {"steps": 9, "grid": {"lr": [0.1, 0.2], "slack": [0.3, 0.4]}}))
    settings = [(setting.steps, setting.lr, setting.slack) for setting in config.variants["ssae"].settings]
    assert settings == [(9, 0.1, 0.3), (9, 0.1, 0.4), (9, 0.2, 0.3), (9, 0.2, 0.4)]


def read(folder: Path, text: str | bytes, name: str = "c.yaml") -> str:
    """The message with which a file of this content is refused, without the folder's name."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ShiftScopeError) as caught:
        read_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{folder}/")


def test_malformed_yaml_names_file_and_line(tmp_path):
    message = read(tmp_path, 'seeds: ["0"]\nvariants:\n  ssae: {lr: [0.1}\n')
    assert message.startswith("c.yaml is not valid YAML: ")
    assert "line 3, column 18" in message
    assert "unicode string" not in message


def test_a_tab_in_yaml_names_its_line(tmp_path):
    assert "line 2, column 1" in read(tmp_path, "variants:\n\tssae: {}\n")


def test_a_key_that_is_given_twice_is_refused_and_not_dropped(tmp_path):
    text = 'seeds: ["0"]\nvariants:\n  ssae: {steps: 1}\n  ssae: {steps: 2}\n'
    assert (
        read(tmp_path, text)
        == "c.yaml is not valid YAML: key 'ssae' is given more than once line 3, column 3: ssae: {steps: 1} ^"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds: [010]\n", "the number 010 is read as another by YAML"),
        ("seeds: [5_9]\n", "the number 5_9 is read as another by YAML"),
        ("seeds: [1:30]\n", "the number 1:30 is read as another by YAML"),
        ("seeds: [0x1F]\n", "the number 0x1F is read as another by YAML"),
        ("lms:\n  no: {}\n", "the key no means False in YAML: write 'no'"),
        ("lms:\n  ? [a, b]\n  : {}\n", "a key must be a word, not a list or block"),
        ("variants:\n  ssae: *fast\n", "found undefined alias 'fast'"),
        ("seeds: [\n", "line 2"),
    ],
)
def test_what_yaml_would_take_for_something_else_is_an_error_with_its_line(tmp_path, text, says):
    message = read(tmp_path, text)
    assert message.startswith("c.yaml is not valid YAML: ") and says in message and "line" in message


def test_plain_numbers_are_read_as_they_stand(tmp_path):
    numbers = {"0": 0, "-7": -7, "10": 10, "0.5": 0.5, "1.": 1.0, ".5": 0.5, "1.0e+3": 1000.0, "+3": 3}
    for text, value in numbers.items():
        (tmp_path / "c.yaml").write_text(f"variants: {{ssae: {{lr: {text}}}}}\n")
        found = _read_yaml(tmp_path / "c.yaml")["variants"]["ssae"]["lr"]
        assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("synthetic.tiny.n_train", 3 * 10**20, "a number may be at most 4,294,967,295"),
        ("synthetic.tiny.n_train", 10**9, "its embeddings would be"),
        ("synthetic.tiny.codes", [10**6], "less than or equal to 100000"),
        ("seeds", ["0-999999999999"], "at most 1000 in a block"),
        ("seeds", ["0-999", "1000-1999"], "2000 seeds are too many"),
        ("seeds", ["99999999999"], "up to 4,294,967,295"),
        ("variants.ssae.grid", {"steps": list(range(1, 41)), "lr": [i / 99 for i in range(1, 21)]}, "grid has 800 combinations"),
        ("lms.m.layer", 5, "it must be a word, or a text in quotes"),
        ("lms.m.layer", "resid_pre.3", "a layer is final_norm, or resid_post.L"),
        ("lms.m.dtype", "float8", "Input should be 'float32', 'float16' or 'bfloat16'"),
        ("variants.ssae.steps", "many", "it must be a whole number"),
        ("variants.ssae.steps", 1.5, "it must be a whole number"),
        ("variants.ssae.lr", "fast", "it must be a number"),
    ],
)  # fmt: skip
def test_sizes_have_limits_and_messages_have_words(path, value, says):
    message = refusal(with_value(path, value))
    assert says in message
    assert not re.search(r"\bstr\b|\bint\b|Traceback|pattern", message)


@pytest.mark.parametrize("name", ["d" * 40, "ab" * 12, "x1" * 40, "-a", "a/b", "n" + "0123456789abcdef" * 4])
def test_names_that_files_or_snakemake_cannot_bear_are_refused_at_once(name):
    """Snakemake leaves out what repeats itself, and shows what lies there of an earlier run."""
    message = refusal(with_value("synthetic", {name: GOOD["synthetic"]["tiny"]}))
    assert "at most 64" in message and len(message) < 300
    assert parse_config(with_value("synthetic", {"n" + "0123456789abcde" * 4: GOOD["synthetic"]["tiny"]}))


def test_the_command_that_checks_a_config_says_one_line(tmp_path):
    (tmp_path / "bad.yaml").write_text("variants:\n\tssae: {}\n")
    for files, status in (([], 0), (["config/full.yaml"], 0), ([str(tmp_path / "bad.yaml")], 1), (["gone.yaml"], 1)):
        done = warm.run(["python", "-m", "shiftscope.config.read", *files], ROOT, warm.OF_THIS_TREE)
        assert done.returncode == status
        assert len(done.stderr.splitlines()) == status and done.stdout == ""
    assert done.stderr.startswith("config: cannot read the config gone.yaml: No such file or directory: name a file")


def test_the_home_folder_may_be_written_shortly(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = parse_config(with_value("pairs.mine.path", "~/pairs.csv"))
    assert list(map(str, config.pairs["mine"].params.user_files)) == ["/home/me/pairs.csv"]


def test_merged_yaml_blocks_are_no_repetition(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        'seeds: ["0"]\nsynthetic:\n  a: &a {n_varying: 3, max_changed: 2}\n  b: {<<: *a, max_changed: 1}\n'
        "variants: {ssae: {}}\n"
    )
    config = read_config(path)
    assert [config.synthetic[name].dump["max_changed"] for name in ("a", "b")] == [2, 1]
    assert config.synthetic["b"].dump["n_varying"] == 3


def test_latin_1_names_the_file_and_the_byte(tmp_path):
    text = "# caf\xe9\nseeds: []\n".encode("latin-1")
    assert read(tmp_path, text) == "c.yaml is not UTF-8 (byte 5): save it as UTF-8"


def test_an_empty_config_lacks_seeds(tmp_path):
    assert read(tmp_path, "") == "c.yaml: seeds: this key is missing"
    assert read(tmp_path, "# nothing\n") == "c.yaml: seeds: this key is missing"


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "list"), ("seeds\n", "str"), ("3\n", "int")])
def test_a_config_without_sections(tmp_path, text, kind):
    expected = f"c.yaml must hold sections such as `seeds:` and `variants:`, not a {kind}"
    assert read(tmp_path, text) == expected


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(ShiftScopeError, match=r"cannot read the config .*nowhere\.yaml: No such file"):
        read_config(tmp_path / "nowhere.yaml")


def test_an_override_replaces_whole_sections_and_values_come_last(tmp_path):
    base, override = tmp_path / "base.yaml", tmp_path / "override.yaml"
    base.write_text(yaml.safe_dump(GOOD))
    override.write_text("variants: {ssae_paper: {}}\nseeds: [7]\n")
    config = read_config(base, [override], {"seeds": ["8-9"]})
    assert (list(config.variants), config.blocks, list(config.pairs)) == (["ssae_paper"], ["8-9"], ["lang_1_1", "mine"])


def test_an_error_names_every_source(tmp_path):
    base, override = tmp_path / "base.yaml", tmp_path / "override.yaml"
    base.write_text(yaml.safe_dump(GOOD))
    override.write_text("figures: []\n")
    with pytest.raises(ShiftScopeError) as caught:
        read_config(base, [override], {"seeds": 3})
    assert str(caught.value).startswith(f"{base} + {override} + --config: seeds: 3 is not allowed: ")


@pytest.mark.parametrize(
    "name",
    ["config.yaml", "config/test.yaml", "config/own_pairs.yaml", "config/full.yaml", "config/truthfulqa.yaml"],
)
def test_the_configs_of_this_repository_are_good(name):
    config = read_config(ROOT / "config.yaml", [] if name == "config.yaml" else [ROOT / name])
    assert config.trained_on()


def test_parsing_loads_nothing_heavy():
    """Everything that the Snakefile imports and reads while it is parsed, in a fresh process; numpy Snakemake itself has."""
    program = """
import sys
from pathlib import Path
exec("".join(line for line in Path("rules/common.smk").open() if line.startswith("from shiftscope")))
config = read_config("config.yaml")
for section in kinds.BASES:
    assert [kinds.load(section, name) for name in kinds.names(section)]
for name in catalogue.names():
    catalogue.entry(name)
heavy = {"torch", "transformers", "pandas", "matplotlib", "pyarrow", "scipy", "sklearn", "safetensors"}
print(*sorted(heavy & set(sys.modules)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
