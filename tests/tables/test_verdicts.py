"""Verdicts: the one rule by which claims are judged, through all its outcomes."""

import pandas as pd
import pytest
from helpers.fake_metrics import row
from helpers.tables import built, metrics_of

from shiftscope.metrics.correlation import MCC_TRUTH
from shiftscope.tables import verdicts
from shiftscope.tables.base import entry, names
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import (
    DOES_NOT_HOLD,
    HOLDS,
    NOT_REPRODUCED,
    NOT_TESTED,
    REPRODUCED,
    THIS_PROJECT,
    WITHOUT_CONTROL,
    Found,
    Verdict,
    above,
    anywhere,
    judged,
    mostly,
    status,
    told,
)

YES, NO = {"permuted_labels": False}, {"permuted_labels": True}


@pytest.mark.parametrize(
    ("found", "dead", "of_source", "of_ours"),
    [
        (None, False, NOT_TESTED, NOT_TESTED),
        (None, True, NOT_TESTED, NOT_TESTED),
        (Found(True, YES, ""), False, REPRODUCED, HOLDS),
        (Found(True, {}, ""), False, REPRODUCED, HOLDS),
        (Found(True, YES, ""), True, NOT_REPRODUCED, DOES_NOT_HOLD),
        (Found(True, NO, ""), False, WITHOUT_CONTROL, WITHOUT_CONTROL),
        (Found(True, YES | {"untrained_lm": None}, ""), False, WITHOUT_CONTROL, WITHOUT_CONTROL),
        (Found(False, YES, ""), False, NOT_REPRODUCED, DOES_NOT_HOLD),
        (Found(False, NO, ""), True, NOT_REPRODUCED, DOES_NOT_HOLD),
    ],
)
def test_status_of_a_claim(found, dead, of_source, of_ours):
    assert (status(found, dead, True), status(found, dead, False)) == (of_source, of_ours)


def cases(**scores):
    """MCC of three seeds by variant, which may have its kind after `=`, and by control."""
    rows = []
    for name, value in scores.items():
        variant, _, kind = name.partition("_is_")
        rows += [
            row("synth_3_2", variant, "mcc_truth", value - 0.001 * seed, 3, seed=seed, kind=kind or variant)
            for seed in range(3)
        ]
    return rows


def control(name, value):
    return [row("synth_3_2", "", "mcc_truth", value, 3, control=name)]


CHANCE = control("permuted_labels", 0.1) + control("random_dictionary", 0.3)


def above_its_rival(rows, here):
    """A claim: above the rival; no control is as high."""
    return Found(bool(above(rows).all()), {"random_dictionary": anywhere(rows, "random_dictionary")}, "said")


def decided(rows, folder, decide=above_its_rival, **more):
    table = assemble(metrics_of(rows, folder), [MCC_TRUTH], {})
    return {one.recipe: one for one in judged(table, MCC_TRUTH, decide, more.pop("said_by", "paper A"), **more)}


@pytest.mark.parametrize(
    ("scores", "paper", "ours"),
    [
        ({"ssae": 1.0, "affine": 0.5}, NOT_TESTED, HOLDS),
        ({"ssae": 1.0}, NOT_TESTED, NOT_TESTED),
        ({"ssae_paper": 1.0, "affine": 0.5}, NOT_TESTED, NOT_TESTED),  # the rival of our recipe is not the paper's
        ({"ssae_paper": 1.0, "affine_paper": 0.5}, REPRODUCED, NOT_TESTED),
        ({"ssae_paper": 0.5, "affine_paper": 0.6}, NOT_REPRODUCED, NOT_TESTED),
        ({"ssae_paper": 0.2, "affine_paper": 0.1, "ssae": 0.2, "affine": 0.3}, WITHOUT_CONTROL, DOES_NOT_HOLD),
        ({"affine": 0.5, "pca": 0.5, "shared_is_pca": 1.0}, NOT_TESTED, NOT_TESTED),
        ({"ssae_is_affine": 1.0, "affine": 0.5}, NOT_TESTED, NOT_TESTED),  # by kind, not by name
        ({"mine_is_ssae": 1.0, "twin_is_affine": 0.5}, NOT_TESTED, HOLDS),
        ({"mine_is_ssae_paper": 1.0, "twin_is_affine_paper": 0.5}, REPRODUCED, NOT_TESTED),
        ({"recommended_is_ssae": 1.0, "affine": 0.5}, NOT_TESTED, NOT_TESTED),  # a choice, no variant of its own
        ({"ssae": 1.0, "recommended_is_affine": 0.5}, NOT_TESTED, NOT_TESTED),
        ({"ssae_paper_repaired": 1.0, "affine_paper": 0.5}, NOT_TESTED, NOT_TESTED),  # neither recipe
    ],
)
def test_recipes_are_judged_apart_and_by_kind(tmp_path, scores, paper, ours):
    found = decided(cases(**scores) + CHANCE, tmp_path)
    assert (found["paper"].status, found["ours"].status) == (paper, ours)


def test_a_claim_of_ours_is_never_reproduced(tmp_path):
    found = decided(cases(ssae_paper=1.0, affine_paper=0.5) + CHANCE, tmp_path, said_by=THIS_PROJECT)
    assert found["paper"].status == HOLDS


