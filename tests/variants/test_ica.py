"""FastICA: what it finds, and what it cannot find. What it shares with other baselines is in test_base.py."""

import numpy as np
import pytest
from helpers.shifts import K, mixed, one_at_a_time

from shiftscope.metrics.correlation import mcc, mcc_of_directions
from shiftscope.metrics.sparsity import reconstruction_error
from shiftscope.variants.ica import Ica, contrast


@pytest.mark.parametrize("fun", ["logcosh", "exp", "cube"])
def test_ica_finds_independent_concepts_that_are_not_gaussian(fun):
    rng = np.random.default_rng(0)
    concepts = rng.laplace(size=(2000, K))
    pairs, mixing = mixed(concepts, rng)
    arrays = Ica(fun=fun).fit(pairs, K, 0)
    assert mcc(Ica.encode(arrays, pairs.shifts), concepts) > 0.98
    assert mcc_of_directions(arrays["decoder"], mixing) > 0.97
    assert reconstruction_error(Ica, arrays, 0 * pairs.shifts, pairs.shifts) < 1e-8


@pytest.mark.parametrize("centre", [True, False])
def test_of_several_starts_the_one_with_the_largest_contrast_is_kept(centre):
    """Where concepts exclude each other, half sums and differences of all four are a worse optimum that most starts find."""
    rng = np.random.default_rng(2)
    concepts = one_at_a_time(rng)
    pairs, _ = mixed(concepts, rng)
    found = [
        mcc(Ica.encode(Ica(centre=centre, n_init=1).fit(pairs, K, seed), pairs.shifts), concepts) for seed in (0, 1)
    ]
    assert max(found) < 0.6
    for seed in (0, 1):
        assert mcc(Ica.encode(Ica(centre=centre).fit(pairs, K, seed), pairs.shifts), concepts) > 0.99


@pytest.mark.parametrize("fun", ["logcosh", "exp", "cube"])
def test_the_contrast_is_none_for_gaussian_sources_and_large_for_others(fun):
    rng = np.random.default_rng(3)
    assert contrast(rng.normal(size=(200_000, 2)), fun) < 1e-3
    assert contrast(rng.laplace(scale=0.5**0.5, size=(200_000, 1)), fun) > 1e-3
    two = rng.laplace(scale=0.5**0.5, size=(1000, 2))
    assert contrast(two, fun) == pytest.approx(contrast(two[:, :1], fun) + contrast(two[:, 1:], fun))


def test_what_did_not_converge_is_said_and_kept(caplog):
    rng = np.random.default_rng(5)
    pairs, _ = mixed(rng.normal(size=(300, K)), rng)
    assert np.isfinite(Ica(max_iter=1).fit(pairs, K, 0)["decoder"]).all()
    assert "FastICA with logcosh, seed 0: not converged after 1 iterations" in caplog.text
