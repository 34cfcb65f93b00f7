"""Reading a config: YAML, overrides, defaults that depend on other entries, and one-line errors for what may not be.

Read once, while the Snakefile is parsed. No script imports it: a job gets the canonical JSON of the slice it depends
on, so a change elsewhere in the config leaves it alone.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from shiftscope import kinds
from shiftscope.config import check
from shiftscope.config.activations import check_store
from shiftscope.config.sections import (
    DEFAULT_KIND,
    ENTRIES,
    KEYS,
    MOST_SETTINGS,
    BehaviourEntry,
    KindEntry,
    LmEntry,
    StoreEntry,
    Top,
    own_keys,
)
from shiftscope.config.study import Study
from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.vocabulary import CHECKPOINT, RECOMMENDED, UNTRAINED


def read_config(base: Path, overrides: list[Path] = (), values: Mapping[str, Any] | None = None) -> Study:
    """Read `base`, let each override replace whole top-level sections, then single `values`; check everything.

    Raises:
        ShiftScopeError: a file is not YAML, or a key, name or value is not allowed; names it, what is allowed and
            the nearest name.
    """
    raw: dict[str, Any] = {}
    for path in [base, *overrides]:
        raw |= _read_yaml(Path(path))
    origin = " + ".join([*(str(path) for path in [base, *overrides]), *(["--config"] if values else [])])
    return parse_config(raw | dict(values or {}), origin)


class _Loader(yaml.SafeLoader):
    """YAML as PyYAML reads it, but what it would silently take for something else is an error.

    Of a key that is given twice it takes the last, `010` is 8 to it, `5_9` 59, `1:30` 90, and `no` a key called False.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        count = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a key must be a word, not a list or block", key)
            if count[key.value] > 1:
                raise _refused(f"key {key.value!r} is given more than once", key)
            if key.tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"):
                raise _refused(
                    f"the key {key.value} means {self.construct_object(key)} in YAML: write '{key.value}'", key
                )
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number that everybody reads as YAML does."""
        if not PLAIN_NUMBER.fullmatch(node.value):
            raise _refused(
                f"the number {node.value} is read as another by YAML: write it plainly, or as a word: '{node.value}'",
                node,
            )
        return (int if node.tag.endswith(":int") else float)(node.value)


PLAIN_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def _refused(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise ShiftScopeError(f"{path} is not valid YAML: {reason}") from error
    except UnicodeDecodeError as error:
        raise ShiftScopeError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise ShiftScopeError(
            f"cannot read the config {path}: {error.strerror}: name a file that is there (targets stand before `--configfile`)"
        ) from error
    if content is not None and not isinstance(content, dict):
        raise ShiftScopeError(
            f"{path} must hold sections such as `seeds:` and `variants:`, not a {type(content).__name__}"
        )
    return content or {}


def parse_config(raw: Mapping[str, Any], origin: str = "config") -> Study:
    """Check a configuration that was read already; `origin` names it in errors."""
    top = _checked(Top, raw, origin, "")
    entries: dict[str, dict[str, Any]] = {
        section: {name: _entry(section, name, entry or {}, origin) for name, entry in getattr(top, section).items()}
        for section in KEYS
    }
    check.check_references(top, entries, origin)
    lms = {name: _with_layers(entry, entries["lms"]) for name, entry in entries["lms"].items()}
    check.check_layers(lms, origin)
    stores = {name: _store(name, entry, entries, origin) for name, entry in top.activations.items()}
    behaviour = {name: _behaviour(name, entry or {}, entries, origin) for name, entry in top.behaviour.items()}
    read = entries | {"lms": lms, "activations": stores, "behaviour": behaviour}
    study = Study(blocks=top.seeds, tables=top.tables, figures=top.figures, **read)
    check.check_work(study, origin)
    return study


def _entry(section: str, name: str, raw: dict[str, Any], origin: str) -> KindEntry:
    """An entry's own keys go to its type, all others to the class that it names."""
    check.check_name(section, name, origin)
    place = f"{section}.{name}"
    if section == "variants" and name == RECOMMENDED:
        raise ShiftScopeError(f"{origin}: {place}: so is called what is chosen among variants: give it another name")
    model, also = _kind(section, name, raw, origin), own_keys(section)
    params = {key: value for key, value in raw.items() if key not in also}
    fields = {key: raw[key] for key in also & set(ENTRIES[section].model_fields) & set(raw)}
    fields |= {"kind": _kind_name(section, name, raw), "params": _checked(model, params, origin, place, sorted(also))}
    if section == "variants":
        grid = raw.get("grid", {})
        fields["settings"] = _settings(model, params, grid, origin, place)
        _check_curve(grid, raw, origin, place)
    return _checked(ENTRIES[section], fields, origin, place)


def _kind_name(section: str, name: str, raw: dict[str, Any]) -> str:
    return raw.get(KEYS[section], DEFAULT_KIND.get(section, name))


