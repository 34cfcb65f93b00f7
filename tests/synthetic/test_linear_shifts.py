"""Laws of synthetic pairs: what they promise, looked at in the samples."""

import numpy as np
import pytest
from helpers.tiny_models import draw, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shiftscope.files import read_json, read_tensors, sha256_of
from shiftscope.synthetic.linear_shifts import LinearShifts, mixing_matrix

SUPPORTS, AMPLITUDES = ("subset", "exact", "together"), ("uniform", "signed", "gaussian", "low_rank", "finite")


def law(**changes):
    return LinearShifts(**{"n_varying": 4, "max_changed": 3, "n_train": 3000, "n_test": 200, "n_single": 100} | changes)


def supports_of(drawn_sample, params):
    """Which concepts changed in the pairs that follow the law, without the single-concept ones."""
    return drawn_sample.shift[: params.n_train + params.n_test] != 0


@settings(max_examples=20, deadline=None)
@given(
    st.integers(2, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.sampled_from(["gaussian", "orthogonal", "integer"]),
    st.sampled_from(AMPLITUDES),
    st.integers(0, 1000),
)
def test_a_shift_of_embeddings_is_the_mixed_shift_of_concepts(sizes, mixing, amplitude, seed):
    n_varying, most = sizes
    params = law(
        n_varying=n_varying, max_changed=most, n_train=50, mixing=mixing, amplitude=amplitude, seed=seed, d_model=12
    )
    found = params.sample(0)
    delta = found.embedding_1 - found.embedding_0
    scale = np.abs(found.embedding_0).max()
    np.testing.assert_allclose(delta, found.shift @ found.mixing.T, rtol=0, atol=1e-13 * scale)
    assert np.linalg.matrix_rank(found.mixing) == n_varying  # injective
    assert found.embedding_0.shape == (50 + 200 + 100, 12)


@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("amplitude", AMPLITUDES)
def test_between_one_and_max_changed_concepts_change(support, amplitude):
    params = law(support=support, amplitude=amplitude)
    found = params.sample(0)
    counts = supports_of(found, params).sum(1)
    expected = {3} if support == "exact" else {1, 2, 3}
    assert set(counts.tolist()) == expected
    assert ((found.shift[-params.n_single :] != 0).sum(1) == 1).all()


def test_subset_draws_every_size_and_every_concept_alike():
    params = law(n_varying=5, max_changed=4, n_train=20_000)
    changed = supports_of(params.sample(0), params)
    sizes = np.bincount(changed.sum(1), minlength=5)[1:] / len(changed)
    assert sizes == pytest.approx(np.full(4, 0.25), abs=0.02)
    assert changed.mean(0) == pytest.approx(np.full(5, 0.5), abs=0.02)  # mean size 2.5 of 5


def test_together_means_that_the_first_two_change_only_together():
    params = law(support="together")
    changed = supports_of(params.sample(0), params)
    assert (changed[:, 0] == changed[:, 1]).all()
    assert 0 < changed[:, 0].mean() < 1
    assert (changed[:, 2] != changed[:, 3]).any()


def covers_all_others(changed):
    """Assumption 4.1: for every concept, the union of the supports without it holds all other concepts."""
    concepts = changed.shape[1]
    return all(changed[~changed[:, j]].any(0).sum() == concepts - 1 for j in range(concepts))


@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("sizes", [(3, 2), (4, 3), (3, 3), (4, 4), (10, 7)])
def test_the_support_assumption_is_as_the_law_says(support, sizes):
    params = law(n_varying=sizes[0], max_changed=sizes[1], support=support)
    assert covers_all_others(supports_of(params.sample(0), params)) == params.assumptions().support_variability


@pytest.mark.parametrize("amplitude", AMPLITUDES)
@pytest.mark.parametrize("most", [1, 3])
def test_the_density_assumption_is_as_the_law_says(amplitude, most):
    params = law(amplitude=amplitude, max_changed=most)
    found = params.sample(0)
    changed = supports_of(found, params)
    values = found.shift[: len(changed)]
    many = min(most, 2)  # the first concepts of one support; a density on them has full rank and no atoms
    chosen = (changed[:, :many].all(1)) & (changed.sum(1) == many)
    inside = values[chosen][:, :many]
    full_rank = np.linalg.matrix_rank(inside, tol=1e-9 * np.linalg.norm(inside)) == many
    no_atoms = len(np.unique(inside, axis=0)) == len(inside)
    assert (full_rank and no_atoms) == params.assumptions().density


def test_amplitudes_lie_where_their_law_puts_them():
    uniform, signed, finite, line = (
        law(amplitude=name).sample(0).shift for name in ("uniform", "signed", "finite", "low_rank")
    )
    assert (uniform >= 0).all() and 0.98 < uniform.max() < 1
    assert 0.98 < signed.max() < 1 and -1 < signed.min() < -0.98
    assert set(np.unique(finite)) == {-1.0, 0.0, 1.0}
    both = line[(line[:, 0] != 0) & (line[:, 1] != 0)]
    ratio = both[:, 1] / both[:, 0]
    assert ratio == pytest.approx(np.full(len(both), ratio[0]))


def test_gaussian_amplitudes_are_correlated_and_of_full_rank():
    found = law(amplitude="gaussian", support="exact", max_changed=4, n_train=20_000, n_single=0).sample(0).shift
    correlation = np.corrcoef(found.T)
    assert np.abs(correlation[np.triu_indices(4, 1)]).max() > 0.1
    assert np.linalg.eigvalsh(np.cov(found.T)).min() > 1e-3


def test_noise_is_relative_to_the_shifts():
    for noise in (0.1, 1.0):
        params = law(noise=noise, n_single=0)
        found = params.sample(0)
        clean = found.shift @ found.mixing.T
        rest = found.embedding_1 - found.embedding_0 - clean
        assert rest.std() / np.sqrt(np.square(clean).mean()) == pytest.approx(noise, rel=0.02)
    assert (law(noise=0.5).sample(0).shift == law(noise=0.0).sample(0).shift).all()


def test_mixings_are_of_their_law():
    rng = np.random.default_rng(0)
    orthogonal = mixing_matrix(law(mixing="orthogonal", d_model=9), rng)
    assert orthogonal.T @ orthogonal == pytest.approx(np.eye(4), abs=1e-12)
    integers = mixing_matrix(law(mixing="integer", n_varying=4, d_model=4), rng)
    assert (integers == np.round(integers)).all() and integers.min() >= 1
    gaussian = mixing_matrix(law(mixing="gaussian", d_model=4000), rng)
    assert np.square(gaussian).sum(0) == pytest.approx(np.ones(4), rel=0.15)


def test_data_seeds_differ_and_equal_seeds_are_equal():
    params = law(data_seeds=3)
    first, second, again = params.sample(0), params.sample(1), params.sample(0)
    other = law(data_seeds=3, seed=1).sample(0)
    for name in first._fields:
        assert (getattr(first, name) == getattr(again, name)).all()
        assert not np.allclose(getattr(first, name), getattr(second, name))
        assert not np.allclose(getattr(first, name), getattr(other, name))


def test_the_file_holds_what_was_drawn_with_the_same_bytes_each_time(tmp_path):
    changes = {"n_varying": 4, "max_changed": 3, "n_train": 60, "n_test": 30, "n_single": 20, "data_seeds": 2}
    embeddings, manifest = draw(tmp_path / "a", **changes)
    again, manifest_again = draw(tmp_path / "b", **changes)
    assert embeddings.read_bytes() == again.read_bytes()
    assert manifest.read_bytes() == manifest_again.read_bytes()
    facts = read_json(manifest)
    assert facts["sha256"] == sha256_of(embeddings)
    assert facts["assumptions"] == {"support_variability": True, "density": True}
    arrays, _ = read_tensors(embeddings)
    assert facts["shape"] == list(arrays["embedding_0"].shape) == [2, 110, 16]
    assert arrays["split"].tolist() == [0] * 60 + [1] * 30 + [2] * 20
    found = LinearShifts(**changes).sample(1)
    assert (arrays["truth.shift"][1] == found.shift.astype(np.float32)).all()
    delta = arrays["embedding_1"][1] - arrays["embedding_0"][1]
    assert delta == pytest.approx(arrays["truth.shift"][1] @ arrays["mixing"][1].T, abs=1e-5)


def test_single_concept_pairs_are_labelled_with_their_concept_and_direction(tmp_path):
    data = drawn(tmp_path, n_varying=3, max_changed=2, n_train=80, n_test=40, n_single=30, amplitude="signed")
    shift = data.truths["shift"]
    alone = (shift != 0).sum(2) == 1
    assert (alone == (data.concept >= 0)).all()
    where = np.nonzero(alone)
    assert (np.sign(shift[(*where, data.concept[where])]) == data.sign[where]).all()
    assert (data.sign[~alone] == 0).all()
    assert (data.concept[:, data.rows("single")] >= 0).all()
    assert set(data.sign[alone].tolist()) == {-1, 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_changed": 5}, "max_changed is 5, but only n_varying = 4 concepts vary"),
        ({"d_model": 3}, "d_model is 3: it must be at least n_varying = 4"),
        ({"support": "together", "max_changed": 1}, "support together needs n_varying >= 3 and max_changed >= 2"),
    ],
)
def test_impossible_laws_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        law(**changes)
