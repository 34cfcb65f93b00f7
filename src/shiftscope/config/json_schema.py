"""The config's types as JSON Schema, so that an editor completes and checks `config.yaml` while it is written."""

from __future__ import annotations

import inspect
from typing import Any

from shiftscope import kinds
from shiftscope.config.sections import DEFAULT_KIND, ENTRIES, KEYS, BehaviourEntry, StoreEntry, Top
from shiftscope.tables import base as catalogue

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The schema of a config file. A file may hold some of the sections: it is laid over config.yaml."""
    sections = {name: _plain(field) for name, field in _fields(Top).items()}
    blocks = {"items": {"type": ["string", "integer"], "pattern": r"^\d+(-\d+)?$"}}
    sections["seeds"] |= blocks
    sections |= {section: _section(section) for section in KEYS}
    sections["behaviour"] = {
        "type": "object",
        "additionalProperties": {"anyOf": [_object(_fields(BehaviourEntry)), _NULL]},
    }
    store = _object(_with_codes(_fields(StoreEntry)) | {"seeds": {"type": "array", "minItems": 1} | blocks})
    sections["activations"] = {"type": "object", "additionalProperties": store}
    for section, prefix in (("tables", "table_"), ("figures", "figure_")):
        names = [name for name in catalogue.names() if name.startswith(prefix)]
        sections[section] = {"type": "array", "items": {"enum": names}, "uniqueItems": True}
    for name, schema in sections.items():
        schema["description"] = _DESCRIPTIONS[name]
    entries = {f"{section}.{kind}": _entry(section, kind) for section in KEYS for kind in kinds.names(section)}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "ShiftScope config"}
    return head | _object(sections) | {"definitions": entries}


_NULL: Schema = {"type": "null"}
_DESCRIPTIONS = {
    "seeds": 'blocks of seeds, each one training job: ["0-4", "5-9"]',
    "corpora": "text that language models are trained on, or read",
    "lms": "language models, and how they are read",
    "pairs": "datasets of text pairs",
    "synthetic": "synthetic datasets",
    "simulations": "worlds of binary concepts whose law is known, in which networks predict masked bits",
    "activations": "corpora of which every token's activation is cached, to train sparse autoencoders on",
    "variants": "model variants",
    "behaviour": "datasets of questions that the steered language model answers",
    "tables": "tables to build",
    "figures": "figures to build",
}


def _section(section: str) -> Schema:
    """An entry is of the kind that it names, else of the section's default, else of the kind that it is called."""
    names = kinds.names(section)
    of_kind = {kind: {"$ref": f"#/definitions/{section}.{kind}"} for kind in names}
    named = [{"allOf": [of_kind[kind]], "required": [KEYS[section]]} for kind in names]
    if section in DEFAULT_KIND:
        return {"type": "object", "additionalProperties": {"anyOf": [*named, of_kind[DEFAULT_KIND[section]]]}}
    called = {kind: {"anyOf": [of_kind[kind], *named, _NULL]} for kind in names}
    return {"type": "object", "properties": called, "additionalProperties": {"anyOf": named}}


def _entry(section: str, kind: str) -> Schema:
    """An entry of one kind: the keys of its section, and those of its class."""
    entry, params = ENTRIES[section], kinds.load(section, kind)
    own = {name: field for name, field in _fields(entry).items() if name not in ("kind", "params", "settings")}
    own = _with_codes(own)
    fields = _fields(params)
    grid = {"grid": _object({name: {"type": "array", "items": field} for name, field in fields.items()})}
    properties = own | fields | {KEYS[section]: {"const": kind}} | (grid if section == "variants" else {})
    found = _object(properties) | {"required": params.model_json_schema().get("required", [])}
    return found | {"description": inspect.getdoc(params) or ""}


def _with_codes(fields: dict[str, Schema]) -> dict[str, Schema]:
    """Code sizes as users write them: a list, or a block."""
    if "codes" not in fields:
        return fields
    sizes = {"type": "integer", "minimum": 1}
    some = {"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}}]}
    both = [{"type": "array", "items": sizes}, {"type": "object", "additionalProperties": some}]
    return fields | {"codes": {"anyOf": both}}


def _fields(model: type[kinds.Strict]) -> dict[str, Schema]:
    """The schema of each field, without references to other places."""
    found = model.model_json_schema()
    return {name: _plain(_resolved(field, found.get("$defs", {}))) for name, field in found["properties"].items()}


def _resolved(schema: Any, definitions: dict[str, Schema]) -> Any:
    if isinstance(schema, dict) and "$ref" in schema:
        return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if isinstance(schema, dict):
        return {key: _resolved(value, definitions) for key, value in schema.items()}
    return [_resolved(one, definitions) for one in schema] if isinstance(schema, list) else schema


def _plain(schema: Schema) -> Schema:
    """Without what pydantic adds for its own use."""
    return {key: value for key, value in schema.items() if key != "title"}


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}
