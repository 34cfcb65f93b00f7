"""T-2: a world with more concepts than dimensions, and what the autoencoder that reads embeddings makes of it."""

import numpy as np
import pytest
from helpers.tiny_models import trained
from pydantic import ValidationError

from shiftscope.evaluation.base import worlds
from shiftscope.metrics.correlation import mcc
from shiftscope.models import Replica
from shiftscope.pair_embeddings import TrainingPairs, read_embeddings
from shiftscope.synthetic.base import write_synthetic
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


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"active": [0.1, 2]}, "sweep: active 2: Input should be less than or equal to 1"),
        ({"max_changed": [9]}, "sweep: max_changed 9: .*max_changed ≤ n_varying"),
        ({"d_model": [9]}, "Input should be 'active'"),  # worlds of one file have equal shapes
        ({"n_concepts": [7.5]}, "sweep: n_concepts 7.5: "),
    ],
)
def test_sweeps_that_cannot_be_are_refused(sweep, said):
    with pytest.raises(ValidationError, match=said):
        Crowded(**SMALL.model_dump() | {"sweep": sweep})


def test_all_worlds_together_must_not_be_too_large():
    sizes = SMALL.model_dump() | {"n_train": 10_000_000}
    assert Crowded(**sizes).data_seeds == 3
    with pytest.raises(ValidationError, match="take fewer pairs, dimensions, data_seeds or worlds"):
        Crowded(**sizes | {"sweep": {"active": [0.1 * number for number in range(1, 10)]}})


def test_a_world_differs_in_what_is_swept_alone():
    worlds = SMALL.model_copy(update={"sweep": {"active": [0.1, 1], "signed": [0, 1]}}).worlds()
    assert list(worlds) == ["active 0.1", "active 1", "signed 0", "signed 1"]
    assert worlds["active 0.1"] == SMALL.model_copy(update={"active": 0.1})
    assert worlds["active 1"] == worlds["signed 1"] == SMALL


def test_without_signs_and_with_few_active_concepts_texts_are_sparse_and_positive():
    law = SMALL.model_copy(update={"n_concepts": 8, "n_varying": 4, "signed": False, "active": 0.1})
    drawn = law.sample(0)
    rng = np.random.default_rng([law.seed, 0])
    concepts = drawn.embedding_0 @ np.linalg.inv(rng.normal(size=(8, 8)) / np.sqrt(8)).T
    assert concepts.min() > -1e-9
    assert concepts.max() <= 1 + 1e-9
    assert (concepts > 1e-9).mean() == pytest.approx(0.1, abs=0.01)


def test_worlds_are_drawn_once_each_into_one_file(tmp_path):
    sizes = {"n_train": 30, "n_test": 20, "n_single": 10, "data_seeds": 2}
    law = Crowded(**SMALL.model_dump() | sizes | {"sweep": {"active": [0.1, 1], "single": [0, 1]}})
    files = tmp_path / "embeddings.safetensors", tmp_path / "manifest.json"
    write_synthetic(law, "crowded", "crowded", *files)
    data = read_embeddings(*files)
    assert data.facts["worlds"] == {"active 0.1": 0, "active 1": 2, "single 0": 2, "single 1": 4}
    assert data.embedding_0.shape == (6, 60, 8)
    found = [(names, here) for names, here, _ in worlds(data, [])]
    assert [names for names, _ in found] == [
        ["crowded, active 0.1"], ["crowded, active 1", "crowded, single 0"], ["crowded, single 1"],
    ]  # fmt: skip
    for names, here in found:
        assert (here.facts["dataset"], here.data_seeds) == (names[0], 2)
        world = law.worlds()[names[0].removeprefix("crowded, ")]
        for data_seed in range(2):
            drawn = world.sample(data_seed)
            assert here.embedding_1[data_seed] == pytest.approx(drawn.embedding_1, abs=1e-5)
            assert here.truths["shift"][data_seed] == pytest.approx(drawn.shift, abs=1e-6)


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
