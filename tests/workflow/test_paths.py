"""Every path under `results/` can be read back."""

import re

import pytest
from helpers.clone import ROOT

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow import paths

PATTERNS = {name: value for name, value in vars(paths).items() if name.isupper() and "{" in str(value)}
VALUES = {
    "corpus": "grammar", "lm": "smol.lm-2@resid_post.6", "dataset": "lang_1_1", "codes": "27", "variant": "ssae",
    "block": "0-4", "table": "table_a6", "figure": "figure_a2", "rule": "train", "job": "all",
    "part": "train_0001", "shard": "0002",
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_what_is_written_is_parsed(pattern):
    values = {name: VALUES[name] for name in re.findall(r"\{(\w+)\}", pattern)}
    assert values
    assert paths.parsed(pattern, pattern.format(**values)) == values


def test_results_may_lie_anywhere():
    assert paths.parsed(paths.PART, "/data/mine/results/parts/lm/lang_1_1.parquet")["dataset"] == "lang_1_1"


def test_a_path_of_another_pattern_is_refused():
    with pytest.raises(ShiftScopeError, match="is not a path of the form"):
        paths.parsed(paths.PART, "results/parts/lm/behaviour/lang_1_1.parquet")
    with pytest.raises(ShiftScopeError, match="is not a path of the form"):
        paths.parsed(paths.PART, "elsewhere/parts/lm/lang_1_1.parquet")


def test_no_two_patterns_can_be_the_same_file():
    """But for models of tables and figures, whose endings are left out."""
    written = [pattern.format(**VALUES) for pattern in PATTERNS.values()]
    assert len(set(written)) == len(written)


def test_a_layer_stands_in_the_name():
    assert paths.lm_of(paths.at_layer("mine", "resid_post.6")) == "mine" == paths.lm_of("mine")


def test_every_folder_is_shared_or_left_out():
    """`make track` knows what to do with all of them."""
    folders = {str(pattern).split("/")[1] for pattern in [*PATTERNS.values(), paths.REPORT]}
    assert folders == {*paths.GROWING, *paths.REBUILT, *paths.NOT_OUTPUTS, "tables", "figures"}


def test_git_ignores_every_folder_that_dvc_tracks():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/results/{folder}/" for folder in (*paths.GROWING, *paths.REBUILT)} <= set(ignored)
