"""Facts about a run: wall times of its rules."""

from helpers.fake_metrics import write_benchmark

from shiftscope.report.run_facts import wall_times


def test_wall_times_are_summed_by_rule(tmp_path):
    write_benchmark(tmp_path / "benchmarks/train/a.tsv")
    write_benchmark(tmp_path / "benchmarks/train/b.tsv", s="20.0", max_rss="700")
    write_benchmark(tmp_path / "benchmarks/fetch_lm.tsv", max_rss="NA")
    train, fetch = wall_times(tmp_path / "benchmarks")
    assert train == {"rule": "train", "jobs": 2, "seconds": 32.5, "longest": 20.0, "memory": 700.0}
    assert (fetch["rule"], fetch["memory"]) == ("fetch_lm", None)
    assert wall_times(tmp_path / "absent") == []
