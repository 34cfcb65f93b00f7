"""`batch_topk`: `topk` with the k·B largest codes of a batch of B, of Bussmann et al. 2024 (arXiv 2412.06410).

An activation may then have many codes and another few, k on average. So that a code does not depend on what else is in its
batch, inference takes those above a threshold: the mean over batches of the smallest code that stays (their Eq. 9). It is
taken over the latest training batches, with the weights as they are in the end, and so depends on no step in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from shiftscope.variants.base import Arrays, Tensors
from shiftscope.variants.topk import TopK

if TYPE_CHECKING:
    import numpy as np
    import torch

    from shiftscope.variants._sparse import Entries


class BatchTopK(TopK):
    """Hyperparameters of `batch_topk`: those of `topk`, `k` on average."""

    system = "batch_topk"

    def _chosen(self, found: torch.Tensor) -> Entries:
        from shiftscope.variants._sparse import largest_of_all

        return largest_of_all(found.relu(), self.k * len(found))

    def export(self, weights: Tensors, latest: Callable[[], Iterator[torch.Tensor]]) -> Arrays:
        """As `topk` has it, and `threshold`."""
        import numpy as np

        from shiftscope.variants._sparse import pre_activations

        smallest = []
        for inputs in latest():
            found = pre_activations(weights, inputs)
            entries = self._chosen(found)
            kept = found[entries.rows, entries.columns]
            smallest.append(float(kept.min()) if len(kept) else 0.0)
        return super().export(weights, latest) | {"threshold": np.float64(np.mean(smallest))}

    @staticmethod
    def encode(arrays: Arrays, inputs: np.ndarray) -> np.ndarray:
        """Codes `[n, F]` of activations `[n, d]`: those above the threshold."""
        import numpy as np

        found = inputs @ arrays["encoder"].T + arrays["encoder_bias"]
        return np.where(found > arrays["threshold"], found, np.float32(0))
