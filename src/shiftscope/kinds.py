"""The one rule by which a name in the config becomes code: a file of a package, and the class in it.

In the packages of `BASES` every file is an entry but `base.py` and those that begin with `_`. An entry's file has one class
that derives from the base: `l1_tied.py` of `variants` one that derives from `Variant` of `variants/base.py`. Its fields
are the entry's part of the config. What does not fit its base is refused when it is loaded.
"""

import importlib
import inspect
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator

from shiftscope.errors import ShiftScopeError, unknown

BASES = {
    "corpora": "Corpus", "lms": "Source", "pairs": "PairDataset", "simulations": "Simulation", "synthetic": "Law",
    "variants": "Variant",
}  # fmt: skip
"""packages whose entries are found by name, and the type in their `base.py` that says what an entry offers"""


UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""a file of the user's; `~` is the home folder"""


LARGEST = 2**32 - 1
"""the largest whole number in a config: seeds have 32 bits"""


class Strict(BaseModel):
    """A block of configuration that refuses unknown keys and cannot be changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse YAML's yes and no where a number belongs: Python counts with them. Refuse numbers beyond all sense."""
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation in (int, float):
            raise ValueError("it must be a number")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"a number may be at most {LARGEST:,}")
        return value


class Kind(Strict):
    """What is found by name: fields are its part of the config, the other public members are those of its base.

    A member that the base does not name is refused, for it would be silently ignored: a helper begins with `_`.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        file = cls.__module__.rpartition(".")[2]
        if file in ("kinds", "base") or file.startswith("_"):
            return  # a base: what it names is the contract
        contract = {name for base in cls.__mro__[1:] if issubclass(base, Kind) for name in members(base)}
        fields = {name for name, kind in inspect.get_annotations(cls).items() if not _is_class_variable(kind)}
        inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "model_fields", ())}
        for name in members(cls):
            if name not in contract | fields | inherited:
                what = f"{cls.__module__}: the member {name!r} of {cls.__name__}"
                raise ShiftScopeError(unknown(what, name, contract))


def members(cls: type) -> list[str]:
    """The public names that a class itself defines or declares, but for the fields of a config."""
    own = [*vars(cls), *(name for name, kind in inspect.get_annotations(cls).items() if _is_class_variable(kind))]
    return list(dict.fromkeys(name for name in own if not name.startswith(("_", "model_"))))


def declared(cls: type) -> list[str]:
    """The class variables that a class or its bases declare: those without a value must get one."""
    annotated = [
        name for base in cls.__mro__ for name, kind in inspect.get_annotations(base).items() if _is_class_variable(kind)
    ]
    return list(dict.fromkeys(name for name in annotated if not name.startswith(("_", "model_"))))


def _is_class_variable(annotation: Any) -> bool:
    return "ClassVar" in annotation if isinstance(annotation, str) else get_origin(annotation) is ClassVar


def names(package: str, *patterns: str) -> list[str]:
    """The names of a package's entries, in alphabetical order; `patterns` if not every file is one."""
    folder = Path(__file__).parent / package
    files = {file.stem for pattern in patterns or ("[!_]*",) for file in folder.glob(f"{pattern}.py")}
    return sorted(files - {"base"})


def load(package: str, name: str) -> type[Kind]:
    """The class of an entry.

    Raises:
        ShiftScopeError: there is no such file, or its class is missing, is of another base or lacks a member; names the
            nearest.
    """
    if name not in names(package):
        raise ShiftScopeError(unknown(f"{package} {name!r}", name, names(package)))
    base, module = BASES[package], importlib.import_module(module_of(package, name))
    own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    found = [one for one in own if base in (parent.__name__ for parent in one.__mro__[1:])]
    if len(found) != 1:
        have = ", ".join(one.__name__ for one in found or own) or "no class"
        raise ShiftScopeError(f"{module.__name__} must have one class that derives from {base}: it has {have}")
    (entry,) = found
    lacking = sorted(entry.__abstractmethods__) + [one for one in declared(entry) if not hasattr(entry, one)]
    if lacking:
        raise ShiftScopeError(
            f"{module.__name__}: {entry.__name__} lacks {', '.join(lacking)}, which a {base} must have"
        )
    return entry


def module_of(package: str, name: str) -> str:
    """The dotted name of an entry's module."""
    return f"shiftscope.{package}.{name}"
