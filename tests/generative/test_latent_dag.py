"""Simulated worlds of a few concepts: what is computed by enumeration is what samples show."""

import numpy as np
import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.generative.latent_dag import LatentDag, draw


def world(graph: str = "er2", n: int = 4, m: int = 5, seed: int = 0) -> LatentDag:
    return draw(graph, n, m, np.random.default_rng(seed))


def sampled(one: LatentDag, size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """States and masked bits, both `[size]`."""
    generator = np.random.default_rng(seed)
    return generator.choice(len(one.prior), size, p=one.prior), generator.integers(len(one.bits), size=size)


@pytest.mark.parametrize("seed", range(3))
def test_posteriors_and_best_accuracies_are_those_of_samples(seed):
    one = world(seed=seed)
    drawn, masked = sampled(one, 200_000)
    contexts = np.stack([one.contexts(bit) for bit in range(len(one.bits))])[masked, drawn]
    right = np.zeros(4)
    for bit in range(len(one.bits)):
        for context in np.unique(contexts[masked == bit]):
            states = drawn[(masked == bit) & (contexts == context)]
            true = one.states[states].mean(0)
            right += len(states) * np.maximum(true, 1 - true)
            counted = np.bincount(states, minlength=len(one.prior)) / len(states)
            assert counted == pytest.approx(one.posterior(bit)[states[0]], abs=4 / np.sqrt(len(states)))
    assert right / len(drawn) == pytest.approx(one.best_accuracy(), abs=0.005)
    guesses = np.stack([one.posterior(bit).argmax(1) for bit in range(len(one.bits))])
    assert (guesses[masked, drawn] != drawn).mean() == pytest.approx(one.error_of_inversion(), abs=0.005)
    share = one.states[drawn].mean(0)
    assert np.maximum(share, 1 - share) == pytest.approx(one.majority(), abs=0.005)


def test_concepts_depend_on_their_parents_alone():
    one = world("er1", 6, 4, seed=3)
    assert one.prior.sum() == pytest.approx(1)
    for concept, given in enumerate(one.parents):
        others = [other for other in range(concept) if other not in given]
        laws = {}
        for state in np.unique(one.states[:, :concept], axis=0):
            alike = (one.states[:, :concept] == state).all(1)
            law = one.prior[alike & one.states[:, concept]].sum() / one.prior[alike].sum()
            laws.setdefault(tuple(state[list(given)]), []).append(law)
        assert len({round(law[0], 12) for law in laws.values()}) == len(laws) == 2 ** len(given)
        assert all(0.2 <= np.mean(law) <= 0.8 and np.ptp(law) < 1e-12 for law in laws.values()), others


def test_graphs_have_the_edges_that_are_expected():
    assert world("chain", 5).parents == ((), (0,), (1,), (2,), (3,))
    edges = [sum(map(len, world("er2", 8, 2, seed).parents)) for seed in range(200)]
    assert np.mean(edges) == pytest.approx(16, abs=0.6)
    assert sum(map(len, world("er3", 4).parents)) == 6  # 12 are expected of a graph that has 6


def test_a_bit_halves_the_states_each_in_its_own_way():
    bits = world("er1", 6, 40).bits
    assert (bits.sum(1) == 32).all()
    assert len(np.unique(bits, axis=0)) > 30  # of one permutation there are six


def test_the_order_of_bits_and_names_of_states_change_nothing():
    one = world(m=6)
    order = np.random.default_rng(0).permutation(6)
    states = np.random.default_rng(1).permutation(16)
    turned = LatentDag(one.parents, one.states[states], one.prior[states], one.bits[order][:, states])
    assert turned.error_of_inversion() == pytest.approx(one.error_of_inversion())
    assert turned.best_accuracy() == pytest.approx(one.best_accuracy())


def test_more_bits_tell_more_until_they_tell_all():
    one = world("chain", 3, 14)
    errors, accuracies = [], []
    for m in range(2, 15):
        fewer = LatentDag(one.parents, one.states, one.prior, one.bits[:m])
        errors.append(fewer.error_of_inversion())
        accuracies.append(fewer.best_accuracy())
    assert (np.diff(errors) <= 1e-12).all() and errors[0] > 0.3 and errors[-1] == pytest.approx(0)
    assert (np.diff(accuracies, axis=0) >= -1e-12).all() and accuracies[-1] == pytest.approx(1)
    assert (accuracies[0] >= one.majority() - 1e-12).all()


def test_what_is_seen_of_independent_concepts_themselves():
    """Three bits that are the concepts: the masked one is guessed, the others are known."""
    one = world("er1", 3, 3)
    prior = np.prod(np.where(one.states, [0.3, 0.6, 0.75], [0.7, 0.4, 0.25]), axis=1)
    bare = LatentDag(((), (), ()), one.states, prior, one.states.T.copy())
    assert bare.best_accuracy() == pytest.approx([(2 + 0.7) / 3, (2 + 0.6) / 3, (2 + 0.75) / 3])
    assert bare.majority() == pytest.approx([0.7, 0.6, 0.75])
    assert bare.error_of_inversion() == pytest.approx((0.3 + 0.4 + 0.25) / 3)
    known = LatentDag(((), (), ()), one.states, (one.states == [1, 0, 1]).all(1).astype(float), bare.bits)
    assert known.error_of_inversion() == 0 and (known.best_accuracy() == 1).all()  # other states are impossible


def test_a_seed_is_a_world_and_two_differ():
    first, again, other = world(seed=5), world(seed=5), world(seed=6)
    assert (first.bits == again.bits).all() and (first.prior == again.prior).all() and first.parents == again.parents
    assert (first.prior != other.prior).any()


@pytest.mark.parametrize(("graph", "n", "m", "said"), [("ring", 3, 4, "neither chain nor er1"), ("er0", 3, 4, "neither chain"), ("er1", 13, 4, "can be enumerated"), ("er1", 0, 4, "can be enumerated"), ("chain", 3, 1, "2 at least")])  # fmt: skip
def test_worlds_that_cannot_be_are_refused(graph, n, m, said):
    with pytest.raises(ShiftScopeError, match=said):
        draw(graph, n, m, np.random.default_rng(0))
