import pytest

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics import base
from shiftscope.metrics.base import Metric, all_metrics, label, markdown, metric


def test_every_file_of_metrics_has_some_and_each_is_there_once():
    found = [one.name for one in all_metrics()]
    assert len(found) == len(set(found))
    assert {"mcc_truth", "mcc_truth_*", "reconstruction", "cosine_heldout", "mc2_chosen", "udr"} <= set(found)
    assert all(one.label and one.meaning.endswith(".") and one.per for one in all_metrics())


def test_a_name_is_that_of_a_metric_or_of_a_family():
    all_metrics()
    assert metric("mcc_truth").name == "mcc_truth"
    assert metric("mcc_truth_contrast").name == "mcc_truth_*"
    assert label("mcc_truth") == "MCC, truth"
    assert label("mcc_truth_contrast") == "MCC, truth (contrast)"
    with pytest.raises(
        ShiftScopeError, match=r"metric 'mcc_truht' is unknown: allowed are .*; did you mean 'mcc_truth'\?"
    ):
        metric("mcc_truht")


def test_two_metrics_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(Metric, "known", dict(Metric.known))
    Metric("mine", "mine", "Mine.", "seed")
    with pytest.raises(ShiftScopeError, match="there are two metrics called 'mine': rename one"):
        Metric("mine", "another", "Another.", "seed")


def test_the_table_of_metrics_has_a_row_each():
    one, two = Metric.__new__(Metric), Metric.__new__(Metric)
    for metric_, better in ((one, True), (two, None)):
        vars(metric_).update(name="a", label="a", meaning="What.", per="seed", higher_is_better=better)
    assert markdown([one, two]).splitlines()[2:] == ["| `a` | seed | higher | What. |", "| `a` | seed |  | What. |"]


def test_the_page_of_file_formats_has_the_table_of_metrics():
    from helpers.clone import ROOT

    assert markdown(base.all_metrics()) in (ROOT / "docs/file-formats.md").read_text(encoding="utf-8")
