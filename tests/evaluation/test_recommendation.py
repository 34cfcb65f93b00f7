"""Every branch of the choice between variants, none of which reads a label."""

import numpy as np
import pytest
from helpers.tiny_models import embeddings_of

from shiftscope import kinds
from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.recommendation import SIGNIFICANT, at_size, main_size, recommend, recommended_rows
from shiftscope.models import Model
from shiftscope.pair_embeddings import TrainingPairs


@pytest.fixture
def data():
    found = embeddings_of({0: TrainingPairs(np.ones((4, 2), np.float32), None, None, 1)})
    found.facts.update(dataset="pairs", lm="m", untrained_of=None)
    return found


def one(kind, facts=(), name="", codes=2, settings=({},), chosen=0):
    """A variant whose models of the chosen setting tell `facts`, those of the others nothing."""
    facts = [facts] if isinstance(facts, dict) else list(facts) or [{}]
    models = [Model(chosen, 0, seed, {}, each) for seed, each in enumerate(facts)]
    models += [Model(setting, 0, 0, {}, {"gain": 99.0}) for setting in range(len(settings)) if setting != chosen]
    about = {"lm": "m", "dataset": "pairs", "codes": codes, "variant": name or kind, "kind": kind}
    return Trained(about | {"settings": list(settings)}, kinds.load("variants", kind), models, chosen)


def gain(value, error=0.1):
    return {"gain": value, "gain_error": error}


def choice(data, *trained):
    (found,) = recommend(data, trained)
    assert found.one.facts["variant"] == found.reasons["recommended"]
    return found.reasons["recommended"], found.reasons["why"]


def test_with_one_code_a_shift_that_all_pairs_share_comes_before_any_gain(data):
    name, why = choice(data, one("ssae", gain(5.0), codes=1), one("shared", {"p_shared": SIGNIFICANT}, codes=1))
    assert name == "shared"
    assert why.startswith("is what all pairs share (sign flips: p = 0.01)")


def test_where_they_share_none_the_gain_decides(data):
    shared = one("shared", {"p_shared": SIGNIFICANT + 1e-6}, codes=1)
    others = one("ssae", gain(0.5), codes=1), one("shift_mixture", gain(0.7), codes=1)
    name, why = choice(data, shared, *others)
    assert (name, why) == (
        "shift_mixture", "explains left-out training pairs better than a Gaussian by 0.70 ± 0.10 nats (ssae 0.50)",
    )  # fmt: skip
    assert choice(data, shared, *others[::-1])[0] == "shift_mixture"
    assert choice(data, shared)[0] == "shared"  # there is nothing else


@pytest.mark.parametrize(("best", "noise"), [(0.19, True), (0.21, False), (-0.3, True)])
def test_a_gain_within_noise_is_said_to_be(data, best, noise):
    name, why = choice(data, one("ssae", gain(best)), one("shift_mixture", gain(best - 1)))
    assert name == "ssae"
    assert ("within noise: no structure beyond a Gaussian was found" in why) == noise


def test_where_no_gain_is_measured_the_first_of_the_config_is_taken(data):
    unmeasured = {"gain": None, "gain_error": None, "rank": 2.0}
    trained = one("shift_mixture", unmeasured), one("ssae")
    assert choice(data, *trained) == (
        "shift_mixture", "is the first of the config that applies; no held-out gain was measured",
    )  # fmt: skip
    assert choice(data, *trained[::-1])[0] == "ssae"
    assert choice(data, one("shift_mixture", unmeasured), one("ssae", gain(-1.0)))[0] == "ssae"


def test_means_are_over_the_models_of_the_chosen_setting(data):
    trained = one("ssae", [gain(1.0, 0.1), gain(2.0, 0.3), {}], settings=({"lr": 1}, {"lr": 2}), chosen=1)
    (found,) = recommend(data, [trained])
    assert found.reasons["candidates"] == [
        {"variant": "ssae", "gain": 1.5, "gain_error": pytest.approx(0.2), "p_shared": None}
    ]


def test_only_candidates_are_recommended(data):
    others = [one(kind, gain(9.0)) for kind in kinds.names("variants") if not kinds.load("variants", kind).candidate]
    assert recommend(data, others) == []
    assert choice(data, *others, one("ssae", gain(0.1)))[0] == "ssae"
    assert {kind for kind in kinds.names("variants") if kinds.load("variants", kind).candidate} == {
        "shared", "shift_mixture", "ssae",
    }  # fmt: skip


def test_fewer_pairs_and_turned_ones_are_no_candidates_and_the_first_of_a_kind_stands_for_it(data):
    curve = one("ssae", gain(9.0), "ssae_pairs", settings=({"n_pairs": 10},))
    ablation = one("ssae", gain(9.0), "ssae_turned", settings=({"orientation": "random"},))
    assert recommend(data, [curve, ablation]) == []
    first = one("ssae", gain(1.0), settings=({"n_pairs": None, "orientation": "given"},))
    second = one("ssae", gain(2.0), "ssae_again")
    assert choice(data, curve, ablation, first, second)[0] == "ssae"


