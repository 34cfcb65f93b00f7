"""Names that become code: every entry of this project loads, and a made-up one that does not fit its base is refused."""

import sys

import pytest
from pydantic import ValidationError

import shiftscope.variants
from shiftscope import kinds
from shiftscope.errors import ShiftScopeError
from shiftscope.variants.base import Variant

ENTRIES = [(package, name) for package in kinds.BASES for name in kinds.names(package)]
FITS = """
from shiftscope.variants.base import ClosedForm


class Mine(ClosedForm):
    deterministic = True
    rank: int = 3

    def fit(self, pairs, n_codes, seed):
        return {}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """`mine(text)` loads a variant from a file `mine.py` with this text; `old` is replaced by `new` in one that fits."""
    folder = tmp_path / "shiftscope" / "variants"
    folder.mkdir(parents=True)
    monkeypatch.setattr(shiftscope.variants, "__path__", [*shiftscope.variants.__path__, str(folder)])
    names = kinds.names
    monkeypatch.setattr(kinds, "names", lambda package, *patterns: [*names(package, *patterns), "mine"])

    def load(text: str = FITS, old: str = "", new: str = "") -> type[Variant]:
        assert old in text
        (folder / "mine.py").write_text(text.replace(old, new, 1) if old else text)
        return kinds.load("variants", "mine")

    yield load
    sys.modules.pop("shiftscope.variants.mine", None)
    if hasattr(shiftscope.variants, "mine"):
        del shiftscope.variants.mine


# --- this project's entries


@pytest.mark.parametrize(("package", "name"), ENTRIES, ids=str)
def test_every_entry_loads(package, name):
    found = kinds.load(package, name)
    assert found.__module__ == kinds.module_of(package, name)
    assert kinds.BASES[package] in [base.__name__ for base in found.__mro__[1:]]
    assert found.model_config["extra"] == "forbid"


def test_names_are_those_of_files_that_are_neither_base_nor_private():
    assert kinds.names("variants") == [
        "affine", "affine_paper", "batch_topk", "dictionary_learning", "ica", "l1_tied", "mean_difference", "ntp_mlp", "p_annealing", "pca",
        "probe_direction", "shared", "shift_mixture", "ssae", "ssae_paper", "ssae_paper_repaired", "structured", "topk",
    ]  # fmt: skip
    assert kinds.names("corpora") == ["docstrings", "grammar", "hints", "pile", "text"]
    assert kinds.names("variants", "ssae*", "pca") == ["pca", "ssae", "ssae_paper", "ssae_paper_repaired"]


@pytest.mark.parametrize(
    ("package", "name", "meant"),
    [("variants", "ssea", "ssae"), ("pairs", "lang_11", "lang_1_1"), ("lms", "weel", "wheel"), ("synthetic", "crowd", "crowded")],
)  # fmt: skip
def test_an_unknown_name_is_told_the_nearest(package, name, meant):
    with pytest.raises(
        ShiftScopeError, match=f"^{package} '{name}' is unknown: allowed are .*; did you mean '{meant}'\\?$"
    ):
        kinds.load(package, name)


@pytest.mark.parametrize("name", ["base", "_whitening", "__init__", "", "../kinds", "ssae.py"])
def test_what_is_no_entry_is_unknown(name):
    with pytest.raises(ShiftScopeError, match="is unknown: allowed are"):
        kinds.load("variants", name)


# --- what a class must be


def test_a_class_that_fits_is_loaded(mine):
    found = mine()
    assert (found.__name__, found().rank, found.deterministic, found.supervised) == ("Mine", 3, True, False)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        found(ranks=3)
    with pytest.raises(ValidationError, match="it must be a number"):
        found(rank=True)
    with pytest.raises(ValidationError, match="frozen"):
        found().rank = 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("deterministic = True", "deterministc = True", "the member 'deterministc' of Mine is unknown: .*; did you mean 'deterministic'"),
        ("rank: int = 3", "rank: int = 3\n\n    def afterstep(self, weights, step):\n        pass", "the member 'afterstep' of Mine is unknown"),
        ("rank: int = 3", "rank: int = 3\n\n    @staticmethod\n    def encod(arrays, inputs):\n        pass", "the member 'encod' of Mine is unknown: .*; did you mean 'encode'"),
        ("rank: int = 3", "rank: int = 3\n\n    @property\n    def traning(self):\n        pass", "the member 'traning' of Mine is unknown: .*; did you mean 'training'"),
        ("deterministic = True", "supervisd: ClassVar[bool] = True", "the member 'supervisd' of Mine is unknown: .*; did you mean 'supervised'"),
    ],
)  # fmt: skip
def test_a_misspelt_member_is_refused_and_not_ignored(mine, old, new, said):
    with pytest.raises(ShiftScopeError, match=f"^shiftscope.variants.mine: {said}"):
        mine("from typing import ClassVar\n" + FITS, old, new)


def test_a_misspelt_step_of_a_trained_variant_is_told_the_nearest(mine):
    text = """
from shiftscope.variants.ssae import Ssae


class Mine(Ssae):
    def afterstep(self, weights, step):
        pass
"""
    with pytest.raises(
        ShiftScopeError, match=r"'afterstep' of Mine is unknown: allowed are .*; did you mean 'after_step'"
    ):
        mine(text)


def test_helpers_begin_with_an_underscore_and_fields_may_be_called_anything(mine):
    found = mine(
        FITS,
        "rank: int = 3",
        "rank: int = 3\n    deterministc: bool = False\n\n    def _help(self):\n        return self.rank",
    )
    assert found(rank=5)._help() == 5
    assert found().deterministc is False


def test_a_missing_method_is_named(mine):
    with pytest.raises(
        ShiftScopeError, match=r"^shiftscope\.variants\.mine: Mine lacks fit, which a Variant must have$"
    ):
        mine(FITS, "    def fit(self, pairs, n_codes, seed):\n        return {}\n", "")


@pytest.mark.parametrize(
    ("base", "lacking"),
    [
        ("Constrained", "export, initial, loss, prepare, optimiser"),
        ("Variant", "training"),
    ],
)
def test_a_class_variable_without_value_is_named(mine, base, lacking):
    text = f"from shiftscope.variants.base import {base}\n\n\nclass Mine({base}):\n    n_pairs: int = 3\n"
    with pytest.raises(ShiftScopeError, match=f"Mine lacks {lacking}, which a Variant must have$"):
        mine(text)


def test_a_file_without_a_class_is_refused(mine):
    with pytest.raises(ShiftScopeError, match=r"must have one class that derives from Variant: it has no class$"):
        mine("from shiftscope.variants.ssae import Ssae\n")  # what is imported is another file's


def test_a_class_of_another_base_is_refused(mine):
    with pytest.raises(ShiftScopeError, match=r"must have one class that derives from Variant: it has Mine$"):
        mine("class Mine:\n    pass\n")


def test_several_classes_are_refused(mine):
    with pytest.raises(ShiftScopeError, match=r"must have one class that derives from Variant: it has Mine, Other$"):
        mine(FITS + "\n\nclass Other(Mine):\n    pass\n")
