"""The embeddings of another language model after a dense invertible linear map: no language model of its own.

Paper A, Table 3: "a dense linear invertible transformation to the embeddings", with no law given. Two laws are offered,
and the manifest states the condition number that a map has:

    gaussian      entries drawn independently from N(0, 1/d); its condition number grows with d
    log_uniform   U diag(s) Vᵀ with random rotations U and V, and log s evenly spaced between 0 and -log `condition`,
                  scaled to mean s² = 1

An untrained twin of it does not exist, and no steering vectors are exported: they would not be the language model's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from shiftscope.kinds import Strict
from shiftscope.lms.base import Source

if TYPE_CHECKING:
    import numpy as np


class Mapped(Source):
    """`of`: the language model whose embeddings are mapped; `law`, `condition` and `seed` of the map."""

    of: str
    law: Literal["gaussian", "log_uniform"] = "gaussian"
    condition: float | None = Field(None, ge=1, description="condition number; `log_uniform` only")
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _condition(self) -> Mapped:
        if (self.condition is None) == (self.law == "log_uniform"):
            raise ValueError("`condition` belongs to the law log_uniform, and that law needs it")
        return self


def linear_map(d: int, mapping: Mapped) -> np.ndarray:
    """The map M `[d, d]` float64; an embedding z becomes M z."""
    import numpy as np

    generator = np.random.default_rng(mapping.seed)
    if mapping.law == "gaussian":
        return generator.normal(size=(d, d)) / np.sqrt(d)
    left, right = (np.linalg.qr(generator.normal(size=(d, d)))[0] for _ in range(2))
    stretch = np.logspace(0, -np.log10(mapping.condition), d)
    return left * (stretch / np.sqrt(np.square(stretch).mean())) @ right.T


def layer_name(layer: str, mapping: Mapped, condition: float) -> str:
    """What stands for the layer in tables: where embeddings were read, and how they were mapped."""
    shown = f"{condition:.0f}" if condition >= 100 else f"{condition:.3g}"
    return f"{layer}, mapped ({mapping.law}, seed {mapping.seed}, condition {shown})"


class MapSlice(Strict):
    """The slice of the config of mapped embeddings."""

    lm: str
    dataset: str
    map: Mapped


def map_embeddings(mapping: Mapped, source: Path, source_manifest: Path, embeddings: Path, manifest: Path) -> None:
    """Write the embeddings of `source` after the map; the manifest states the condition number that it has."""
    import numpy as np

    from shiftscope.pair_embeddings import read_arrays, write_embeddings

    facts, arrays, about = read_arrays(source, source_manifest)
    matrix = linear_map(facts["shape"][2], mapping)
    condition = float(np.linalg.cond(matrix))
    for name in ("embedding_0", "embedding_1"):
        arrays[name] = (arrays[name].astype(np.float64) @ matrix.T).astype(np.float32)
    made = {
        "layer": layer_name(facts["layer"], mapping, condition),
        "map": mapping.model_dump() | {"condition": condition},
    }
    write_embeddings(embeddings, manifest, arrays, {**facts, **made, "mapped_from": facts["sha256"]}, about | made)
