"""Components of texts and their states by hand, the likelihood by brute force, and EM that never takes a step down."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from shiftscope.variants._text_states import (
    MOST_STATES,
    families,
    fit,
    patterns,
    posterior,
    residual,
    sufficient,
    whitening,
)

LINKS = {
    "alone": [(0, 1)],
    "chain": [(0, 1), (1, 2)],
    "backwards": [(0, 1), (2, 1), (3, 2)],
    "shared": [(0, 1), (0, 2), (0, 3)],
    "circle": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "duplicate": [(0, 1), (0, 1)],
    "reversed": [(0, 1), (1, 0)],
    "unordered": [(7, 3), (9, 5), (5, 7)],
}
LOOSE = {"triangle": [(0, 1), (1, 2), (2, 0)], "equal": [(0, 1), (0, 0)], "itself": [(4, 4), (4, 4)]}


def embedded(links, d=3, seed=0):
    """Shifts of the pairs of some texts whose embeddings are random, and their numbers `[n, 2]`."""
    texts = np.array(links)
    embeddings = np.random.default_rng(seed).normal(size=(texts.max() + 1, d))
    return embeddings[texts[:, 1]] - embeddings[texts[:, 0]], texts


def undone(one, values):
    """Rows of a family before they were decorrelated, after that of the first text, which is zero."""
    texts = one.states.shape[1]
    raw = np.einsum("st,gtd->gsd", np.linalg.cholesky(np.eye(texts) + 1), values)
    return np.concatenate([np.zeros((len(raw), 1, raw.shape[2])), raw], 1)


def places(links):
    """The links with texts numbered in the order in which they come."""
    order = list(dict.fromkeys(itertools.chain.from_iterable(links)))
    return [(order.index(first), order.index(second)) for first, second in links]


@pytest.mark.parametrize("texts", [None, np.arange(10).reshape(5, 2)])
def test_pairs_that_share_no_text_stand_alone(texts):
    shifts = np.random.default_rng(0).normal(size=(5, 3))
    (one,) = families(shifts, texts, 2)
    assert one.shifts[one.rows[:, 0].argsort(), 0] == pytest.approx(shifts / np.sqrt(2))
    assert one.states[:, 0] == pytest.approx(patterns(2) / np.sqrt(2))
    assert one.codes[:, 0].tolist() == list(range(8))


@pytest.mark.parametrize("n_codes", [1, 2])
@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_codes_of_pairs_are_differences_of_states_and_shifts_are_kept(links, n_codes):
    shifts, texts = embedded(links)
    (one,) = families(shifts, texts, n_codes)
    assert one.rows.tolist() == [list(range(len(links)))]
    states, relative = undone(one, one.states), undone(one, one.shifts)[0]
    assert np.isin(np.round(states, 9), (-1, 0, 1)).all()
    assert len(np.unique(np.round(states, 9), axis=0)) == len(states)
    for pair, (first, second) in enumerate(places(links)):
        assert patterns(n_codes)[one.codes[:, pair]] == pytest.approx(states[:, second] - states[:, first])
        assert relative[second] - relative[first] == pytest.approx(shifts[pair])


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("alone", {(1,), (-1,)}),
        ("chain", {(1, 0), (-1, 0)}),  # what rises falls again, for a concept has two values
        ("shared", set(itertools.product((-1, 1), repeat=3))),
        ("circle", {(first, 0, last) for first in (-1, 1) for last in (-1, 1)}),
        ("duplicate", {(1,), (-1,)}),
        ("reversed", {(1,), (-1,)}),
    ],
)
def test_the_states_of_one_concept(links, expected):
    (one,) = families(*embedded(LINKS[links]), 1)
    found = np.round(undone(one, one.states)[:, 1:, 0]).astype(int)
    assert set(map(tuple, found.tolist())) == expected


def test_around_a_circle_codes_add_up_to_zero_and_a_turned_pair_has_the_opposite_code():
    (circle,) = families(*embedded(LINKS["circle"]), 2)
    assert (patterns(2)[circle.codes].sum(1) == 0).all()
    (turned,) = families(*embedded(LINKS["reversed"]), 2)
    assert (patterns(2)[turned.codes[:, 0]] == -patterns(2)[turned.codes[:, 1]]).all()
    (twice,) = families(*embedded(LINKS["duplicate"]), 2)
    assert (twice.codes[:, 0] == twice.codes[:, 1]).all()


@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_noise_of_texts_is_decorrelated(links):
    """Each text its own unit vector: the products of rows are the covariance of what texts' noise makes of them."""
    texts = np.array(links)
    embeddings = np.eye(texts.max() + 1)
    (one,) = families(embeddings[texts[:, 1]] - embeddings[texts[:, 0]], texts, 1)
    assert one.shifts[0] @ one.shifts[0].T == pytest.approx(np.eye(one.states.shape[1]))


def test_components_that_are_linked_alike_are_one_family():
    shifts, texts = embedded([(0, 1), (10, 11), (1, 2), (20, 21), (11, 12), (30, 31)])
    found = {one.states.shape[1]: one for one in families(shifts, texts, 1)}
    assert {size: sorted(one.rows.tolist()) for size, one in found.items()} == {2: [[0, 2], [1, 4]], 1: [[3], [5]]}
    some = found[1].some(np.array([False, True]))
    assert some.rows.tolist() == [found[1].rows[1].tolist()] and (some.shifts == found[1].shifts[1:]).all()


