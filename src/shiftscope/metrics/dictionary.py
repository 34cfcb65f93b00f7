"""What a sparse autoencoder of activations explains, and how: error, sparsity, dead latents, what the LM loses by it.

All of it on tokens that no training saw, or, in the metrics that end in `_words`, on the words of the concepts.
"""

from __future__ import annotations

import math

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics.base import Metric

FVU = Metric(
    "fvu", "FVU",
    "Fraction of variance unexplained on held-out tokens: squared error of the reconstruction over squared distance to "
    "the mean activation, each summed over all tokens; 0 is exact, and 1 as good as the mean.",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip
MSE = Metric(
    "mse", "MSE", "Squared error of the reconstruction of held-out tokens, mean over tokens and dimensions.",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip
FVU_WORDS = Metric(
    "fvu_words", "FVU, words", "As `fvu`, on the words of the concepts.",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip
MSE_WORDS = Metric(
    "mse_words", "MSE, words", "As `mse`, on the words of the concepts, as paper B has it (App. H.3).",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip
ACTIVE_LATENTS = Metric(
    "active_latents", "L0", "Latents that are not zero, mean over held-out tokens.", "seed", limits=(0, math.inf)
)
ACTIVE_LATENTS_WORDS = Metric(
    "active_latents_words", "L0, words", "The same over the words of the concepts.", "seed", limits=(0, math.inf)
)
DEAD_LATENTS = Metric(
    "dead_latents", "dead latents", "Latents that are zero on every held-out token.",
    "seed", higher_is_better=False, limits=(0, math.inf),
)  # fmt: skip
DEAD_SHARE = Metric(
    "dead_share", "dead share", "The same as a share of all latents.", "seed", higher_is_better=False, limits=(0, 1)
)
ACTIVE_SPARSE = Metric(
    "active_latents_sparse", "L0, sparse path",
    "Latents of the sparse path alone that are not zero, of an autoencoder that adds another to it, mean over held-out "
    "tokens.",
    "seed", limits=(0, math.inf),
)  # fmt: skip
SPARSE_SHARE = Metric(
    "sparse_share", "sparse share",
    "Share of what both paths explain that is lost without the sparse one, over the last batches of training.",
    "seed", limits=(-math.inf, math.inf),
)  # fmt: skip
COLLAPSED = Metric(
    "collapsed", "collapsed",
    "1 if the sparse path has died while the other explains the activations, else 0: that is no sparse autoencoder.",
    "seed", higher_is_better=False, limits=(0, 1),
)  # fmt: skip
CE_RECOVERED = Metric(
    "ce_recovered", "CE recovered",
    "Cross-entropy of next tokens that the LM keeps when reconstructions take the place of activations: 1 is as "
    "without an autoencoder, 0 as with zeros in their place.",
    "seed", higher_is_better=True, limits=(-math.inf, math.inf),
)  # fmt: skip
CE_RECOVERED_MEAN = Metric(
    "ce_recovered_mean", "CE recovered, mean",
    "As `ce_recovered`, where 0 is the mean activation in the place of each, a stricter zero: zeros are far from any "
    "activation, so that most of what is recovered of them is the mean.",
    "seed", higher_is_better=True, limits=(-math.inf, math.inf),
)  # fmt: skip


MCC_DOCUMENTS = Metric(
    "mcc_documents", "MCC, documents' concepts",
    "Codes of held-out tokens against the known concepts of their documents, a column per value: mean absolute correlation "
    "of the best one-to-one match, made on these very tokens. Where a document has not told a concept yet, no code can "
    "know it: the ceiling is what is linearly readable.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip


class Reconstruction:
    """Sums over batches of activations, from which error, sparsity and dead latents of one autoencoder follow.

    Sums are float64 and about the mean of the first batch, so that a large mean activation costs no digits.
    """

    def __init__(self) -> None:
        self.n = 0
        self._error = self._square = self._active = 0.0
        self._origin = self._sum = self._fired = None

    def add(self, activations: np.ndarray, codes: np.ndarray, outputs: np.ndarray) -> None:
        """Count a batch: activations `[n, d]`, their codes `[n, F]` and reconstructions `[n, d]`."""
        exact = activations.astype(np.float64)
        if self._origin is None:
            self._origin = exact.mean(0)
            self._sum, self._fired = np.zeros_like(self._origin), np.zeros(codes.shape[1], bool)
        self.n += len(exact)
        self._error += float(np.square(exact - outputs).sum())
        exact -= self._origin
        self._sum += exact.sum(0)
        self._square += float(np.square(exact).sum())
        self._active += int(np.count_nonzero(codes))
        self._fired |= (codes != 0).any(0)

    @property
    def mse(self) -> float:
        """Σ‖x - x̂‖² / (n·d): mean over samples and dimensions, in the units of activations, squared."""
        return self._error / (self.n * len(self._origin))

    @property
    def fvu(self) -> float:
        """Σ‖x - x̂‖² / Σ‖x - x̄‖², with the mean x̄ of the very samples.

        Raises:
            ShiftScopeError: the activations do not vary.
        """
        variance = self._square - float(np.square(self._sum).sum()) / self.n
        if not variance > 0:
            raise ShiftScopeError(
                f"all {self.n} activations are the same, so there is no variance to explain: give more tokens or words"
            )
        return self._error / variance

    @property
    def l0(self) -> float:
        """Mean number of latents that are not zero."""
        return self._active / self.n

    @property
    def dead(self) -> np.ndarray:
        """Which latents were zero on every sample, bool `[F]`."""
        return ~self._fired


def ce_recovered(clean: float, reconstructed: float, ablated: float) -> float:
    """(CE_ablated - CE_reconstructed) / (CE_ablated - CE_clean), of mean cross-entropies in nats per token.

    The convention of SAEBench and SAELens, which put zeros in the place of activations for CE_ablated; Gao et al.
    (2024) report the loss itself. With the mean activation in their place it is `ce_recovered_mean`. Below 0 the
    reconstruction is worse than the ablation.

    Raises:
        ShiftScopeError: ablation costs nothing, so that there is nothing to recover.
    """
    if not ablated > clean:
        raise ShiftScopeError(
            f"the LM's cross-entropy is {ablated:.4g} without these activations and {clean:.4g} with them: nothing "
            "depends on them here, so none of it can be recovered; read another layer"
        )
    return (ablated - reconstructed) / (ablated - clean)
