"""A-F9: code sizes."""

import pytest
from helpers.fake_metrics import size_rows
from helpers.tables import built, rows_where, verdict_on, written

from shiftscope.tables import verdicts

SIZES = {
    27: {"ssae": (0.95, 0.98), "affine": (0.6, 0.5)},
    135: {"ssae": (0.9, 0.9), "affine": (0.5, 0.4)},
    500: {"ssae": (0.75, 0.7), "affine": (0.3, 0.2)},
}


def test_code_sizes_with_the_papers_numbers_at_their_own_sizes(tmp_path):
    rows = size_rows(SIZES) + size_rows({27: {"pca": (0.5, 0.5)}}) + size_rows({2: {"ssae": (1, 1)}}, "binary_2_2")
    table = built("figure_a9", rows, tmp_path)
    assert set(table["variant"]) == {"ssae", "affine"}
    assert set(table["dataset"]) == {"cat_135_3"}
    published = (
        rows_where(table, metric="mcc_seeds_decoder").set_index(["codes", "variant"])["published"].dropna().to_dict()
    )
    assert published == {(135, "ssae"): 0.906, (135, "affine"): 0.66, (500, "ssae"): 0.755, (500, "affine"): 0.32}
    text, drawn = written("figure_a9", table, tmp_path)
    assert "27 to 500 codes: MCC across seeds .95 to .75 (affine .60 to .30)" in text
    assert {"27", "135", "500", "ssae", "affine", "cat_135_3: MCC, truth"} <= set(drawn)


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ({"ssae": (0.75, 0.7), "affine": (0.3, 0.2)}, verdicts.HOLDS),
        ({"ssae": (0.75, 0.25), "affine": (0.3, 0.2)}, verdicts.WITHOUT_CONTROL),
        ({"ssae": (0.55, 0.7), "affine": (0.5, 0.2)}, verdicts.DOES_NOT_HOLD),
        ({"ssae": (0.75, 0.7), "affine": (0.76, 0.2)}, verdicts.DOES_NOT_HOLD),
    ],
)
def test_verdict_on_code_sizes(tmp_path, last, status):
    table = built("figure_a9", size_rows(SIZES | {500: last}), tmp_path)
    assert verdict_on("figure_a9", table).status == status


def test_sizes_without_the_twin_are_not_tested(tmp_path):
    sizes = {27: SIZES[27], 135: {"ssae": SIZES[135]["ssae"]}}
    assert verdict_on("figure_a9", built("figure_a9", size_rows(sizes), tmp_path)).status == verdicts.NOT_TESTED
