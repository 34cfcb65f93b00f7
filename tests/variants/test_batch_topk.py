"""`batch_topk`: k on average, exactly over a batch, and at inference by a threshold."""

import numpy as np
import pytest
import torch
from helpers.streams import F, assert_equal_to_plain, learned

from shiftscope.metrics.correlation import mcc
from shiftscope.training.draws import normal
from shiftscope.variants import _sparse
from shiftscope.variants.batch_topk import BatchTopK


@pytest.mark.parametrize("scale", [0.1, 1, 30])
@pytest.mark.parametrize("n", [1, 50, 2000, 9000])
def test_the_largest_of_all_are_those_of_a_sort(n, scale):
    """Whether the guess of where they begin is right or not: here it is, and in rows of unlike size it is not."""
    found = (
        torch.randn(100, 120, generator=torch.Generator().manual_seed(n)).relu()
        * torch.linspace(1, scale, 100)[:, None]
    )
    entries = _sparse.largest_of_all(found, n)
    expected = found.flatten().sort(descending=True)[0]
    expected = expected[: min(n, int((found > 0).sum()))]
    kept = found[entries.rows, entries.columns]
    assert (kept.sort(descending=True)[0] == expected).all()
    assert entries.starts.tolist() == [int((entries.rows < row).sum()) for row in range(100)]
    assert (entries.rows.diff() >= 0).all()


def test_nothing_above_zero_leaves_no_entry():
    entries = _sparse.largest_of_all(torch.zeros(4, 6), 3)
    assert len(entries.rows) == 0
    assert (_sparse.decoded(entries, torch.empty(0), torch.ones(6, 2)) == 0).all()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return learned(BatchTopK, tmp_path_factory.mktemp("batch_topk"), k=2)


def test_it_finds_a_known_dictionary_of_more_features_than_dimensions(model):
    model, activations, features = model
    assert mcc(BatchTopK.encode(model.arrays, activations), features) > 0.95


def test_the_threshold_leaves_k_codes_on_average_on_activations_that_were_not_trained_on(model):
    model, activations, _ = model
    codes = BatchTopK.encode(model.arrays, activations)
    assert (codes != 0).sum(1).mean() == pytest.approx(2, abs=0.1)
    assert codes[codes != 0].min() > model.arrays["threshold"] > 0
    halves = np.concatenate([BatchTopK.encode(model.arrays, half) for half in (activations[:700], activations[700:])])
    assert np.abs(halves - codes).max() < 1e-3  # no code depends on its batch


def test_the_threshold_is_the_mean_over_batches_of_the_smallest_code():
    setting = BatchTopK(k=3)
    weights = setting.initial(F, 20, normal(0))
    batches = torch.randn(4, 50, 20, generator=torch.Generator().manual_seed(0))
    found = [torch.sort((batch @ weights["encoder"].T).flatten(), descending=True)[0] for batch in batches]
    arrays = setting.export(weights, lambda: iter(batches))
    assert float(arrays["threshold"]) == pytest.approx(float(torch.stack(found)[:, 3 * 50 - 1].mean()), rel=1e-5)


def test_it_equals_a_plain_one_for_50_steps(tmp_path):
    setting = BatchTopK(k=4, steps=50, batch_size=60, lr=0.01, warmup=10, auxiliary=0)

    def loss(weights, inputs, step):
        pre = ((inputs - weights["decoder_bias"]) @ weights["encoder"].T + weights["encoder_bias"]).relu()
        values, places = pre.flatten().topk(4 * len(inputs))
        codes = torch.zeros_like(pre).flatten().scatter(0, places, values).view_as(pre)
        return (inputs - codes @ weights["decoder"] - weights["decoder_bias"]).square().mean()

    assert_equal_to_plain(setting, loss, tmp_path)
