"""`shift_mixture`: sparse discrete shifts among noise that all pairs share; ours, for few concepts that are there or not.

    z = m + s D + e,   s ∈ {-1, 0, 1}^k,   δz = (s' - s) D + e' - e,   p(s' - s) ∝ π exp(-κ |s' - s|₀),   e ~ N(0, Σ)

What `ssae` cannot use decides on a real language model: that a concept is there or not (which breaks the continuous
amplitudes of paper A's Assumption 4.2), that pairs have a before and an after, that noise has a covariance, and that pairs
which share a text share its noise (`_text_states`). It is fitted by EM in the leading directions of the shifts, from several
starts of which the likelihood chooses; how many directions held-out likelihood says (the fewest within a standard error of
the best). Codes of new shifts are then read in the whole space (`_discriminant`). Patterns are enumerated, 3^k of them:
with more than six codes it does not apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from shiftscope.variants.base import Arrays, ClosedForm, Facts, linear_model

if TYPE_CHECKING:
    import numpy as np

    from shiftscope.pair_embeddings import TrainingPairs
    from shiftscope.variants._text_states import Family, Mixture

RANKS = (2, 4, 8, 16, 32)
"""numbers of leading directions to choose from"""
FOLDS = 5
TRIAL_STARTS, TRIAL_STEPS = 4, 40
"""of EM while the rank is chosen"""


class ShiftMixture(ClosedForm):
    """Hyperparameters of `shift_mixture`; nothing is left to choose by hand."""

    candidate = True
    most_codes = 6

    n_init: int = Field(10, ge=1, description="starts per seed, of which the likelihood chooses")
    steps: int = Field(60, ge=1, description="steps of EM")
    sparsity: float = Field(1.0, ge=0, description="κ, by which a change more makes a pattern less likely, in nats")
    floor: float = Field(0.01, gt=0, description="added to noise variances, relative to the largest of the shifts")
    rank: int | None = Field(None, ge=1, description="leading directions; by default held-out likelihood chooses")
    most_pairs: int = Field(1024, ge=8, description="a random sample of so many pairs is enough to find the directions")

    def fit(self, pairs: TrainingPairs, n_codes: int, seed: int) -> Arrays:
        """Encoder and directions, both `[k, d]`; the seed draws the starts."""
        return self.fit_seeds(pairs, n_codes, [seed])[0][0]

    def fit_seeds(self, pairs: TrainingPairs, n_codes: int, seeds: list[int]) -> list[tuple[Arrays, Facts]]:
        """A model per seed, and by how much its kind explains held-out pairs better than a Gaussian does.

        Raises:
            ShiftScopeError: more codes than it can enumerate.
        """
        from shiftscope.variants._text_states import families, patterns

        pairs = sampled(pairs, self.most_pairs)
        those = families(pairs.shifts, pairs.texts, n_codes)
        basis = leading(pairs.shifts)
        penalty = -self.sparsity * (patterns(n_codes) != 0).sum(1)
        rank, gain, error = self._rank(those, basis, penalty)
        facts = {"gain": gain, "gain_error": error, "rank": float(rank)}
        inside, floor = projected(those, basis[:, :rank], self.floor)
        return [
            (self._model(pairs, those, best(inside, penalty, floor, self.steps, self.n_init, seed), n_codes), facts)
            for seed in seeds
        ]

    def _rank(
        self, those: list[Family], basis: np.ndarray, penalty: np.ndarray
    ) -> tuple[int, float | None, float | None]:
        """The rank, and the held-out gain over a Gaussian in nats per text with its standard error."""
        import numpy as np

        texts = sum(len(one.shifts) * one.shifts.shape[1] for one in those)
        n_codes = those[0].states.shape[2]
        most = max(1, min(basis.shape[1], int(0.6 * texts)))
        ranks = [rank for rank in RANKS if n_codes <= rank <= most] or [min(n_codes, most)]
        ranks = [min(self.rank, basis.shape[1])] if self.rank else ranks
        if sum(len(one.shifts) for one in those) < 2 * FOLDS:
            return ranks[0], None, None
        gains = [self._gain(those, basis[:, :rank], penalty) for rank in ranks]
        means, errors = np.array([(gain.mean(), gain.std() / np.sqrt(len(gain))) for gain in gains]).T
        chosen = int(np.flatnonzero(means >= means.max() - errors[means.argmax()])[0])
        return ranks[chosen], float(means[chosen]), float(errors[chosen])

    def _gain(self, those: list[Family], basis: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        """Per held-out component: nats per text over a Gaussian of equal second moment, for pairs turned either way."""
        import numpy as np

        from shiftscope.variants._text_states import posterior, rows_of, whitening

        counts = [len(one.shifts) for one in those]
        folds = np.split(np.random.default_rng(0).permutation(sum(counts)) % FOLDS, np.cumsum(counts)[:-1])
        found = []
        for fold in range(FOLDS):
            known = [one.some(which != fold) for one, which in zip(those, folds, strict=True)]
            inside, floor = projected(known, basis, self.floor)
            fitted = best(inside, penalty, floor, TRIAL_STEPS, TRIAL_STARTS, fold)
            rows = rows_of(inside)
            whitener, volume = whitening(rows.T @ rows / len(rows), floor)
            held_out = [
                one.some(which == fold)._replace(shifts=one.shifts[which == fold] @ basis)
                for one, which in zip(those, folds, strict=True)
            ]
            likelihood, _ = posterior(held_out, fitted.directions, fitted.weights, fitted.noise, floor)
            for one, each in zip(held_out, likelihood, strict=True):
                size = one.shifts.shape[1]
                gaussian = -np.square(one.shifts @ whitener).sum((1, 2)) / 2 - size * volume
                found += ((each - gaussian - np.log(2)) / size).tolist()
        return np.array(found)

    def _model(self, pairs: TrainingPairs, those: list[Family], fitted: Mixture, n_codes: int) -> Arrays:
        """Codes are read in the whole space, by the directions and the noise that the pairs' patterns leave there."""
        import numpy as np

        from shiftscope.variants._discriminant import Sums, read
        from shiftscope.variants._text_states import patterns, rows_of, sufficient

        codes, group = np.zeros((len(pairs.shifts), n_codes)), np.zeros(len(pairs.shifts), int)
        parts, count = [], 0
        for one, share in zip(those, fitted.shares, strict=True):
            codes[one.rows] = np.einsum("gq,qek->gek", share, patterns(n_codes)[one.codes], optimize=True)
            group[one.rows] = count + np.arange(len(one.rows))[:, None]
            parts.append((count, one, share))
            count += len(one.rows)

        def sums(groups: np.ndarray) -> Sums:
            chosen = []
            for first, one, share in parts:
                which = np.isin(first + np.arange(len(one.rows)), groups)
                chosen.append((one.some(which), share[which]))
            ours, shares = [one for one, _ in chosen], [share for _, share in chosen]
            rows = rows_of(ours)
            second, cross, _ = sufficient(ours, shares, len(patterns(n_codes)))
            return Sums(rows.T @ rows, second, cross, len(rows))

        encoder, directions, _ = read(pairs.shifts, codes, sums(np.arange(count)), sums, group)
        return linear_model(encoder, directions)