def test_each_code_size_has_its_own(data):
    found = recommend(data, [
        one("ssae", gain(1.0), codes=9), one("ssae", gain(1.0), codes=2), one("shift_mixture", gain(2.0), codes=2),
        one("pca", codes=4),
    ])  # fmt: skip
    assert [(each.reasons["codes"], each.reasons["recommended"]) for each in found] == [
        (2, "shift_mixture"),
        (9, "ssae"),
    ]


@pytest.mark.parametrize("facts", [{"untrained_of": "m", "lm": "twin"}, {"map": {"law": "gaussian"}}])
def test_nothing_is_recommended_on_controls(data, facts):
    data.facts.update(facts)
    assert recommend(data, [one("ssae", gain(1.0))]) == []


def test_its_rows_are_repeated_under_its_own_name(data):
    def row(variant, codes=2, selected=True, **more):
        return {"variant": variant, "codes": codes, "selected": selected, "metric": "mcc_truth", "value": 1.0} | more

    rows = [
        row("ssae"), row("ssae", codes=9), row("ssae", selected=False), row("pca"), row("", control="ceiling", codes=None),
        row("ssae", control="permuted_labels"),
    ]  # fmt: skip
    found = recommended_rows(rows, recommend(data, [one("ssae", gain(1.0)), one("pca", gain(2.0))]))
    assert [each for each in found if not each.get("control")] == [rows[0] | {"variant": "recommended"}]
    assert all(each["variant"] == "recommended" for each in found)
    assert recommended_rows(rows, []) == []


# --- how many codes


def sized(codes, value, error=0.1, agree=True, kind="shift_mixture", alike=0.0):
    """A variant at a number of codes; its two seeds have the same directions, or others; two of them are alike."""
    directions = np.eye(16)[:codes]
    if codes > 1:
        directions[1, 0] = alike / max((1 - alike**2) ** 0.5, 1e-9)
    models = [
        Model(
            0,
            0,
            seed,
            {"decoder": np.roll(directions, 8 * seed * (not agree), axis=1)},
            {"gain": value, "gain_error": error},
        )
        for seed in (0, 1)
    ]
    facts = {"lm": "m", "dataset": "pairs", "codes": codes, "variant": kind, "kind": kind, "settings": [{}]}
    return Trained(facts, kinds.load("variants", kind), models)


def shared(gain_of_one=None):
    """One code, where all pairs share a shift; with what another variant explains with one code, if that is known."""
    one = Trained(
        {"lm": "m", "dataset": "pairs", "codes": 1, "variant": "shared", "kind": "shared", "settings": [{}]},
        kinds.load("variants", "shared"),
        [Model(0, 0, 0, {"decoder": np.eye(16)[:1]}, {"p_shared": SIGNIFICANT})],
    )
    return [one, *([] if gain_of_one is None else [sized(1, gain_of_one, kind="ssae")])]


@pytest.mark.parametrize(
    ("one", "sizes", "chosen", "said"),
    [
        (None, [sized(2, 0.91), sized(3, 0.97)], 2, "with 2 codes, the fewest that explain left-out training pairs as well as any"),
        (None, [sized(2, 0.91), sized(3, 0.97)], 2, "2: 0.91 ± 0.10, seeds 1.00; 3: 0.97 ± 0.10, seeds 1.00)"),
        (None, [sized(2, 0.5), sized(3, 0.97)], 3, "It is the largest that was tried: there may be more"),
        (None, [sized(2, 0.91), sized(3, 1.5, agree=False)], 2, "with 2 codes"),
        (None, [sized(2, 0.91), sized(3, 1.5, alike=0.95)], 2, "3: 1.50 ± 0.10, seeds 1.00, alike 0.95)"),
        (0.9, [sized(2, 0.91), sized(3, 0.95)], 1, "with one code, the fewest that explain"),
        (0.5, [sized(2, 0.91)], 2, "1: 0.50 ± 0.10; 2: 0.91"),
        (None, [sized(2, 0.29), sized(3, 0.2)], 1, "with one code, the fewest that were tried, for no number explains"),
        (None, [sized(2, 0.9, agree=False)], 1, "with one code, the fewest that were tried"),
        (None, [sized(2, None)], 1, "(no gain was measured)"),
    ],
)  # fmt: skip
def test_the_number_of_codes_is_the_smallest_that_explains_and_is_identified(data, one, sizes, chosen, said):
    found = main_size(recommend(data, [*shared(one), *sizes]))
    assert found.reasons["codes"] == found.one.n_codes == chosen
    assert said in found.reasons["why"]


def test_one_number_of_codes_is_no_choice(data):
    (only,) = recommend(data, [sized(2, 0.5)])
    assert main_size([only]) is only and main_size([]) is None


def test_other_variants_are_taken_at_that_number_or_the_nearest_below(data):
    trained = [sized(codes, 0.5, kind=kind) for kind, some in (("ssae", (1, 2, 4)), ("pca", (4,)), ("shift_mixture", (1, 2))) for codes in some]  # fmt: skip
    assert {name: one.n_codes for name, one in at_size(trained, 3).items()} == {"ssae": 2, "pca": 4, "shift_mixture": 2}
    assert {name: one.n_codes for name, one in at_size(trained, 4).items()} == {"ssae": 4, "pca": 4, "shift_mixture": 2}
