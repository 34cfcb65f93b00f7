import json

import pytest

from snakemake_logger_plugin_shiftscope.forecast import LEAST, Forecast, duration, earlier_seconds


@pytest.fixture
def forecast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forecast = Forecast()
    forecast.jobs = {"train": 6, "evaluate": 2}
    return forecast


def run(forecast, jobid, rule, since, until):
    forecast.start(jobid, rule, rule, since)
    forecast.finish(jobid, until)


def test_nothing_is_forecast_of_what_nobody_knows(forecast):
    assert forecast.left(0) is None
    for number in range(LEAST - 1):
        run(forecast, number, "train", 0, 10)
    assert forecast.left(20) is None


def test_a_rule_takes_what_it_took_so_far_and_an_unknown_one_what_all_took(forecast):
    for number in range(LEAST):
        run(forecast, number, "train", 10 * number, 10 * number + 10)
    assert forecast.left(30) == 3 * 10 + 2 * 10
    run(forecast, 7, "evaluate", 30, 32)
    assert forecast.left(32) == 3 * 10 + 2


def test_jobs_at_work_count_for_what_they_have_done_and_share_what_is_left(forecast):
    for number in range(LEAST):
        run(forecast, number, "train", 10 * number, 10 * number + 10)
    forecast.start(8, "train", "train", 30)
    forecast.start(9, "train", "train", 30)
    assert forecast.left(34) == (3 * 10 + 2 * 10 - 2 * 4) / 2
    assert forecast.left(1000) == (3 * 10 + 2 * 10 - 2 * 10) / 2  # one that takes longer is about to end
    assert (forecast.done, forecast.total) == (3, 8)
    forecast.drop(8)
    assert forecast.done == 3


def test_the_ledger_knows_what_jobs_took(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert earlier_seconds() == {}
    lines = [{"rule": "train", "log": ["a"], "seconds": 4}, {"rule": "train", "log": ["a"], "seconds": 4},
             {"rule": "train", "log": ["b"], "seconds": 8}, {"rule": "evaluate", "log": ["c"], "seconds": 1}]  # fmt: skip
    (tmp_path / "results").mkdir()
    (tmp_path / "results/provenance.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert earlier_seconds() == {"train": 6, "evaluate": 1}  # two outputs of a job are one job
    forecast = Forecast()
    forecast.jobs = {"train": 2, "evaluate": 1}
    assert forecast.left(0) == 13
    (tmp_path / "results/provenance.jsonl").write_text("<<<<<<< a conflict")
    assert earlier_seconds() == {}


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.4, "4 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (7800, "2 h 10 min")]
)
def test_durations_are_told_as_people_do(seconds, words):
    assert duration(seconds) == words