def sampled(pairs: TrainingPairs, most: int) -> TrainingPairs:
    """At most about so many pairs, whole components of them, at random."""
    import numpy as np

    if len(pairs.shifts) <= most:
        return pairs
    component = pairs.component
    order = np.random.default_rng(0).permutation(component.max() + 1)
    sizes = np.bincount(component)[order].cumsum()
    return pairs.some(np.isin(component, order[: max(1, int((sizes <= most).sum()))]))


def leading(shifts: np.ndarray) -> np.ndarray:
    """The leading principal directions of the uncentred shifts as columns `[d, r]`, at most the largest of `RANKS`."""
    import numpy as np

    axes = np.linalg.svd(shifts.astype(np.float64), full_matrices=False)[2]
    return axes[: max(1, min(RANKS[-1], len(shifts) - 1))].T


def projected(those: list[Family], basis: np.ndarray, share: float) -> tuple[list[Family], float]:
    """The families within a basis `[d, r]`, and the noise floor there: a `share` of the largest variance."""
    import numpy as np

    from shiftscope.variants._text_states import rows_of

    inside = [one._replace(shifts=one.shifts @ basis) for one in those]
    rows = rows_of(inside)
    return inside, share * float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1])


def best(inside: list[Family], penalty: np.ndarray, floor: float, steps: int, starts: int, seed: int) -> Mixture:
    """The most likely fit of several starts, each from as many shifts as there are codes."""
    import numpy as np

    from shiftscope.variants._text_states import fit, rows_of

    rows = rows_of(inside)
    n_codes = inside[0].states.shape[2]
    drawn = [
        np.random.default_rng([seed, start]).choice(len(rows), n_codes, len(rows) < n_codes) for start in range(starts)
    ]
    return max((fit(inside, rows[which], penalty, floor, steps) for which in drawn), key=lambda one: one.likelihood)
