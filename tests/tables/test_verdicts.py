"""Statuses: the rules by which a claim is judged, through all their outcomes."""

import pandas as pd
import pytest

from shiftscope.metrics.correlation import MCC_TRUTH
from shiftscope.tables import verdicts
from shiftscope.tables.verdicts import judged, leading_scores, sparse_scores, status


@pytest.mark.parametrize(
    ("holds", "matched", "expected"),
    [
        ({}, {}, verdicts.NOT_TESTED),
        ({"ssae": False, "ssae_paper": False}, {"ssae": True, "ssae_paper": True}, verdicts.NOT_REPRODUCED),
        ({"ssae": True}, {"ssae": False}, verdicts.REPRODUCED),
        ({"ssae": True}, {"ssae": True}, verdicts.WITHOUT_CONTROL),
        ({"ssae": True, "ssae_paper": False}, {"ssae": False, "ssae_paper": True}, verdicts.OUR_RECIPE),
        ({"ssae": True, "ssae_paper": False}, {"ssae": True, "ssae_paper": True}, verdicts.WITHOUT_CONTROL),
        ({"ssae": False, "ssae_paper": True}, {"ssae": True, "ssae_paper": False}, verdicts.REPRODUCED),
    ],
)
def test_status_of_a_claim(holds, matched, expected):
    assert status(holds, matched) == expected


def test_a_claim_is_judged_variant_by_variant():
    found = judged({"ssae": 3, "ssae_paper": 1}, lambda n: n > 2, lambda n: n > 9, lambda name, n: f"{name} has {n}.")
    assert found == (verdicts.OUR_RECIPE, "ssae has 3. ssae_paper has 1.")
    assert judged({}, bool, bool, str.format, "None was run.") == (verdicts.NOT_TESTED, "None was run.")


def test_only_variants_with_their_rival_are_judged_and_the_first_leads():
    table = pd.DataFrame(
        [
            ("ssae_paper", "mcc_truth", 0.8, "affine_paper"),
            ("ssae", "mcc_truth", 0.9, None),
            ("pca", "udr", 0.5, "affine"),
        ],
        columns=["variant", "metric", "mean", "rival"],
    )
    assert list(sparse_scores(table, MCC_TRUTH)) == ["ssae_paper"]
    assert leading_scores(table, MCC_TRUTH)["mean"].tolist() == [0.8]
    assert leading_scores(table.assign(rival=None), MCC_TRUTH).empty
