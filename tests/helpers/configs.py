"""A small config as a dictionary, copies of it with one value changed, and the error with which one is refused."""

import copy

import pytest

from shiftscope import kinds
from shiftscope.config.read import parse_config
from shiftscope.errors import ShiftScopeError

WHEEL = {
    "source": "wheel", "package": "llm-x", "version": "1.0", "sha256": "0" * 64,
    "member": "x/a.gguf", "member_sha256": "0" * 64,
}  # fmt: skip
GOOD = {
    "seeds": ["0-1"],
    "lms": {"m": WHEEL, "twin": {"source": "untrained", "of": "m", "seed": 0}},
    "pairs": {"lang_1_1": {}, "mine": {"kind": "own", "path": "mine.csv", "codes": [2]}},
    "synthetic": {"tiny": {"n_varying": 3, "max_changed": 2}},
    "variants": {"ssae": {}, "ssae_paper": {}, "mean_difference": {}},
    "tables": ["table_a6"],
    "figures": [],
}


def with_value(path: str, value: object) -> dict:
    """A copy of GOOD in which the entry at the dotted `path` is `value`."""
    raw = copy.deepcopy(GOOD)
    *blocks, key = path.split(".")
    inner = raw
    for block in blocks:
        inner = inner.setdefault(block, {})
    inner[key] = value
    return raw


def refusal(raw: dict) -> str:
    """The error for a configuration; one line that begins with the file."""
    with pytest.raises(ShiftScopeError) as caught:
        parse_config(raw, "c.yaml")
    message = str(caught.value)
    assert message.startswith("c.yaml: ")
    assert "\n" not in message
    return message.removeprefix("c.yaml: ")


def with_layers(**entry) -> dict:
    """The good config with a language model that is read at two layers."""
    raw = with_value("lms.m.layers", ["resid_post.4", "final_norm"])
    raw["lms"]["m"] |= entry
    return raw


def truthfulqa_config(**changes) -> dict:
    """A config that asks for behaviour on TruthfulQA's questions."""
    return {
        "seeds": ["0-1"],
        "lms": {
            "tiny": {"source": "folder", "path": "somewhere"},
            "twin": {"source": "untrained", "of": "tiny", "seed": 0},
        },
        "pairs": {"truthfulqa_1_1": {"path": "mc_task.json"}, "lang_1_1": {}},
        "variants": {"ssae": {"steps": 60}, "mean_difference": {}},
        "behaviour": {"truthfulqa_1_1": {"doses": [-1, 1], "random": 2}},
        "tables": ["table_truthfulqa"],
        "figures": [],
    } | changes


def mapped(**entry) -> dict:
    return with_value("lms.mapped", {"source": "mapped", "of": "m", "variants": ["ssae"]} | entry)


def keys(section: str, kind: str, *own: str) -> str:
    """The keys of an entry in alphabetical order: the parameters of its module, and those of its section."""
    parameters = kinds.load(section, kind).model_fields
    return ", ".join(sorted([*parameters, *own]))


def modules(section: str) -> str:
    """The files of a section's folder that define an entry, in alphabetical order."""
    return ", ".join(kinds.names(section))
