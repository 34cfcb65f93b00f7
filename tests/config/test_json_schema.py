"""The schema for editors: it accepts every config of the repository, and names what the reader would refuse."""

import json

import jsonschema
import pytest
import yaml
from helpers.clone import ROOT

from shiftscope.config.json_schema import json_schema
from shiftscope.config.read import read_config

FILES = ["config.yaml", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "config").glob("*.yaml"))]


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft7Validator.check_schema(json_schema())
    return jsonschema.Draft7Validator(json_schema())


def as_json(file: str) -> dict:
    """What an editor checks: YAML's own types, keys as text."""
    return json.loads(json.dumps(yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))))


@pytest.mark.parametrize("file", FILES)
def test_every_config_is_valid_and_names_the_schema(validator, file):
    assert [error.message for error in validator.iter_errors(as_json(file))] == []
    first = (ROOT / file).read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert ((ROOT / file).parent / named).resolve() == ROOT / "config/schema.json"


@pytest.mark.parametrize("place, value", [
    (("variants", "ssae", "shrinkag"), 0.1),
    (("variants", "ssae", "slack"), "much"),
    (("variants", "ssae", "grid"), {"shrinkag": [1]}),
    (("variants", "ssae", "grid"), {"shrinkage": 1}),
    (("variants", "mine"), {"kind": "saee"}),
    (("variants", "mine"), {"steps": 3}),
    (("lms", "smollm2_135m", "member"), 3),
    (("lms", "smollm2_135m", "source"), "whel"),
    (("pairs", "lang_1_1"), {"templat": "x"}),
    (("pairs", "cat_135_3", "codes"), [0]),
    (("synthetic", "synth_3_2", "n_varying"), "three"),
    (("synthetic", "synth_3_2"), {"max_changed": 2}),
    (("tables",), ["table_a7"]),
    (("figures",), ["table_a6"]),
    (("seeds",), ["0:4"]),
    (("corpus",), {}),
])  # fmt: skip
def test_what_the_reader_refuses_is_marked(validator, place, value):
    config = as_json("config.yaml")
    block = config
    for key in place[:-1]:
        block = block[key]
    block[place[-1]] = value
    assert list(validator.iter_errors(config))


def test_a_name_that_is_another_kinds_may_name_its_own(validator):
    config = as_json("config.yaml") | {"variants": {"pca": {"kind": "ssae", "slack": 0.1}, "other": {"kind": "pca"}}}
    assert list(validator.iter_errors(config)) == []


def test_it_speaks_of_every_parameter():
    schema, study = json_schema(), read_config(ROOT / "config.yaml")
    for section in ("corpora", "lms", "pairs", "synthetic", "variants"):
        for entry in getattr(study, section).values():
            properties = schema["definitions"][f"{section}.{entry.kind}"]["properties"]
            assert set(type(entry.params).model_fields) <= set(properties)
