"""G-1: a language model whose concepts are known."""

import pytest
from helpers.fake_metrics import truth_rows
from helpers.tables import built, verdict_on

from shiftscope.tables import table_g1


def chance(dataset, codes, untrained=0.2):
    """Controls of `ssae` that it is above."""
    rows = truth_rows({"ssae": untrained}, dataset, codes, control="untrained_lm")
    rows += truth_rows({"ssae": 0.1}, dataset, codes, control="permuted_labels")
    return rows + truth_rows({"": 0.3}, dataset, codes, control="random_dictionary")


def test_g1_names_where_and_by_whom_ssae_is_beaten(tmp_path):
    rows = truth_rows({"ssae": 0.995, "affine": 0.996, "mean_difference": 0.999}, "grammar_lang", 1)
    rows += truth_rows({"ssae": 0.93, "affine": 0.98, "pca": 0.995}, "grammar_binary", 2)
    rows += truth_rows({"ssae": 0.98, "affine": 0.43}, "grammar_cat", 27)
    rows += truth_rows({"recommended": 0.999}, "grammar_cat", 27, kind="ssae")  # repeats one of the others
    found = verdict_on("table_g1", built("table_g1", rows, tmp_path))
    assert found.status == "does not hold"
    assert "grammar_lang (1 code) .995, level with the best other (affine .996), as one concept" in found.sentence
    assert "grammar_binary (2 codes) .93, below pca .995, worst model .93" in found.sentence
    assert "grammar_cat (27 codes) .98, above all others (affine .43)" in found.sentence


@pytest.mark.parametrize(("untrained", "status"), [(0.2, "holds"), (0.98, "only without its control")])
def test_g1_against_the_untrained_network(tmp_path, untrained, status):
    rows = truth_rows({"ssae": 0.98, "affine": 0.43}, "grammar_cat", 27) + chance("grammar_cat", 27, untrained)
    table = built("table_g1", rows, tmp_path)
    assert verdict_on("table_g1", table).status == status
    assert ("only without its control" in table_g1.finding(table)) == (untrained > 0.9)


@pytest.mark.parametrize(
    ("others", "status"),
    [
        ({}, "not tested"),
        ({"probe": "probe_direction"}, "not tested"),
        ({"ica": "ica"}, "does not hold"),
        ({"any_name": "pca"}, "does not hold"),
    ],
)
def test_g1_asks_a_method_without_labels_whatever_its_name(tmp_path, others, status):
    rows = truth_rows({"ssae": 0.9}, "grammar_cat", 27) + chance("grammar_cat", 27)
    for name, kind in others.items():
        rows += truth_rows({name: 0.99}, "grammar_cat", 27, kind=kind)
    assert verdict_on("table_g1", built("table_g1", rows, tmp_path)).status == status
