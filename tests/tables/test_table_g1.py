"""G-1: a language model whose concepts are known."""

import pytest
from helpers.fake_metrics import truth_rows
from helpers.tables import built

from shiftscope.tables import table_g1


def test_g1_names_where_and_by_whom_ssae_is_beaten_and_why(tmp_path):
    rows = truth_rows({"ssae": 0.995, "affine": 0.996, "mean_difference": 0.999}, "grammar_lang", 1)
    rows += truth_rows({"ssae": 0.93, "affine": 0.98, "pca": 0.995}, "grammar_binary", 2)
    rows += truth_rows({"ssae": 0.98, "affine": 0.43}, "grammar_cat", 27)
    status, sentence = table_g1.verdict(built("table_g1", rows, tmp_path))
    assert status == "not reproduced"
    assert "grammar_lang (1 code): ssae .995, level with the best other (affine .996), as one concept" in sentence
    assert "grammar_binary (2 codes): ssae .93, below pca .995" in sentence
    assert "Assumption 4.2" in sentence
    assert "grammar_cat (27 codes): ssae .98, above all others (affine .43)." in sentence


@pytest.mark.parametrize(("untrained", "status"), [(0.2, "reproduced"), (0.98, "only without its control")])
def test_g1_against_the_untrained_network(tmp_path, untrained, status):
    rows = truth_rows({"ssae": 0.98, "affine": 0.43}, "grammar_cat", 27)
    rows += truth_rows({"ssae": untrained}, "grammar_cat", 27, control="untrained_lm")
    table = built("table_g1", rows, tmp_path)
    assert table_g1.verdict(table)[0] == status
    assert f"({str(untrained)[1:]}" in table_g1.finding(table)
