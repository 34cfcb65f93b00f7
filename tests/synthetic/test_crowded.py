"""T-2: a world with more concepts than dimensions, and what the autoencoder that reads embeddings makes of it."""

import numpy as np
import pytest
from helpers.tiny_models import trained
from pydantic import ValidationError

from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs
from shiftscope.synthetic.crowded import Crowded
from shiftscope.variants.base import codes_of
from shiftscope.variants.l1_tied import L1Tied
from shiftscope.variants.ssae import Ssae

SMALL = Crowded(n_concepts=30, n_varying=4, max_changed=3, d_model=8, n_train=3000, n_test=500, n_single=40, single=0.0)


def test_shifts_are_those_of_the_concepts_that_vary_and_embeddings_are_not_injective():
    drawn = SMALL.sample(0)
    assert drawn.embedding_1 - drawn.embedding_0 == pytest.approx(drawn.shift @ drawn.mixing.T, abs=1e-9)
    assert drawn.mixing.shape == (8, 4)
    assert np.linalg.matrix_rank(drawn.embedding_0) == 8 < SMALL.n_concepts


def test_the_share_of_pairs_with_one_change_is_as_asked():
    for share in (0.0, 0.5, 1.0):
        changed = (SMALL.model_copy(update={"single": share}).sample(0).shift != 0).sum(1)
        assert ((changed[:3500] == 1).mean()) == pytest.approx(share, abs=0.04)
        assert changed[:3500].max() <= 3
        assert set(changed[3500:]) == {1}


def test_unintended_changes_leave_the_truth_and_the_single_pairs_alone():
    params = SMALL.model_copy(update={"unintended": 0.5})
    drawn = params.sample(0)
    rest = np.abs(drawn.embedding_1 - drawn.embedding_0 - drawn.shift @ drawn.mixing.T).max(1) > 1e-9
    assert rest[:3500].mean() == pytest.approx(0.5, abs=0.04)
    assert not rest[3500:].any()
    assert not params.assumptions().support_variability
    assert SMALL.assumptions() == (True, True)


@pytest.mark.parametrize("wrong", [{"max_changed": 5}, {"d_model": 3}, {"n_concepts": 3}])
def test_worlds_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        Crowded(**SMALL.model_dump() | wrong)


def test_shifts_tell_what_embeddings_do_not():
    drawn = SMALL.sample(1)
    before, after = (array.astype(np.float32) for array in drawn[:2])
    pairs = TrainingPairs((after - before)[:3000], np.full(3000, -1), np.zeros(3000), 0, before[:3000])
    found = {}
    for setting, codes in ((Ssae(shrinkage=0, steps=1200), 4), (L1Tied(steps=600), 30)):
        [model] = trained([setting], [Replica(0, 0, 0)], {0: pairs}, codes)
        test = codes_of(type(setting), model.arrays, before[3000:3500], after[3000:3500])
        found[type(setting)] = mcc(test, drawn.shift[3000:3500])
    assert found[Ssae] > 0.98
    assert found[L1Tied] < 0.8
