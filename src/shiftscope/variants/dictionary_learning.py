"""`dictionary_learning`: online dictionary learning of shifts (Mairal et al. 2009); a baseline.

    min over unit atoms D and codes c of E[ ½ ‖x - c D‖² + α ‖c‖₁ ]

on shifts x whitened to the rank of the code, in units in which each coordinate has mean square 1; the source's own
space would let the largest direction decide. The seed draws random rotations to start from and the mini-batches, which
all starts share; the dictionary with the least objective on training shifts is kept. Step for step it is scikit-learn's
`MiniBatchDictionaryLearning`, as a test shows, which solves the Lasso sample by sample and takes ten times as long.

Codes of new shifts: solving the Lasso for each costs a thousand times a matrix product. The encoder is the linear map
that predicts the Lasso's codes best on training shifts (least squares), times the one number that undoes the Lasso's
shrinkage best. It loses nothing against the Lasso's own codes or the dictionary's pseudo-inverse: at α 1, MCC with the
truth .99 (against .89 and .98) on synth_10_7 and .98 (.98 and .80) on cat_135_3, on seeds that no run evaluates.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants.base import Arrays, ClosedForm, linear_model

if TYPE_CHECKING:
    import numpy as np

    from shiftscope.pair_embeddings import TrainingPairs

logger = logging.getLogger(__name__)

ENCODER_ROWS = 2000
"""training shifts on which starts are compared and to whose Lasso codes the encoder is fitted"""
UNUSED = 1e-6
"""an atom with a smaller mean square code is drawn anew, from a shift"""


def learn(
    atoms: np.ndarray, inputs: np.ndarray, variant: DictionaryLearning, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Atoms `[starts, k, d]` after all steps (Mairal et al. 2009, Alg. 1 and 2), from those of several starts.

    The past is forgotten as their Sec. 3.4.2 has it. The second array `[starts]` tells how far an atom of a start went
    in the last tenth of the steps.
    """
    import numpy as np

    atoms, size = atoms.copy(), min(variant.batch_size, len(inputs))
    gram, products = np.zeros((*atoms.shape[:2], atoms.shape[1])), np.zeros_like(atoms)
    for step in range(variant.steps):
        if step == math.ceil(0.9 * variant.steps):
            earlier = atoms.copy()
        batch = inputs[generator.choice(len(inputs), size, replace=False)]
        codes = lasso(batch, atoms, variant.alpha)
        seen = (step + 1) * size if step < size - 1 else size**2 + step + 1 - size
        kept = (seen + 1 - size) / (seen + 1)
        gram = kept * gram + codes.swapaxes(1, 2) @ codes / size
        products = kept * products + codes.swapaxes(1, 2) @ batch / size
        for atom in range(atoms.shape[1]):
            _update(atoms, atom, gram[:, atom], products[:, atom])
            for start in np.flatnonzero(gram[:, atom, atom] <= UNUSED):
                drawn = batch[generator.integers(size)]
                noise = generator.normal(size=inputs.shape[1])
                atoms[start, atom] = drawn + 0.01 * (drawn.std() or 1.0) * noise
            atoms[:, atom] /= np.linalg.norm(atoms[:, atom], axis=1, keepdims=True).clip(1.0)
    return atoms, np.linalg.norm(atoms - earlier, axis=2).max(1)


def _update(atoms: np.ndarray, atom: int, gram: np.ndarray, products: np.ndarray) -> None:
    """Move one atom of every start to where the objective is least while the others stay, in place."""
    lacking = products - (gram[:, None] @ atoms)[:, 0]
    atoms[:, atom] += lacking / gram[:, [atom]].clip(UNUSED)


def lasso(inputs: np.ndarray, atoms: np.ndarray, alpha: float, tol: float = 1e-6, most: int = 1000) -> np.ndarray:
    """Codes `[…, n, k]` that minimise ½ ‖x - c D‖² + α ‖c‖₁, for all inputs `[n, d]` and dictionaries `[…, k, d]` at once.

    (FISTA, Beck and Teboulle 2009.)
    """
    import numpy as np

    turned = atoms.swapaxes(-1, -2)
    gram, products = atoms @ turned, inputs @ turned
    rate = 1 / np.linalg.eigvalsh(gram)[..., -1:, None].clip(np.finfo(float).tiny)
    codes = ahead = np.zeros_like(products)
    momentum = 1.0
    for _ in range(most):
        last, codes = codes, ahead + rate * (products - ahead @ gram)
        codes = codes - np.clip(codes, -rate * alpha, rate * alpha)
        change = codes - last
        if np.abs(change).max() < tol:
            break
        later = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead, momentum = codes + (momentum - 1) / later * change, later
    else:
        logger.debug("a Lasso of %d inputs and %d atoms did not converge in %d steps", *products.shape[-2:], most)
    return codes


def objective(inputs: np.ndarray, atoms: np.ndarray, codes: np.ndarray, alpha: float) -> np.ndarray:
    """Mean over inputs `[n, d]` of ½ ‖x - c D‖² + α ‖c‖₁, `[starts]`."""
    import numpy as np

    return (np.square(inputs - codes @ atoms).sum(2) / 2 + alpha * np.abs(codes).sum(2)).mean(1)


class DictionaryLearning(ClosedForm):
    """Hyperparameters of `dictionary_learning`; UDR can choose `alpha`."""

    alpha: float = Field(1.0, gt=0, description="weight of the L1 penalty, relative to a whitened coordinate")
    n_init: int = Field(8, ge=1, description="starts per seed, the best of which is kept; at most 32 / k")
    steps: int = Field(600, ge=10, description="mini-batches")
    batch_size: int = Field(32, ge=1, description="shifts per mini-batch; more cost time and change little")
    tol: float = Field(0.05, gt=0, description="largest change of a unit atom over the last tenth of the steps")

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """Atoms as decoder `[k, d]` and a linear encoder `[k, d]`; the seed draws first atoms and mini-batches.

        A dictionary that moves by more than `tol` to the end is kept, and the log says so.
        """
        import numpy as np

        from shiftscope.variants._starts import starts
        from shiftscope.variants._unshrunk import unshrunk
        from shiftscope.variants._whitening import whiten

        generator = np.random.default_rng(seed)
        white = whiten(pairs.shifts, n_codes, 0.0, n_codes, pairs.moment)
        inputs = white.inputs.astype(np.float64)
        rows = inputs[generator.permutation(len(inputs))[:ENCODER_ROWS]]
        first = np.linalg.svd(
            generator.normal(size=(starts(self.n_init, n_codes), n_codes, inputs.shape[1])), full_matrices=False
        )
        first = first.U @ first.Vh  # random rotations: atoms that start alike would stay alike
        every, moved = learn(first / np.linalg.norm(first, axis=2, keepdims=True), inputs, self, generator)
        codes = lasso(rows, every, self.alpha)
        best = objective(rows, every, codes, self.alpha).argmin()
        atoms = every[best]
        encoder = np.linalg.lstsq(rows, codes[best], rcond=None)[0].T
        if moved[best] > self.tol:
            logger.warning(
                "dictionary learning with alpha %g, seed %d: after %d steps an atom still moves, by %.2g in the last tenth",
                self.alpha, seed, self.steps, moved[best],
            )  # fmt: skip
        encoder = unshrunk(encoder, atoms, rows)
        return linear_model(encoder @ white.forward.T, atoms @ white.backward)
