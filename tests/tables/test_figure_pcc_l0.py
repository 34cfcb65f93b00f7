"""PCC against sparsity: a point per setting, controls as lines, and every outcome of its verdict."""

import pytest
from helpers.fake_saes import CONTROLS, GOOD, control_rows, sae_rows, systems  # noqa: F401
from helpers.tables import built, one, verdict_on, written

pytestmark = pytest.mark.usefixtures("systems")


def verdict_of(rows, folder):
    return verdict_on("figure_pcc_l0", built("figure_pcc_l0", rows, folder))


def test_every_setting_is_a_point(tmp_path):
    table = built("figure_pcc_l0", sae_rows(GOOD) + control_rows(), tmp_path)
    found = one(table, variant="my_topk: cost 64", metric="pcc_heldout")
    assert (found["grid"], found["active"], found["mean"]) == ("my_topk", 64, pytest.approx(0.35))
    assert found["untrained_sae"] == pytest.approx(0.2)  # of the same setting
    assert len(table[table["metric"] == "pcc_heldout"]) == 8


@pytest.mark.parametrize(
    ("controls", "status"),
    [
        (CONTROLS, "holds"),
        (CONTROLS | {"neurons": 0.75}, "does not hold"),
        (CONTROLS | {"pca": 0.71}, "does not hold"),  # the best setting has .72 in sample
        (CONTROLS | {"random_dictionary": 0.9}, "does not hold"),
    ],
)
def test_above_what_needs_no_training(tmp_path, controls, status):
    found = verdict_of(sae_rows(GOOD) + control_rows(controls), tmp_path)
    assert found.status == status
    assert found.sentence.startswith("docs, words my_structured: cost 64 .62 at L0 64 (")


@pytest.mark.parametrize("name", ["permuted_labels", "untrained_sae"])
def test_chance_and_the_untrained_are_its_controls(tmp_path, name):
    rows = sae_rows(GOOD) + control_rows()
    without = [row for row in rows if row["control"] != name]
    assert verdict_of(without, tmp_path).status == "only without its control"
    for row in rows:
        if row["control"] == name and row["metric"] == "pcc_heldout":
            row["value"] = 0.9
    assert verdict_of(rows, tmp_path).status == "only without its control"


def test_without_a_basis_it_is_not_tested(tmp_path):
    rows = [row for row in sae_rows(GOOD) + control_rows() if row["control"] != "pca"]
    assert verdict_of(rows, tmp_path).status == "not tested"
    assert verdict_of(sae_rows(GOOD), tmp_path).status == "not tested"


def test_the_figure_has_variants_and_lines(tmp_path):
    _, drawn = written("figure_pcc_l0", built("figure_pcc_l0", sae_rows(GOOD) + control_rows(), tmp_path), tmp_path)
    assert {"my_structured", "my_topk", "neurons", "PCA", "random", "permuted", "untrained codes"} <= set(drawn)


def test_the_setting_is_not_chosen_on_what_it_is_scored_on(tmp_path):
    rows = sae_rows(GOOD) + control_rows()
    for row in rows:
        if row["variant"] == "my_topk" and row["metric"] == "pcc_heldout":
            row["value"] = 0.95
    found = verdict_of(rows, tmp_path)
    assert found.sentence.startswith("docs, words my_structured: cost 64 .62 at L0 64 (")


def test_a_place_without_a_sparse_autoencoder_is_not_tested(tmp_path):
    found = verdict_of(sae_rows(GOOD, costs=(300, 400)) + control_rows(), tmp_path)
    assert found.status == "not tested"
    assert found.sentence == "No autoencoder has half of its latents or fewer active on docs, words."


def test_what_is_dense_is_no_candidate(tmp_path):
    found = verdict_of(sae_rows(GOOD, costs=(16, 300)) + control_rows(), tmp_path)
    assert found.sentence.startswith("docs, words my_structured: cost 16 .57 at L0 16 (")