def test_what_was_not_run_never_gives_the_stronger_label(tmp_path):
    rows = cases(ssae=1.0, affine=0.5)
    assert decided(rows + CHANCE, tmp_path)["ours"].status == HOLDS
    without = decided(rows + CHANCE[:1], tmp_path)["ours"]
    assert (without.status, without.sentence) == (WITHOUT_CONTROL, "ssae: said. Control not run: random.")
    twinless = cases(ssae_paper=1.0)
    assert decided(twinless + CHANCE, tmp_path)["paper"] == Verdict(
        "paper", "smollm2_135m", NOT_TESTED, "ssae_paper was run, but not all that the claim compares it with."
    )
    assert decided(rows, tmp_path)["paper"].sentence == "Nothing of the paper's recipe was run for this."


def test_a_row_without_a_rival_is_not_judged_and_named(tmp_path):
    alone = [one | {"dataset": "alone", "eval_dataset": "alone"} for one in cases(ssae=0.1)]
    found = decided(cases(ssae=1.0, affine=0.5) + alone + CHANCE, tmp_path)["ours"]
    assert found.status == HOLDS and found.sentence.endswith("Not judged, without a rival: alone.")
    assert decided(alone + cases(ssae=1.0, affine=0.5) + CHANCE, tmp_path, needs_rival=False,
                   decide=lambda rows, here: Found(len(rows) == 2, {}, ""))["ours"].status == HOLDS  # fmt: skip


@pytest.mark.parametrize(("error", "paper"), [(0.89, REPRODUCED), (0.9, NOT_REPRODUCED), (1.01, NOT_REPRODUCED)])
def test_a_dead_model_reproduces_nothing(tmp_path, error, paper):
    rows = cases(ssae_paper=1.0, affine_paper=0.5) + CHANCE
    rows += [row("synth_3_2", "ssae_paper", "reconstruction", error, 3, seed=seed) for seed in range(3)]
    found = decided(rows, tmp_path)["paper"]
    assert found.status == paper
    assert ("Dead on synth_3_2" in found.sentence) == (paper == NOT_REPRODUCED)


def test_under_another_procedure_the_source_is_not_tested_and_ours_is(tmp_path):
    rows = cases(ssae_paper=1.0, affine_paper=0.5, ssae=1.0, affine=0.5) + CHANCE
    found = decided(rows, tmp_path, not_run="It did otherwise.")
    assert (found["paper"].status, found["paper"].sentence) == (NOT_TESTED, "It did otherwise.")
    assert found["ours"].status == HOLDS


def test_language_models_are_judged_apart(tmp_path):
    other = [one | {"lm": "other"} for one in cases(ssae=0.5, affine=0.6) + CHANCE]
    table = assemble(metrics_of(cases(ssae=1.0, affine=0.5) + CHANCE + other, tmp_path), [MCC_TRUTH], {})
    found = {(one.recipe, one.lm): one.status for one in judged(table, MCC_TRUTH, above_its_rival, "paper A")}
    assert found == {("paper", "smollm2_135m"): NOT_TESTED, ("ours", "smollm2_135m"): HOLDS,
                     ("paper", "other"): NOT_TESTED, ("ours", "other"): DOES_NOT_HOLD}  # fmt: skip


@pytest.mark.parametrize(
    ("controls", "any_row", "half"),
    [
        ([0.1, 0.1, 0.1, 0.1], False, False),
        ([0.9, 0.1, 0.1, 0.1], True, False),
        ([0.9, 0.1, 0.1, None], True, None),
        ([0.1, 0.1, 0.1, None], None, False),
        ([0.89, 0.9, 0.1, 0.1], True, True),
        ([0.88, 0.9, None, None], True, True),
        ([None] * 4, None, None),
    ],
)
def test_a_control_on_any_row_and_on_half_of_them(controls, any_row, half):
    rows = pd.DataFrame({"mean": [0.9] * 4, "random_dictionary": pd.Series(controls, dtype=float)})
    assert (anywhere(rows, "random_dictionary"), mostly(rows, "random_dictionary")) == (any_row, half)


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ({}, ""),
        ({("paper", "a"): NOT_TESTED}, ""),
        ({("ours", "a"): HOLDS}, "Our recipe runs on a."),
        ({("ours", "synthetic"): HOLDS, ("paper", "synthetic"): NOT_REPRODUCED}, "Our recipe runs; the paper's does not."),
        ({("ours", "a"): HOLDS, ("ours", "b"): DOES_NOT_HOLD}, "Our recipe runs on a, not on b."),
        ({("ours", "a"): WITHOUT_CONTROL, ("ours", "b"): DOES_NOT_HOLD}, f"Our recipe runs on a {WITHOUT_CONTROL}, not on b."),
        ({("ours", "a"): DOES_NOT_HOLD, ("paper", "a"): REPRODUCED}, "Our recipe stands on a; the paper's runs on a."),
    ],
)  # fmt: skip
def test_what_is_told_on_top_follows_the_verdicts(statuses, sentence):
    found = [Verdict(recipe, lm, one, "") for (recipe, lm), one in statuses.items()]
    assert told(found, "runs", "stands") == sentence


@pytest.mark.parametrize("name", names())
def test_only_a_source_is_reproduced(name, tmp_path):
    """No entry has its own words: what it says is of the statuses, and of a source it names the place."""
    module = entry(name)
    assert module.SAID_BY == THIS_PROJECT or module.SAID_BY.startswith(("paper A, ", "paper B, "))
    rows = [row("own", variant, "l0", 2.0, 4, seed=0) for variant in ("ssae", "ssae_paper")]
    assert module.verdict(built(name, rows, tmp_path)) == []
    assert {verdicts.REPRODUCED, verdicts.NOT_REPRODUCED} & set((module.CLAIM + module.EMPTY).split()) == set()
