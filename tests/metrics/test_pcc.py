"""PCC: what it must not depend on, what noise scores, exponentials, coverage, and one latent as a detector."""

import numpy as np
import pytest

from shiftscope.metrics import pcc
from shiftscope.metrics.pcc import READINGS, ConceptWords, Correlations, Logits, Reading


def concepts_of(n_concepts=6, words=60):
    """Concepts of as many words before as after, in equal halves; the next concept's words begin where the last end."""
    place = np.arange(words)
    return [
        ConceptWords(f"concept_{number}", number * words + place, place % 2 == 1, place // 2 % 2 == 1)
        for number in range(n_concepts)
    ]


def logits_of(concepts, rng):
    drawn = [rng.normal(size=len(one.row)) + one.after for one in concepts]
    return Logits(drawn, drawn, np.ones(len(concepts)))


@pytest.fixture
def world():
    """Concepts, the logits of their probes, and features that know a little of them."""
    rng = np.random.default_rng(0)
    concepts = concepts_of()
    logits = logits_of(concepts, rng)
    features = rng.normal(size=(360, 40))
    for number, (one, logit) in enumerate(zip(concepts, logits.whole, strict=True)):
        features[one.row, 2 * number] += (-1) ** number * logit
    return features, concepts, logits


# --- matching


def test_hungarian_and_free_signed_and_absolute_by_hand():
    correlation = np.array([[0.9, 0.8, -0.95], [0.7, 0.1, -0.9]])
    found = Correlations(correlation, correlation, correlation)
    by_hand = {
        Reading(): [0.9, 0.9],  # .9 + .9 is more than .95 + .7
        Reading(free=True): [0.95, 0.9],
        Reading(signed=True): [0.8, 0.7],
        Reading(signed=True, free=True): [0.9, 0.7],
    }
    for reading, values in by_hand.items():
        assert pcc.in_sample(found, reading) == pytest.approx(values), reading


def test_features_that_are_the_logits_have_one(world):
    _, concepts, logits = world
    features = np.zeros((360, 6))
    for number, (one, logit) in enumerate(zip(concepts, logits.whole, strict=True)):
        features[one.row, number] = -3 * logit + 7
    found = pcc.correlations(features, concepts, logits)
    assert pcc.in_sample(found) == pytest.approx(np.ones(6))
    assert pcc.held_out(found) == pytest.approx(np.ones(6))
    assert pcc.in_sample(found, Reading(signed=True, free=True)).max() <= 1e-12  # they all point the other way
    assert pcc.others(found) == pytest.approx(np.zeros(6))


@pytest.mark.parametrize("reading", READINGS, ids=lambda one: one.name)
def test_order_of_features_does_not_matter(world, reading):
    features, concepts, logits = world
    order = np.random.default_rng(1).permutation(40)
    one, other = (pcc.correlations(some, concepts, logits, reading.exponent) for some in (features, features[:, order]))
    for score in (pcc.in_sample, pcc.held_out):
        assert score(one, reading).mean() == pytest.approx(score(other, reading).mean())


@pytest.mark.parametrize("reading", READINGS, ids=lambda one: one.name)
def test_scale_of_features_matters_to_raw_exponentials_alone(world, reading):
    features, concepts, logits = world
    scales = np.exp(np.random.default_rng(2).normal(size=40))
    one, other = (pcc.correlations(some, concepts, logits, reading.exponent) for some in (features, features * scales))
    same = [score(one, reading) == pytest.approx(score(other, reading)) for score in (pcc.in_sample, pcc.held_out)]
    assert same == [reading.exponent != "exp_raw"] * 2


def test_signs_of_features_do_not_matter_to_absolute_correlation(world):
    features, concepts, logits = world
    signs = np.where(np.arange(40) % 3, 1, -1)
    one, other = (pcc.correlations(some, concepts, logits) for some in (features, features * signs))
    assert pcc.in_sample(one) == pytest.approx(pcc.in_sample(other))
    assert pcc.held_out(one) == pytest.approx(pcc.held_out(other))
    signed = Reading(signed=True)
    assert pcc.in_sample(one, signed) != pytest.approx(pcc.in_sample(other, signed))


def test_scale_turns_a_near_tie_into_a_ranking():
    """What the paper's exponentials do: the same features, three times as large, are ranked elsewhere."""
    rng = np.random.default_rng(3)
    (concept,) = concepts_of(1, 200)
    logit = rng.normal(size=200)
    feature = logit[:, None] + 0.5 * rng.normal(size=(200, 1))
    logits = Logits([logit], [logit], np.ones(1))

    def score(scale, exponent):
        return pcc.in_sample(pcc.correlations(scale * feature, [concept], logits, exponent))[0]

    assert [score(1, ""), score(1, "exp")] == pytest.approx([score(10, ""), score(10, "exp")])
    raw = [score(scale, "exp_raw") for scale in (0.1, 1, 3, 10)]
    assert raw == sorted(raw, reverse=True)
    assert raw[0] - raw[-1] > 0.4


def test_large_features_overflow_no_exponential(world):
    features, concepts, logits = world
    found = pcc.correlations((features * 1e6).astype(np.float32), concepts, logits, "exp_raw")
    assert all(np.isfinite(part).all() for part in found)


@pytest.mark.parametrize("exponent", ["", "exp", "exp_raw"])
def test_dead_and_constant_features_count_zero(world, exponent):
    _, concepts, logits = world
    dead = np.concatenate([np.zeros((360, 3)), np.full((360, 3), 1e5)], 1)
    found = pcc.correlations(dead, concepts, logits, exponent)
    assert all((part == 0).all() for part in found)
    assert (pcc.in_sample(found) == 0).all() and (pcc.held_out(found) == 0).all()
    assert (pcc.latent_f1(dead, concepts, found) == 0).all()


def test_with_fewer_features_than_concepts_those_left_out_count_zero(world):
    features, concepts, logits = world
    found = pcc.correlations(features[:, [0, 2]], concepts, logits)
    for values in (pcc.in_sample(found), pcc.held_out(found), pcc.latent_f1(features[:, [0, 2]], concepts, found)):
        assert (values != 0).sum() == 2
    assert (pcc.others(found) != 0).sum() == 2


# --- in sample and held out


def test_noise_scores_in_sample_and_not_held_out():
    """At 50 words a class, with as many features as a dictionary has: .3 to .4 in sample, and near 0 held out."""
    rng = np.random.default_rng(4)
    concepts = concepts_of(27, 100)
    embeddings = rng.normal(size=(2700, 48))
    logits = pcc.probe_logits(embeddings, concepts)
    found = pcc.correlations(rng.normal(size=(2700, 2304)), concepts, logits)
    assert 0.3 < pcc.in_sample(found).mean() < 0.4
    spread = 1 / np.sqrt(50 * 27)  # of the mean of 27 correlations over 50 words each
    assert abs(pcc.held_out(found).mean()) < 3 * spread


def test_with_few_words_noise_is_almost_perfect_in_sample():
    """`pronoun_possessive` has four pairs: what is published of it, .998, is what noise scores."""
    rng = np.random.default_rng(5)
    concepts = concepts_of(1, 8)
    found = pcc.correlations(rng.normal(size=(8, 2304)), concepts, logits_of(concepts, rng))
    assert pcc.in_sample(found)[0] > 0.9


def test_a_feature_that_turns_round_scores_below_zero():
    (concept,) = concepts_of(1, 40)
    logit = np.random.default_rng(6).normal(size=40)
    turned = np.where(concept.second, -logit, logit)[:, None]
    found = pcc.correlations(turned, [concept], Logits([logit], [logit], np.ones(1)))
    assert pcc.held_out(found) == pytest.approx([-1])
    assert pcc.held_out(pcc.correlations(-turned, [concept], Logits([logit], [logit], np.ones(1)))) == pytest.approx(
        [-1]
    )


def test_probes_are_fitted_on_what_they_say():
    """Separable words: the whole probe is right of all; one fitted on a half whose labels say the opposite is wrong."""
    rng = np.random.default_rng(7)
    (concept,) = concepts_of(1, 80)
    embeddings = rng.normal(size=(80, 5))
    embeddings[:, 0] += np.where(concept.after, 4, -4)
    logits = pcc.probe_logits(embeddings, [concept])
    assert ((logits.whole[0] > 0) == concept.after).all()
    assert logits.accuracy == pytest.approx([1])
    lied = concept._replace(after=concept.after ^ concept.second)
    assert pcc.probe_logits(embeddings, [lied]).accuracy == pytest.approx([0])


def test_probes_are_scikit_learns_at_its_default_penalty():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(8)
    (concept,) = concepts_of(1, 40)
    for d in (4, 100):  # fewer dimensions than words, and more
        embeddings = rng.normal(size=(40, d)) + concept.after[:, None]
        found, first = pcc.probe_logits(embeddings, [concept]), ~concept.second
        for logit, some in ((found.whole[0], first | True), (found.half[0], first)):
            expected = LogisticRegression(tol=1e-8, max_iter=10_000).fit(embeddings[some], concept.after[some])
            assert logit == pytest.approx(expected.decision_function(embeddings), abs=1e-4)


def test_permuted_labels_keep_the_balance_of_both_halves():
    concept = concepts_of(1, 60)[0]
    drawn = [concept.permuted(seed) for seed in (0, 0, 1)]
    assert (drawn[0].after == drawn[1].after).all() and (drawn[0].after != drawn[2].after).any()
    assert (drawn[0].row == concept.row).all()
    for half in (concept.second, ~concept.second):
        assert drawn[0].after[half].sum() == concept.after[half].sum()


def test_permuted_labels_take_away_what_features_know():
    rng = np.random.default_rng(9)
    concepts = concepts_of(8, 100)
    embeddings = rng.normal(size=(800, 30))
    for number, one in enumerate(concepts):
        embeddings[one.row, number] += np.where(one.after, 3, -3)
    drawn = [one.permuted(0) for one in concepts]
    true, chance = (
        pcc.correlations(embeddings, some, pcc.probe_logits(embeddings, some)) for some in (concepts, drawn)
    )
    assert pcc.held_out(true).mean() > 0.9
    assert pcc.held_out(chance).mean() < 0.5 < pcc.held_out(true).min()


# --- coverage


@pytest.mark.parametrize(("covered", "published", "over_27"), [(2, 7.1, 7.4), (3, 10.7, 11.1), (24, 89.3, 88.9),
                                                               (26, 96.4, 96.3)])  # fmt: skip
def test_the_published_coverage_counts_the_row_of_averages(covered, published, over_27):
    """Paper B, Table 2: its averages .331, .365, .638, .674 are a 28th row, covered with the two higher ones."""
    values = np.r_[np.full(covered, 0.9), np.full(27 - covered, 0.1)]
    assert round(100 * pcc.coverage(values), 1) == over_27
    average_too = covered > 20
    assert round(100 * (covered + average_too) / 28, 1) == published


def test_a_half_is_not_covered():
    assert pcc.coverage(np.array([0.5, 0.5001, -0.9])) == pytest.approx(1 / 3)


# --- one latent


def test_f1_by_hand():
    true = np.array([True, True, True, False])
    assert pcc.f1(np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool), true) == pytest.approx([0.8, 6 / 7, 0])
    assert pcc.f1(np.zeros(2, bool), np.zeros(2, bool)) == 0