def _kind(section: str, name: str, raw: dict[str, Any], origin: str) -> type[kinds.Kind]:
    """The class that an entry names, or that it is called."""
    key, kind = KEYS[section], _kind_name(section, name, raw)
    if kind not in kinds.names(section):
        what = f"{key} {kind!r}" + ("" if key in raw else f" (its name, for it has no `{key}`)")
        raise ShiftScopeError(f"{origin}: {section}.{name}: {unknown(what, str(kind), kinds.names(section))}")
    return kinds.load(section, kind)


def _with_layers(entry: LmEntry, lms: dict[str, LmEntry]) -> LmEntry:
    """The entry with all its layers, the main one first; an untrained twin or checkpoint that names none takes its LM's."""
    inherits = entry.kind in (UNTRAINED, CHECKPOINT) and not entry.layer and not entry.layers
    named = lms[entry.params.of] if inherits else entry
    layers = list(dict.fromkeys([*filter(None, [named.layer]), *named.layers])) or ["final_norm"]
    some = entry.layer_variants or named.layer_variants
    return entry.model_copy(update={"layer": layers[0], "layers": layers, "layer_variants": some})


def _behaviour(name: str, raw: dict[str, Any], entries: dict[str, dict[str, Any]], origin: str) -> BehaviourEntry:
    asked = _checked(BehaviourEntry, raw, origin, f"behaviour.{name}")
    check.check_behaviour(name, asked, entries, origin)
    return asked


def _store(name: str, raw: dict[str, Any], entries: dict[str, dict[str, Any]], origin: str) -> StoreEntry:
    """An entry of `activations`; its corpus is the one that it is called, unless it names another."""
    check.check_name("activations", name, origin)
    found = _checked(StoreEntry, {"corpus": name} | raw, origin, f"activations.{name}")
    check_store(name, found, entries, origin)
    return found


def _settings(model: type[BaseModel], params: dict, grid: Any, origin: str, place: str) -> list[Any]:
    """Every point of the grid: each value of each listed parameter with each of the others'."""
    if not isinstance(grid, dict) or not all(isinstance(values, list) and values for values in grid.values()):
        raise ShiftScopeError(
            f"{origin}: {place}.grid must give each parameter a list of values, e.g. {{lr: [0.01, 0.02]}}"
        )
    for name in grid:
        if name in params:
            raise ShiftScopeError(f"{origin}: {place}.grid.{name}: {name} is also set outside the grid: remove one")
    if math.prod(map(len, grid.values())) > MOST_SETTINGS:
        raise ShiftScopeError(
            f"{origin}: {place}.grid has {math.prod(map(len, grid.values()))} combinations, and may have {MOST_SETTINGS}: list "
            "fewer values, or make several variants"
        )
    points = [dict(zip(grid, point, strict=True)) for point in itertools.product(*grid.values())]
    settings = [_checked(model, params | point, origin, f"{place}.grid") for point in points]
    for number, (point, setting) in enumerate(zip(points, settings, strict=True)):
        if setting in settings[:number]:
            raise ShiftScopeError(f"{origin}: {place}.grid: {point} is there twice: list each value once")
    return settings


def _check_curve(grid: dict, raw: dict, origin: str, place: str) -> None:
    """Numbers of pairs in a grid are points of a curve, and nothing to choose from."""
    if "n_pairs" in grid and (len(grid) > 1 or None in grid["n_pairs"] or not raw.get("shown_in")):
        raise ShiftScopeError(
            f"{origin}: {place}.grid.n_pairs: a curve over numbers of pairs is a variant of its own: list numbers, nothing "
            "else in its grid, and `shown_in: [figure_pairs]` beside it"
        )


PLAIN = {
    "string_type": "it must be a word, or a text in quotes",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "none_required": "leave it out",
    "dict_type": "it must be a block of `key: value` lines, or {}",
    "list_type": "it must be a list, such as [a, b]",
    "tuple_type": "it must be a list, such as [a, b]",
    "path_type": "it must be the path of a file",
}
"""what pydantic says in Python's words, in YAML's"""


def _checked(model: type[BaseModel], raw: Any, origin: str, place: str, also: list[str] | None = None) -> Any:
    """`model(**raw)`, its first error as one line."""
    try:
        return model.model_validate(raw)
    except ValidationError as errors:
        error = errors.errors(include_url=False)[0]
    where = ".".join([*filter(None, [place]), *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        fields = _fields_at(model, error["loc"][:-1]) + (also or [])
        problem = unknown("this key", str(error["loc"][-1]), fields)
    elif error["type"] == "missing":
        problem = "this key is missing"
    else:
        message = PLAIN.get(error["type"], error["msg"].removeprefix("Value error, "))
        problem = f"{error['input']!r} is not allowed: {message}"
    raise ShiftScopeError(f"{origin}: {where}: {problem}" if where else f"{origin}: {problem}")


def _fields_at(model: type[BaseModel], path: tuple) -> list[str]:
    """Fields of the block inside `model` that `path` leads to."""
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def main() -> None:
    """`python -m shiftscope.config.read [FILE …]`: check config.yaml with these files over it, one line if it is wrong."""
    try:
        read_config(Path("config.yaml"), [Path(file) for file in sys.argv[1:]])
    except ShiftScopeError as error:
        print(f"config: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
