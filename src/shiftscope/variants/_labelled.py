"""Variants with a direction per labelled concept, which only differ in how it comes from the concept's pairs."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from shiftscope.errors import ShiftScopeError
from shiftscope.variants.base import Arrays, ClosedForm

if TYPE_CHECKING:
    import numpy as np

    from shiftscope.pair_embeddings import TrainingPairs


class Labelled(ClosedForm):
    """Needs training pairs that are known to differ in one concept.

    A concept without such pairs has a zero direction, which counts as dead.
    """

    supervised = True
    deterministic = True

    @abstractmethod
    def direction(self, shifts: np.ndarray) -> np.ndarray:
        """The direction `[d]`, of any length, of a concept from its shifts `[n, d]` float32, all turned one way."""

    @abstractmethod
    def model(self, directions: np.ndarray, shifts: np.ndarray, concept: np.ndarray) -> Arrays:
        """Arrays from directions `[concepts, d]`; a concept without pairs has zeros.

        `shifts` `[n, d]` are those of all labelled pairs, turned one way, and `concept` `[n]` is the concept of each.
        """

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """A direction per labelled concept, so `n_codes` does not enter, and no seed.

        Raises:
            ShiftScopeError: no training pair is labelled as differing in one concept.
        """
        import numpy as np

        labelled = pairs.concept >= 0
        if not labelled.any():
            name = type(self).__module__.rpartition(".")[2]
            raise ShiftScopeError(
                f"{name} needs training pairs that are labelled to differ in one concept, and there is none: "
                f"name the label columns in the dataset's `concepts`, or leave {name} out for this dataset"
            )
        shifts, concept = pairs.shifts[labelled] * pairs.sign[labelled, None], pairs.concept[labelled]
        directions = np.zeros((pairs.n_concepts, shifts.shape[1]))
        for number in range(pairs.n_concepts):
            own = shifts[concept == number]
            if own.any():
                directions[number] = self.direction(own)
        return self.model(directions, shifts, concept)