@pytest.mark.parametrize("links", LOOSE.values(), ids=LOOSE)
def test_a_component_that_has_no_states_is_taken_apart(links):
    """One concept of two values cannot change three times around a triangle, nor from a text to itself."""
    shifts, texts = embedded(links)
    (one,) = families(shifts, texts, 1)
    assert sorted(one.rows.tolist()) == [[row] for row in range(len(links))]
    assert one.shifts[one.rows[:, 0].argsort(), 0] == pytest.approx(shifts / np.sqrt(2))


def test_a_component_of_too_many_texts_is_taken_apart():
    chain = [(text, text + 1) for text in range(5)]
    shifts, texts = embedded([*chain, (10, 11), (11, 12), (20, 21)])
    assert 3 ** (2 * 5) > MOST_STATES >= 3**5
    sizes = {one.states.shape[1]: sorted(one.rows.tolist()) for one in families(shifts, texts, 2)}
    assert sizes == {2: [[5, 6]], 1: [[0], [1], [2], [3], [4], [7]]}
    sizes = {one.states.shape[1]: sorted(one.rows.tolist()) for one in families(shifts, texts, 1)}
    assert sizes == {5: [[0, 1, 2, 3, 4]], 2: [[5, 6]], 1: [[7]]}


# --- the mixture


def planted(n=60, n_codes=2, d=4, seed=0):
    """Pairs of which some share texts, directions `[k, d]` and a covariance of texts' noise."""
    rng = np.random.default_rng(seed)
    texts = np.concatenate([np.arange(2 * n).reshape(n, 2), 1000 + 3 * np.arange(n // 3)[:, None] + [[0, 1]]])
    texts = np.concatenate([texts, texts[-(n // 3) :] + 1])
    directions, root = 2 * rng.normal(size=(n_codes, d)), rng.normal(size=(d, d))
    states = rng.integers(0, 2, size=(texts.max() + 1, n_codes))
    embeddings = states @ directions + rng.normal(size=(texts.max() + 1, d)) @ root
    return embeddings[texts[:, 1]] - embeddings[texts[:, 0]], texts, directions, root.T @ root


def test_the_likelihood_is_that_of_all_states_one_by_one():
    shifts, texts, directions, noise = planted(n=6)
    weights = np.random.default_rng(1).dirichlet(np.ones(8))
    floor = 0.3
    those = families(shifts, texts, 2)
    assert {one.states.shape[1] for one in those} == {1, 2}
    for one, likelihood, share in zip(those, *posterior(those, directions, weights, noise, floor), strict=True):
        size = one.states.shape[1]
        covariance = np.kron(np.eye(size) + 1, noise + floor * np.eye(4))
        means = undone(one, one.states)[:, 1:] @ directions
        prior = weights[one.codes].prod(1)
        prior /= prior.sum()
        volume = 4 * np.log(np.diag(np.linalg.cholesky(np.eye(size) + 1))).sum() + 4 * size * np.log(2 * np.pi) / 2
        for component, relative in enumerate(undone(one, one.shifts)[:, 1:]):
            each = prior * [multivariate_normal(mean.ravel(), covariance).pdf(relative.ravel()) for mean in means]
            assert likelihood[component] == pytest.approx(np.log(each.sum()) + volume)
            assert share[component] == pytest.approx(each / each.sum(), abs=1e-12)


def test_sums_and_the_residual_are_those_of_loops():
    shifts, texts, directions, noise = planted(n=6)
    those = families(shifts, texts, 2)
    _, shares = posterior(those, directions, np.full(8, 1 / 8), noise, 0.1)
    second, cross, counts, left = np.zeros((2, 2)), np.zeros((2, 4)), np.zeros(8), np.zeros((4, 4))
    for one, share in zip(those, shares, strict=True):
        for component, state in itertools.product(range(len(one.shifts)), range(len(one.states))):
            weight = share[component, state]
            for row, values in zip(one.shifts[component], one.states[state], strict=True):
                second += weight * np.outer(values, values)
                cross += weight * np.outer(values, row)
                left += weight * np.outer(row - values @ directions, row - values @ directions)
            for code in one.codes[state]:
                counts[code] += weight
    found = sufficient(those, shares, 8)
    for one, expected in zip(found, (second, cross, counts), strict=True):
        assert one == pytest.approx(expected)
    moment = sum(np.einsum("gta,gtb->ab", one.shifts, one.shifts) for one in those)
    assert residual(moment, second, cross, directions) == pytest.approx(left)


def test_whitening_makes_noise_and_floor_a_unit():
    noise = np.diag([4.0, 0.0]) + 1e-12
    whitener, volume = whitening(noise, 0.5)
    assert whitener.T @ (noise + 0.5 * np.eye(2)) @ whitener == pytest.approx(np.eye(2))
    assert volume == pytest.approx(np.log(np.linalg.det(noise + 0.5 * np.eye(2))) / 2)


@pytest.mark.parametrize("sparsity", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_what_em_maximises_never_falls(sparsity, seed):
    """With pairs alone: the likelihood; of patterns that a penalty holds down, that times the penalty's mean under π."""
    shifts, *_ = planted(seed=seed)
    those = families(shifts, None, 2)
    penalty = -sparsity * (patterns(2) != 0).sum(1)
    values = []
    for steps in range(40):
        found = fit(those, shifts[:2], penalty, 1e-9, steps)
        values.append(found.likelihood - np.log((found.weights * np.exp(-penalty)).sum()))
    assert np.diff(values).min() > -1e-5
    assert values[-1] > values[0] + 0.05
    assert found.weights.sum() == pytest.approx(1)
