"""A-T2: agreement across seeds on language models."""

import pytest
from helpers.fake_metrics import LANGUAGE, language_rows, row
from helpers.tables import built, verdict_on

from shiftscope.tables import verdicts
from shiftscope.tables.base import entry


def test_published_numbers_stand_beside_every_variant_of_the_system(tmp_path):
    table = built("table_a2", language_rows(), tmp_path)
    cat = table[(table["dataset"] == "cat_135_3") & (table["metric"] == "mcc_seeds_decoder")].set_index("variant")
    assert cat["published"].to_dict() == {
        "ssae": 0.906, "ssae_paper": 0.906, "ssae_paper_repaired": 0.906, "affine": 0.66, "affine_paper": 0.66,
    }  # fmt: skip
    assert cat.loc["ssae", "untrained_lm"] > 0.9
    assert list(dict.fromkeys(table["dataset"])) == list(LANGUAGE)
    truth = table[table["metric"] == "mcc_truth"]
    assert set(truth["dataset"]) == {"binary_2_2", "cat_135_3"}


def test_further_truths_get_rows_of_their_own(tmp_path):
    rows = [row("cat_135_3", "ssae", metric, 0.9, 27, seed=0) for metric in ("mcc_truth", "mcc_truth_onehot")]
    assert set(built("table_a2", rows, tmp_path)["metric"]) == {"mcc_truth", "mcc_truth_onehot"}


def agreement_case(ssae, affine, untrained, metric="mcc_seeds_decoder"):
    rows = [row("cat_135_3", "", metric, 0.2, 27, seed=0, seed_2=1, control="random_dictionary")]
    for variant, level in (("ssae", ssae), ("affine", affine)):
        for seed, other in ((0, 1), (0, 2), (1, 2)):
            for control, value in (("", level), ("untrained_lm", untrained)):
                rows.append(row("cat_135_3", variant, metric, value, 27, seed=seed, seed_2=other, control=control))
    return rows


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ((0.95, 0.6, 0.7), verdicts.HOLDS),
        ((0.95, 0.6, 0.94), verdicts.WITHOUT_CONTROL),
        ((0.8, 0.6, 0.5), verdicts.DOES_NOT_HOLD),
        ((0.95, 0.95, 0.5), verdicts.DOES_NOT_HOLD),
    ],
)
def test_verdict_on_agreement_asks_the_untrained_network(tmp_path, scores, status):
    module = entry("table_a2")
    table = built("table_a2", agreement_case(*scores), tmp_path)
    assert verdict_on("table_a2", table).status == status
    assert ("only without its control" in module.finding(table)) == (status == verdicts.WITHOUT_CONTROL)


def test_random_directions_that_agree_as_well_are_a_control(tmp_path):
    rows = [one for one in agreement_case(0.95, 0.6, 0.7) if one["control"] != "random_dictionary"]
    assert verdict_on("table_a2", built("table_a2", rows, tmp_path)).status == verdicts.WITHOUT_CONTROL
    rows += [row("cat_135_3", "", "mcc_seeds_decoder", 0.94, 27, seed=0, seed_2=1, control="random_dictionary")]
    assert verdict_on("table_a2", built("table_a2", rows, tmp_path)).status == verdicts.WITHOUT_CONTROL


def test_seeds_are_judged_up_to_a_reference_value_where_codes_leave_one(tmp_path):
    """Seeds that differ in it alone agree; those of the autoencoder without sparsity do not."""
    rows = agreement_case(0.86, 0.5, 0.5)
    assert verdict_on("table_a2", built("table_a2", rows, tmp_path)).status == verdicts.DOES_NOT_HOLD
    rows += agreement_case(0.98, 0.5, 0.5, "mcc_seeds_reference")
    assert verdict_on("table_a2", built("table_a2", rows, tmp_path)).status == verdicts.HOLDS


def test_larger_codes_are_left_to_the_figure_of_sizes(tmp_path):
    rows = agreement_case(0.95, 0.6, 0.7)
    larger = [one | {"codes": 135, "value": 0.2} for one in rows if one["codes"]]
    table = built("table_a2", rows + larger, tmp_path)
    assert set(table["codes"]) == {27}
    assert verdict_on("table_a2", table).status == verdicts.HOLDS