@pytest.mark.parametrize(("values", "true", "expected"), [
    ([0, 0, 1, 3], [0, 0, 1, 1], 0.5), ([0, 1, 2, 3], [0, 0, 0, 1], 2.5), ([5, 5, 5, 5], [0, 0, 1, 1], np.inf),
])  # fmt: skip
def test_the_threshold_is_midway_between_values(values, true, expected):
    assert pcc.threshold(np.array(values, float), np.array(true, bool)) == expected


def test_no_other_threshold_is_better():
    rng = np.random.default_rng(10)
    for _ in range(20):
        values, true = rng.normal(size=15).round(1), rng.random(15) > 0.5
        best = pcc.f1(values > pcc.threshold(values, true), true)
        tried = [
            pcc.f1(values > at, true) for at in np.linspace(-4, 4, 400) if (values > at).any() and (values <= at).any()
        ]
        assert best >= max(tried) - 1e-12


def test_one_latent_tells_words_apart_whichever_way_it_points(world):
    _, concepts, logits = world
    features = np.zeros((360, 6))
    for number, one in enumerate(concepts):
        features[one.row, number] = np.where(one.after, -2.0, 0.0)
    found = pcc.correlations(features, concepts, logits)
    assert pcc.latent_f1(features, concepts, found) == pytest.approx(np.ones(6))
    assert pcc.probe_f1(concepts, logits) == pytest.approx(np.ones(6), abs=0.5)


def test_a_latent_that_serves_all_concepts_is_not_selective(world):
    _, concepts, logits = world
    shared = np.concatenate([np.concatenate(logits.whole)[:, None], np.eye(360)[:, :5]], 1)
    values = pcc.others(pcc.correlations(shared, concepts, logits))
    assert values.max() == pytest.approx(1)


def test_names_of_readings_are_distinct_and_the_headline_has_none():
    names = [one.name for one in READINGS]
    assert len(set(names)) == 12 and names[0] == ""
    assert {"signed", "free", "signed_free", "exp", "signed_free_exp_raw"} <= set(names)
