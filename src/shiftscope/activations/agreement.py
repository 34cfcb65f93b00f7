"""Whether what meets in a job belongs together: a store, its windows, its corpus, its language model, and words beside it.

Each manifest says what the file was made of. A folder that was copied over another's, or a file that was taken from
elsewhere, is told by that before anything is computed of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.activations.store import AGAIN, PartFacts, Store, StoreFacts
from shiftscope.errors import ShiftScopeError
from shiftscope.files import check_sha256
from shiftscope.models import read_facts

if TYPE_CHECKING:
    from shiftscope.activations.windows import WindowsFacts
    from shiftscope.lms.base import LmManifest
    from shiftscope.pair_embeddings import PairEmbeddings

ANOTHER = {
    "lm": "another language model", "lm_files": "other files of the language model", "layer": "another layer",
    "dataset": "another dataset", "windows_sha256": "other windows", "corpus_sha256": "another corpus",
    "stored": "another type", "d_model": "another width",
}  # fmt: skip
"""what it means that manifests differ under a key"""


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """In what a manifest differs from what is expected of it, as words; empty if it agrees."""
    said = []
    for key in (key for key, value in expected.items() if found.get(key) != value):
        tells = isinstance(expected[key], str | int) and not key.endswith("_sha256")
        said.append(ANOTHER[key] + (f" {found.get(key)!r} instead of {expected[key]!r}" if tells else ""))
    return ", ".join(said)


def _must_agree(what: object, found: Mapping[str, Any], expected: Mapping[str, Any], fix: str = AGAIN) -> None:
    if problem := differences(found, expected):
        raise ShiftScopeError(f"{what} is of {problem}: {fix}")


def check_part(path: Path, part: PartFacts, expected: Mapping[str, Any]) -> None:
    """See that a part is of the language model, layer and windows of its store.

    Raises:
        ShiftScopeError: it is not; names what differs.
    """
    _must_agree(
        path, part, expected, f"it was copied from another store; delete {path.parent}, and `make run` makes it again"
    )


def check_lm_of_windows(packed: WindowsFacts, about: LmManifest, manifest: Path) -> None:
    """See that windows were packed for a language model, by the tokenizer that it has.

    Raises:
        ShiftScopeError: they were not.
    """
    _must_agree(manifest, packed, {"lm": about["lm"], "lm_files": about["files"]})


def check_windows(windows: Path, packed: WindowsFacts) -> None:
    """Compare the file of windows with its manifest.

    Raises:
        ShiftScopeError: it is another.
    """
    check_sha256(windows, packed["sha256"], str(windows), f"it is damaged, or of another store; {AGAIN}")


def check_store(store: Store, lm: str, layer: str, dataset: str) -> None:
    """See that a store is the one whose name its folder has.

    Raises:
        ShiftScopeError: it is of another language model, layer or dataset.
    """
    fix = f"it was copied from another store; delete {store.folder}, and `make pull` or `make run` brings the right one back"
    _must_agree(store.folder / "manifest.json", store.facts, {"lm": lm, "layer": layer, "dataset": dataset}, fix)


def check_origins(facts: StoreFacts, about: LmManifest, packed: WindowsFacts, manifests: Sequence[Path]) -> None:
    """See that a language model and windows are those of a store; `manifests` are their files, in this order.

    Raises:
        ShiftScopeError: they are not; names what differs.
    """
    lm = {"lm": facts["lm"], "lm_files": facts["lm_files"]}
    _must_agree(
        manifests[0], {"lm": about["lm"], "lm_files": about["files"]}, lm, "run again, and the store is made anew"
    )
    found = {"lm": packed["lm"], "windows_sha256": packed["sha256"], "corpus_sha256": packed["corpus_sha256"]}
    _must_agree(manifests[1], found, {key: facts[key] for key in found}, "run again, and the store is made anew")


def check_models(store: Store, sidecars: Sequence[Path]) -> None:
    """See that models were trained on a store.

    Raises:
        ShiftScopeError: some were trained on another, or nobody knows on which.
    """
    origin = store.origin
    for sidecar in sidecars:
        found = read_facts(sidecar).get("trained_on") or {}
        if found == origin:
            continue
        place = {key: origin[key] for key in ("lm", "layer", "dataset")}
        problem = differences(found, place) or "another state of the store"
        raise ShiftScopeError(
            f"{sidecar} tells of models that were trained on {problem}, and {store.folder} is not that: delete it and the "
            "weights beside it, and `make run` trains them again"
        )


def check_words(store: Store, data: PairEmbeddings, manifest: Path) -> None:
    """See that embeddings of words were read where a store was: by the same language model, at the same layer.

    Raises:
        ShiftScopeError: they were not.
    """
    found = {"lm": data.facts["lm"], "layer": data.facts["layer"], "d_model": data.embedding_0.shape[2]}
    _must_agree(manifest, found, {"lm": store.facts["lm"], "layer": store.facts["layer"], "d_model": store.d})
