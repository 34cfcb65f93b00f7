"""The order of a language model's layers."""

from __future__ import annotations

from collections.abc import Iterable

LAST = "final_norm"


def by_depth(layers: Iterable[str]) -> list[str]:
    """Distinct layers, the final norm last."""
    return sorted(set(layers), key=lambda layer: (layer == LAST, block_number(layer)))


def block_number(layer: str) -> int:
    """The block after which a layer is read; -1 for the final norm."""
    return -1 if layer == LAST else int(layer.partition(".")[2])
